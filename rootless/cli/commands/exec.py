"""`rl exec`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()


@declare(app, "exec", interspersed=False)
def execute(
    ctx: typer.Context,
    container: Annotated[
        str,
        argument("CONTAINER", help="Its name or ID.", complete=completion.running_containers),
    ],
    args: Annotated[list[str], argument("COMMAND [ARG...]", help="The program and its arguments.")],
    *,
    interactive: Annotated[
        bool, option("--interactive", "-i", help="Pass standard input to the command.")
    ] = False,
    tty: Annotated[bool, option("--tty", "-t", help="Give the command a terminal.")] = False,
    detach: Annotated[
        bool, option("--detach", "-d", help="Leave the command running and return.")
    ] = False,
    env: Annotated[
        list[str] | None,
        option("--env", "-e", help="Set a variable; repeatable.", metavar="NAME[=VALUE]"),
    ] = None,
    env_file: Annotated[
        list[str] | None,
        option(
            "--env-file",
            help="Read variables from a file; repeatable.",
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    user: Annotated[
        str | None, option("--user", "-u", help="Who it runs as.", metavar="USER[:GROUP]")
    ] = None,
    workdir: Annotated[
        str | None, option("--workdir", "-w", help="The directory to start in.", metavar="DIR")
    ] = None,
    privileged: Annotated[
        bool,
        option("--privileged", help="All capabilities of the container's user namespace."),
    ] = False,
    detach_keys: Annotated[
        str | None,
        option(
            "--detach-keys",
            help="The keys that leave the command running (ctrl-p,ctrl-q).",
            metavar="KEYS",
        ),
    ] = None,
) -> int:
    """Run a command in a running container.

    The exit status is the command's; 125, 126 and 127 as with `rl run`.
    """
    return call(ctx)
