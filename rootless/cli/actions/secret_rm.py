"""`rl secret rm`."""

from typing import Any

from rootless import log
from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.store import secrets


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove secrets and print their IDs: each is tried, 1 when one could not be."""
    names = [str(name) for name in values["names"] or ()]
    if bool(names) == bool(values["all"]):
        raise UsageError("rl secret rm needs secrets, or --all", remedy="see rl secret ls")
    if values["all"]:
        names = [str(one["name"]) for one in secrets.list_all(ctx.paths)]
    status = 0
    for name in names:
        try:
            write(f"{secrets.remove(ctx.paths, name)}\n")
        except secrets.SecretError as e:
            if not values["ignore"]:
                log.error(e.one_line())
                status = 1
    return status
