"""Layers: tar to directory and back."""
