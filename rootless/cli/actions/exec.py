"""`rl exec`.  Warm."""

import os

from rootless.cli.actions import several
from rootless.errors import UsageError
from rootless.paths import current_directory
from rootless.runtime import exec as execution
from rootless.runtime.exec_options import process_for_exec
from rootless.store import pause_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Run a program in a running container; the exit status is the program's."""
    container = several.find(ctx, str(values["container"]))
    if pause_mark.is_paused(container):
        from rootless.runtime import pause

        pause.refuse(container, "execute a command in")
    config = container.runtime_config()
    document = process_for_exec(values, config, environ=ctx.environ, cwd=current_directory())
    if config["rl"].get("secrets"):
        from rootless.runtime import secrets

        document["env"] += secrets.environment(ctx, config["rl"]["secrets"])
    if document["terminal"] and document["rl"]["interactive"] and not os.isatty(0):
        raise UsageError(
            "cannot use the terminal: the input is not one (-t)",
            remedy="leave -t out: rl exec -i …",
            code="RL-NO-TERMINAL",
        )
    keys = several.detach_keys(ctx, document["rl"]["detach_keys"])
    return execution.execute(ctx, container, document, keys)
