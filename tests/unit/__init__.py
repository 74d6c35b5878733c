"""Pure parts of rl: no privileges, no network, no kernel."""
