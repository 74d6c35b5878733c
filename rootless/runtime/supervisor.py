"""The supervisor of one detached container: a small process, the container's parent.

Started by rootless.runtime.start as `python -I -S helpers/supervisor/supervisor.py`; it reports
once on its channel ("started", or "error" with the reason), and then serves the container until
its end: log, attached clients, clean-up.
"""

import os

from rootless.context import Context
from rootless.errors import RlError
from rootless.linux import channel as channels
from rootless.linux import process, signals
from rootless.paths import Paths
from rootless.runtime import stage
from rootless.runtime.attach import Listener
from rootless.runtime.supervise import Supervision
from rootless.store import atomic
from rootless.store.containers import Container, Lock


def main(argv: list[str]) -> int:
    """STORE RUNTIME CONTAINER-ID REPORT-FD LOCK-FD CLIENT-FD, descriptors inherited; -1 for no
    client."""
    store, runtime, container_id = argv[:3]
    report_fd, lock_fd, client_fd = (int(word) for word in argv[3:6])
    report = channels.from_fd(report_fd)
    os.set_inheritable(lock_fd, False)
    lock = Lock(lock_fd)
    ctx = Context(
        paths=Paths(store, runtime),
        uid=os.getuid(),
        gid=os.getgid(),
        home=os.environ.get("HOME", "/"),
        environ=os.environ,
        config={},
        debug=False,
    )
    # A terminal that hangs up, or Ctrl-C in a shell, is not meant for a detached container.
    for number in (signals.SIGHUP, signals.SIGINT, signals.SIGQUIT):
        signals.ignore(number)
    try:
        directory = ctx.paths.container(container_id)
        container = Container(
            container_id, directory, atomic.read_json(f"{directory}/container.json")
        )
        container.read_state()
        supervision = Supervision(ctx, container, lock)
        supervision.start(container.runtime_config())
        signals.handle(
            [signals.SIGTERM], lambda *_: process.signal_process(supervision.pidfd, signals.SIGTERM)
        )
        listener = Listener(
            attach_path(ctx.paths, container_id), supervision.pump, supervision.pidfd
        )
    except (RlError, OSError) as e:
        stage.report(report, e)
        return 125
    if client_fd >= 0:
        listener.adopt(client_fd)
    report.send("started", {"notes": supervision.notes})
    report.close()
    supervision.pump.run()
    clients = supervision.pump.clients
    listener.close()
    exit_code = supervision.finish()
    for client in list(clients):
        client.finished(exit_code)
    return 0


def attach_path(paths: Paths, container_id: str) -> str:
    """The socket that `rl attach` and `rl start -a` connect to."""
    return f"{paths.container_runtime(container_id)}.attach"
