"""What is on disk, and its locks."""
