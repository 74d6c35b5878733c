"""`rl healthcheck run`: ask a container now how it is."""

from typing import Any

from rootless import fastjson
from rootless.cli.actions import several
from rootless.cli.actions.attach import connect
from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import ContainerError
from rootless.runtime import attach, health
from rootless.store.containers import Container


def main(ctx: Context, values: dict[str, object]) -> int:
    """0 where it is well, 1 and a word where it is not."""
    container = several.find(ctx, str(values["container"]))
    health.need(container)
    answer = _ask(ctx, container)
    if answer["ExitCode"] == 0:
        return 0
    # In its start period a bad answer does not count.
    write("starting\n" if answer["Status"] == "starting" else "unhealthy\n")
    return 1


def _ask(ctx: Context, container: Container) -> dict[str, Any]:
    """The supervisor asks: it counts the answers and keeps them."""
    name = container.name
    sock = connect(
        ctx, container, "ask",
        f"its checks go on by themselves: rl inspect -f '{{{{.State.Health.Status}}}}' {name}",
    )  # fmt: skip
    frames = attach.Frames()
    try:
        sock.sendall(attach.frame(attach.HEALTH))
        while data := sock.recv(65536):
            for kind, payload in frames.feed(data):
                if kind == attach.HEALTH:
                    answer: dict[str, Any] = fastjson.loads(payload)
                    return answer
    finally:
        sock.close()
    raise ContainerError(
        f"{name} ended before it answered",
        remedy=f"see why: rl logs {name}",
        code="RL-CONTAINER-NOT-RUNNING",
    )
