"""The supervisor of one detached container: a small process, the container's parent.

Started by rootless.runtime.start, as a fork of rl or as `python -I -S
helpers/supervisor/supervisor.py`; it is given a container on its channel, reports once ("started",
or "error" with the reason), and then serves the container until its end: log, attached clients,
clean-up.
"""

import gc
import os

from rootless.context import Context
from rootless.errors import RlError
from rootless.linux import channel as channels
from rootless.linux import process, signals
from rootless.paths import Paths
from rootless.runtime import stage
from rootless.runtime.attach import Listener, end_clients
from rootless.runtime.supervise import Supervision, record_stopped
from rootless.store import atomic
from rootless.store.containers import Container, Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.trace import Span

_NUDGE = 10  # SIGUSR1, "look again": from stop, kill, rm -f and update


def main(argv: list[str]) -> int:
    """STORE RUNTIME CHANNEL-FD, the descriptor inherited."""
    store, runtime, channel_fd = argv
    return serve(store, runtime, channels.from_fd(int(channel_fd)))


def serve(store: str, runtime: str, report: channels.Channel) -> int:
    """Serve the container that `report` gives; the exit status.

    The message is "serve": the container's ID, its lock, and a client's socket if there is one
    already; the answer is "started" or "error".  A message "trace" before asks for a trace: it
    comes as "trace" before the answer, and for what is done at the end of the container as "end".
    """
    trace = None
    # What is there now stays; of what comes, little is to be kept for long.
    gc.freeze()
    gc.set_threshold(700)
    name, container_id, fds = report.receive()
    if name == "trace":
        from rootless.trace import Trace

        assert isinstance(container_id, dict)
        trace = Trace(container_id["path"])
        trace.since(container_id["asked_ns"])
        trace.lap("the supervisor was ready to start it")
        name, container_id, fds = report.receive()
    if name != "serve":
        return 0  # there is no container to be started after all
    assert isinstance(container_id, str)
    process.set_title(f"rl-supervisor {container_id[:12]}")
    lock = Lock(fds[0])
    ctx = Context(
        paths=Paths(store, runtime),
        uid=os.getuid(),
        gid=os.getgid(),
        home=os.environ.get("HOME", "/"),
        environ=os.environ,
        config={},
        debug=False,
    )
    ctx.trace = trace
    # A terminal that hangs up, or Ctrl-C in a shell, is not meant for a detached container.
    for number in (signals.SIGHUP, signals.SIGINT, signals.SIGQUIT):
        signals.ignore(number)
    try:
        directory = ctx.paths.container(container_id)
        container = Container(
            container_id, directory, atomic.read_json(f"{directory}/container.json")
        )
        container.read_state()
        run = _Run(ctx, container, lock)
    except (RlError, OSError) as e:
        if trace is not None:
            trace.hand_over(lambda fd: report.send("trace", fds=[fd]))
        stage.report(report, e)
        return 125
    for client_fd in fds[1:]:
        run.listener.adopt(client_fd)
    if trace is not None:
        trace.hand_over(lambda fd: report.send("trace", fds=[fd]))
        run.report = report
    report.send("started", {"notes": run.supervision.notes})
    if trace is None:
        report.close()
    run.serve()
    ctx.trace = None  # it was of the first run
    if run.supervision.restarting:
        run = _restart(ctx, container, lock, run)
    return run.exit_code


class _Run:
    """One run of the container: its Supervision, and the socket for clients."""

    def __init__(self, ctx: Context, container: Container, lock: Lock) -> None:
        self._lock = lock
        self.trace = ctx.trace
        self.report: channels.Channel | None = None  # who wants the end of the trace
        self.supervision = Supervision(ctx, container, lock)
        self.exit_code = 0
        # Those who want it to look again have no need to while it runs.
        signals.handle([_NUDGE], lambda *_: None)
        self.supervision.start(container.runtime_config())
        signals.handle(
            [signals.SIGTERM],
            lambda *_: process.signal_process(self.supervision.pidfd, signals.SIGTERM),
        )
        self.listener = Listener(
            attach_path(ctx.paths, container.id), self.supervision.pump, self.supervision.pidfd
        )

    def serve(self) -> None:
        """Until its end; those who are attached get the exit code."""
        pump = self.supervision.pump
        pump.run()
        clients = list(pump.clients)
        self.listener.close()
        self.exit_code = self.supervision.finish()
        if self.trace is not None and self.report is not None:
            spans = self.trace.spans
            channel = self.report
            self.trace.hand_over(lambda fd: channel.send("end", fds=[fd]))
        if not self.supervision.restarting:
            end_clients(clients, self.exit_code)
        elif clients and os.fork() == 0:
            # The next run does not wait for those who still read of this one.
            self._lock.close()
            end_clients(clients, self.exit_code)
            os._exit(0)
        else:
            for client in clients:
                client.close()
        if self.trace is not None and self.report is not None:
            self._keep_trace(spans)

    def _keep_trace(self, spans: "list[Span]") -> None:
        """Put the end into the trace's file, when the command that began it has gone."""
        assert self.trace is not None
        assert self.report is not None
        if self.report.receive()[0] != "taken" and self.trace.path:
            from rootless.runtime import trace_file

            trace_file.add(self.trace.path, spans)
        self.report.close()


def _restart(ctx: Context, container: Container, lock: Lock, run: _Run) -> _Run:
    """Start the container again and again, as its policy says; its last run."""
    from rootless.runtime.restart import Backoff

    backoff = Backoff()
    while run.supervision.restarting:
        count = int(container.state["restart_count"])
        if not backoff.wait(container, run.exit_code, count, run.supervision.ran_ns):
            record_stopped(container, lock)
            return run
        run.supervision.close()
        try:
            if os.path.exists(container.pending_path):
                _finish_pending(ctx, container)
            run = _Run(ctx, container, lock)
        except (RlError, OSError) as e:
            record_stopped(container, lock, e.what if isinstance(e, RlError) else str(e))
            return run
        run.serve()
    return run


def _finish_pending(ctx: Context, container: Container) -> None:
    """It has ended while it got other layers: let that be finished, or finish it."""
    from rootless.runtime import pending
    from rootless.store.locks import Locked

    with Locked(container.layers_lock_path):
        if os.path.exists(container.pending_path):
            pending.finish(ctx, container)


def attach_path(paths: Paths, container_id: str) -> str:
    """The socket that `rl attach` and `rl start -a` connect to."""
    return f"{paths.container_runtime(container_id)}.attach"
