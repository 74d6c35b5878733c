"""`rl stop`.  Warm."""

from rootless.cli.actions import several
from rootless.runtime import stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Stop containers: their stop signal, and SIGKILL when their time is over."""
    given = several.names(values, "stop")
    asked_signal, asked_timeout = values.get("signal"), values.get("time")

    def act(container: "Container") -> None:
        signal = str(asked_signal or container.config.get("stop_signal", "SIGTERM"))
        timeout_s = container.config.get("stop_timeout", 10)
        if isinstance(asked_timeout, int):
            timeout_s = asked_timeout
        stop.stop(container, signal=signal, timeout_s=timeout_s)

    return several.for_each(ctx, given, act)
