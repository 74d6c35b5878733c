"""`rl logout`: credentials forgotten."""

from rootless.context import Context
from rootless.registry import login


def main(ctx: Context, values: dict[str, object]) -> int:
    """Remove what `rl login` has kept.  There being nothing is no failure, as with Docker."""
    target = login.server(str(values["server"] or ""))
    if login.remove(ctx, target):
        print(f"Removing login credentials for {target.key}")
    else:
        print(f"Not logged in to {target.key}")
    return 0
