"""Tests of the Dockerfile's front end."""
