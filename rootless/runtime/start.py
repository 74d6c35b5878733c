"""Starting a container: in the foreground, or with a supervisor.  Warm."""

import _socket
import os
import sys
import time

from rootless.errors import ContainerError, RlError
from rootless.linux import channel as channels
from rootless.linux import process, signals
from rootless.runtime import stage
from rootless.store import containers
from rootless.trace import Trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container, Lock


def in_foreground(
    ctx: "Context",
    container: "Container",
    lock: "Lock",
    config: "dict[str, Any]",
    *,
    streams: "tuple[str, ...]",
    read_input: bool,
    notify: "Callable[[str], None]",
) -> int:
    """Run the container as a child of this process until it ends; its exit code.

    Signals are passed on.  Raises RlError when the program could not be started.
    """
    # Not for those who start a supervisor: it is the one that needs them.
    from rootless.runtime.streams import LocalClient
    from rootless.runtime.supervise import Supervision

    supervision = Supervision(ctx, container, lock)
    supervision.start(config)
    for note in supervision.notes:
        notify(note)
    pidfd = supervision.pidfd
    signals.handle(signals.FORWARDED, lambda number, _: process.signal_process(pidfd, number))
    pump = supervision.pump
    client = LocalClient(pump, streams, read_input=read_input)
    pump.clients.append(client)
    pump.run()
    exit_code = supervision.finish()
    if supervision.oom_killed:
        notify(supervision.why_ended)
    if supervision.restarting:  # by a policy that it was given meanwhile
        start_or_record(
            container, lambda: supervised(ctx, container, lock, attach=False, notify=notify)
        )
        lock.close()
    # What comes now is meant for rl.
    signals.restore(signals.FORWARDED)
    client.finish()
    if client.failure:
        notify(f"the container's output could not be written: {client.failure}")
    return exit_code


# Modules.  A supervisor has the memory of what it was forked from, some 15 KiB for each: what runs
# by way of Typer, or has pulled an image, starts it from nothing.
_LIGHT = 110

_PATIENCE_S = 10  # for other commands that work on a container that is to be started


class Supervisor:
    """A supervisor process that waits to be given its container.

    Made early, it starts up while this process makes the container.  It ends when this process
    does without having given it one.
    """

    __slots__ = ("channel", "pid")

    def __init__(self, ctx: "Context") -> None:
        self.channel, theirs = channels.pair()
        try:
            make = _fork if len(sys.modules) <= _LIGHT else _spawn
            self.pid = make(ctx, theirs)
        finally:
            theirs.close()


def supervised(
    ctx: "Context",
    container: "Container",
    lock: "Lock",
    *,
    attach: bool,
    notify: "Callable[[str], None]",
    supervisor: "Supervisor | None" = None,
) -> "_socket.socket | None":
    """Start the container under a supervisor of its own, and return when its program runs.

    With `attach`, a socket that is attached from the first byte on.  The supervisor takes over
    the lock.  Raises RlError with the reason when the program could not be started.
    """
    supervisor = supervisor or Supervisor(ctx)
    client, client_end = _socket.socketpair() if attach else (None, None)
    given = [lock.fd]
    if client_end is not None:
        given.append(client_end.fileno())
    trace = ctx.trace
    if trace is not None:
        supervisor.channel.send("trace", {"path": trace.path, "asked_ns": time.monotonic_ns()})
    supervisor.channel.send("serve", container.id, given)
    if client_end is not None:
        client_end.close()
    name, body, fds = supervisor.channel.receive()
    if trace is None:
        supervisor.channel.close()
    else:
        trace.later = supervisor.channel
        if name == "trace":
            text = f"the supervisor, PID {supervisor.pid}, which stays with the container"
            trace.adopt(text, Trace(fd=fds[0]), track="supervisor", pid=supervisor.pid)
            name, body, _ = supervisor.channel.receive()
    if name == "started" and isinstance(body, dict):
        for note in body["notes"]:
            notify(note)
        return client
    os.waitpid(supervisor.pid, 0)
    if name == "error":
        stage.raise_reported(body)
    raise ContainerError(
        "the supervisor ended before the container started",
        remedy="it may have been killed for memory; try again, and report it if it stays",
        code="RL-SUPERVISOR",
    )


