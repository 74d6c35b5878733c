"""What needs a real systemd, or another kind of host: run by scripts/lab on the host itself."""
