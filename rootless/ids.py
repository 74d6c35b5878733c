"""Container IDs and names."""

import os

NAME_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
NAME_REST = NAME_FIRST | frozenset("_.-")


def new_container_id() -> str:
    """64 hex digits; 12 of them are shown.  Never all decimal in those 12, as docker."""
    while True:
        container_id = os.urandom(32).hex()
        if not container_id[:12].isdecimal():
            return container_id


def is_name(name: str) -> bool:
    """Docker's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+, here at most 128 characters."""
    return 2 <= len(name) <= 128 and name[0] in NAME_FIRST and all(c in NAME_REST for c in name[1:])


def is_hex(text: str) -> bool:
    """Whether `text` can be the beginning of an ID."""
    return 1 <= len(text) <= 64 and all(c in "0123456789abcdef" for c in text)
