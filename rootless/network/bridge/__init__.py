"""Networks with names: bridges in one network namespace per store, and what serves them."""
