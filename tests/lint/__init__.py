"""Linters, as tests."""
