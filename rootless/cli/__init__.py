"""The command line.  Nothing below this package prints, reads argv or exits."""
