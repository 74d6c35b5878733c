"""The options of `rl run` and `rl create`, one module for each section of the help."""
