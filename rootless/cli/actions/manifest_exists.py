"""`rl manifest exists`: whether there is a manifest list."""

from typing import Any

from rootless.cli import manifest_words as words
from rootless.context import Context
from rootless.store import manifest_lists as store


def main(ctx: Context, values: dict[str, Any]) -> int:
    """0 when there is, else 1, as podman."""
    name = words.list_name(values["name"]).canonical()
    return 0 if store.exists(ctx.paths, name) else 1