def take_end(ctx: "Context") -> None:
    """For a trace: what the supervisor has done at the end of the container, which has come."""
    trace = ctx.trace
    if trace is None or not isinstance(trace.later, channels.Channel):
        return
    trace.lap("was attached to the container, until its end")
    name, _, fds = trace.later.receive()
    if name == "end":
        trace.adopt("the supervisor, at the end", Trace(fd=fds[0]), track="supervisor")
        trace.later.send("taken")


def _fork(ctx: "Context", channel: channels.Channel) -> int:
    """The supervisor as a fork of this process, in a session of its own; its PID.

    It has the interpreter, and most of the modules, that it needs.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        process.leave_caller(channel.fileno())
        from rootless.runtime import supervisor

        os._exit(supervisor.serve(ctx.paths.store, ctx.paths.runtime, channel))
    finally:
        os._exit(1)


def _spawn(ctx: "Context", channel: channels.Channel) -> int:
    """The supervisor as a process that starts from nothing; its PID."""
    channel_fd = channel.fileno()
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    site = process.site_directories()
    argv = [
        sys.executable, "-I", "-S", ctx.helper("supervisor/supervisor.py"), package, site,
        ctx.paths.store, ctx.paths.runtime, str(channel_fd),
    ]  # fmt: skip
    os.set_inheritable(channel_fd, True)
    return os.posix_spawn(
        sys.executable,
        argv,
        ctx.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ],
        setsid=True,
        setsigdef=process.PYTHON_IGNORES,
    )


def hold(ctx: "Context", container: "Container") -> "Lock":
    """The lock of a container that does not run: nobody starts or removes it meanwhile.

    Raises ContainerError RL-CONTAINER-BUSY while another command has it.
    """
    container.need_here("work on")
    lock = containers.try_lock(container.directory)
    if lock is None:
        raise ContainerError(
            f"another command is working on {container.name}",
            remedy="try again when it is done",
            code="RL-CONTAINER-BUSY",
        )
    container.read_state()
    if os.path.exists(container.pending_path):
        from rootless.runtime import pending

        pending.finish(ctx, container)
    return lock


def again(
    ctx: "Context",
    container: "Container",
    notify: "Callable[[str], None]",
    *,
    attach: bool = False,
    kept: "Lock | None" = None,
) -> "_socket.socket | None":
    """Start a container (again) under a supervisor, as supervised() does.

    None, with `attach` too, where it runs since another command has started it meanwhile.  `kept`
    is what keeps one of --rm until then.
    """
    lock = _hold_or_running(ctx, container)
    if kept is not None:
        kept.close()
    if lock is None:
        return None
    with lock:
        if container.restarts:
            try:
                os.unlink(container.stop_mark)
            except FileNotFoundError:
                pass
        if container.state.get("restart_count"):
            container.write_state(restart_count=0)
        if ctx.trace is not None:
            ctx.trace.lap(f"found the container {container.name} and took its lock")
        return start_or_record(
            container, lambda: supervised(ctx, container, lock, attach=attach, notify=notify)
        )


def _hold_or_running(ctx: "Context", container: "Container") -> "Lock | None":
    """hold(), or None when it runs.

    Waits for a while until those who work on it are done: its last run may just be ending.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return hold(ctx, container)
        except ContainerError as e:
            if e.code != "RL-CONTAINER-BUSY" or time.monotonic() > deadline:
                raise
        container.read_state()
        pidfd = container.pidfd()
        if pidfd >= 0:
            os.close(pidfd)
            return None
        if container.state.get("status") == "restarting":
            return None
        time.sleep(0.002)


def start_or_record(
    container: "Container", start: "Callable[[], _socket.socket | None]"
) -> "_socket.socket | None":
    """`start()`; a failure is noted in the container's state for `rl inspect`, and raised."""
    try:
        return start()
    except RlError as e:
        # One that has run stays what it was: the next boot tries again.
        status = "exited" if container.state.get("started_at") else "created"
        container.write_state(status=status, exit_code=e.exit_status, error=e.what)
        raise
