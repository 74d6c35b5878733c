"""One file per command: what it does, given parsed values.  No Typer in here."""
