"""rl-netstack: netstack as a program of its own, with the command line of slirpnetstack."""
