"""rl port: the published ports of a container.  Warm."""

from rootless.cli.actions.several import find
from rootless.cli.container_words import host_side
from rootless.cli.output import write
from rootless.errors import NetworkError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """Print `80/tcp -> 0.0.0.0:8080` for each; for one port, the host's side alone."""
    container = find(ctx, values["container"])
    published = container.state.get("ports", ()) if container.running else ()
    rows = sorted(
        (int(port["container_port"]), str(port["protocol"]), port["host_port"], host_side(port))
        for port in published
    )
    asked = values["private_port"]
    if asked is None:
        write("".join(f"{inside}/{proto} -> {out}\n" for inside, proto, _, out in rows))
        return 0
    number, _, protocol = asked.partition("/")
    if not number.isdecimal():
        raise UsageError(f"{asked!r} is no port", remedy="write PORT or PORT/PROTO")
    wanted = (int(number), protocol or "tcp")
    found = [f"{out}\n" for inside, proto, _, out in rows if (inside, proto) == wanted]
    if not found:
        failure = NetworkError(
            f"{container.name} publishes no port {number}/{wanted[1]}",
            remedy=f"see what it does: rl port {container.name}",
            code="RL-PORT-NOT-PUBLISHED",
        )
        failure.exit_status = 1  # as docker's
        raise failure
    write("".join(found))
    return 0
