"""One file per command: its Typer declaration.  The work is in rootless.cli.actions."""
