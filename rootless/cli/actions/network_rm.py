"""`rl network rm`."""

from typing import Any

from rootless import log
from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import NetworkError, RlError
from rootless.network.bridge.definition import PREDEFINED
from rootless.store import events, networks


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove networks: each is tried, 1 when one could not be."""
    status = 0
    for name in values["names"]:
        try:
            remove(ctx, str(name))
        except RlError as e:
            if not (values["force"] and e.code == "RL-NETWORK-NOT-FOUND"):
                log.error(e.one_line())
                status = 1
                continue
        write(f"{name}\n")
    return status


def remove(ctx: Context, name: str) -> None:
    """Remove one network.  Raises NetworkError."""
    if name in PREDEFINED:
        raise NetworkError(
            f"cannot remove the network {name}: it is rl's own",
            remedy="rl network ls --filter type=custom lists those that can be removed",
            code="RL-NETWORK-PREDEFINED",
        )
    document = networks.find(ctx.paths, name)
    networks.remove(ctx.paths, document["name"])
    told = {"name": document["name"], "type": "bridge"}
    events.record(ctx.paths, "network", "destroy", document["id"], told)
