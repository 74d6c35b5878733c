"""The kernel: one topic per file, no policy.  Imports `rootless.errors` and C modules only."""
