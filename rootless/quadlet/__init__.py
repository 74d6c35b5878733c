"""Quadlet files: containers, volumes, images and builds described as units of systemd are."""
