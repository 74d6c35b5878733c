"""`rl secret exists`."""

from typing import Any

from rootless.context import Context
from rootless.store import secrets


def main(ctx: Context, values: dict[str, Any]) -> int:
    """0 when there is such a secret, else 1."""
    try:
        secrets.find(ctx.paths, str(values["name"]))
    except secrets.SecretError:
        return 1
    return 0
