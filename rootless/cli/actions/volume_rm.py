"""`rl volume rm`."""

from typing import Any

from rootless import log
from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import RlError
from rootless.store import volume_changes


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove volumes: each is tried, 1 when one could not be."""
    status = 0
    for name in values["names"]:
        try:
            volume_changes.remove(ctx, str(name))
        except RlError as e:
            if not (values["force"] and e.code == "RL-VOLUME-NOT-FOUND"):
                log.error(e.one_line())
                status = 1
                continue
        write(f"{name}\n")
    return status
