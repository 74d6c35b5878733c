"""`rl wait`.  Warm."""

from rootless.cli.actions import several
from rootless.runtime import stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Block until containers stop, and print their exit codes."""
    asked = values["condition"]
    conditions = [str(one) for one in asked] if isinstance(asked, list) else []

    def act(container: "Container") -> str:
        if conditions in ([], ["not-running"]):
            return str(stop.wait(ctx, container))
        from rootless.cli import wait_conditions

        return str(wait_conditions.wait(ctx, container, conditions))

    return several.for_each(ctx, several.names(values, "wait"), act)
