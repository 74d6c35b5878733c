"""Network drivers, published ports and name resolution."""
