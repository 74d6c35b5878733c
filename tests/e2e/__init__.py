"""The rl program from outside: what a user sees, command by command."""
