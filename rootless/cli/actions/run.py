"""`rl run`.  Warm."""

import os

from rootless import log
from rootless.cli.actions import several
from rootless.errors import RlError, UsageError
from rootless.runtime import start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.runtime.options import RunOptions
    from rootless.store.containers import Container, Lock


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Create a container and run it; the exit status is the program's."""
    supervisor = None
    if values.get("detach") or values.get("tty"):
        supervisor = start.Supervisor(ctx)
    # After the supervisor's fork: it has no use for what makes containers.
    from rootless.cli.actions import making

    options = making.parse(ctx, values)
    if options.tty and not options.detach and options.interactive and not os.isatty(0):
        raise UsageError(
            "cannot use the terminal: the input is not one (-t)",
            remedy="leave -t out: rl run -i …",
            code="RL-NO-TERMINAL",
        )
    # What starts again outlives this command; a terminal can be left.
    restarts = options.restart["name"] != "no"
    if supervisor is None and (restarts or not options.sig_proxy):
        supervisor = start.Supervisor(ctx)
    container, lock, config = making.make(ctx, options, values)
    try:
        with lock:
            if options.detach:
                start.supervised(
                    ctx, container, lock, attach=False, notify=log.note, supervisor=supervisor
                )
                print(container.id)
                return 0
            return _attached(ctx, options, container, lock, config, supervisor)
    except (RlError, KeyboardInterrupt):
        _undo(ctx, options, container)
        raise


def _attached(
    ctx: "Context",
    options: "RunOptions",
    container: "Container",
    lock: "Lock",
    config: "dict[str, Any]",
    supervisor: "start.Supervisor | None",
) -> int:
    streams = tuple(name for name in ("stdout", "stderr") if config["rl"]["attach"][name])
    if supervisor is None:
        return start.in_foreground(
            ctx, container, lock, config, streams=streams,
            read_input=options.interactive, notify=log.note,
        )  # fmt: skip
    from rootless.runtime.attach import Connection, Detached

    client = start.supervised(
        ctx, container, lock, attach=True, notify=log.note, supervisor=supervisor
    )
    assert client is not None
    lock.close()
    connection = Connection(
        client,
        terminal=options.tty,
        read_input=options.interactive,
        detach_keys=several.detach_keys(ctx, options.detach_keys),
        sig_proxy=options.sig_proxy,
        streams=streams,
    )
    try:
        status = connection.relay()
    except Detached:
        return 0
    start.take_end(ctx)
    return status


def _undo(ctx: "Context", options: "RunOptions", container: "Container") -> None:
    """A container whose program never ran is not left behind."""
    from rootless.runtime import stop

    try:
        stop.remove(ctx, container, force=True, volumes=True)
    except RlError:
        pass  # it is gone, or the reason that is reported already stands in the way
    if options.cidfile:
        try:
            os.unlink(options.cidfile)
        except OSError:
            pass
