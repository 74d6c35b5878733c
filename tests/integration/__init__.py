"""Parts of rl against the real kernel and the real file system."""
