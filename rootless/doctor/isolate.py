"""Probes in processes of their own, side by side, with a deadline.

Processes and not threads: probes make namespaces, and what they break must die with them.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence

from rootless.doctor.verdict import UNTESTED, Ladder, Rung
from rootless.errors import RlError
from rootless.records import asdict

Probe = Callable[[], list[Ladder]]


class _Running:
    """A probe's process: a session of its own, so that what it starts can be ended with it."""

    def __init__(self, name: str, probe: Probe) -> None:
        self.name = name
        self.data = b""
        self.fd, write_fd = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.setsid()
                os.close(self.fd)
                # Programs and libraries of a probe do not write on the user's terminal.
                null = os.open("/dev/null", os.O_RDWR)
                for fd in (0, 1, 2):
                    os.dup2(null, fd)
                _write_all(write_fd, json.dumps(_answer(name, probe)).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(write_fd)

    def end(self) -> None:
        """Reap the probe, and end what it left behind."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it has not called setsid yet, or nothing of it is left
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def ladders(self) -> list[Ladder]:
        """The answer; one untested rung when there is none."""
        try:
            return [Ladder.from_dict(item) for item in json.loads(self.data)]
        except ValueError:
            rung = Rung(self.name, UNTESTED, "the probe gave no answer in time")
            return [Ladder(self.name, self.name.capitalize(), [rung])]


def _answer(name: str, probe: Probe) -> list[dict[str, object]]:
    try:
        ladders = probe()
    except (RlError, OSError, ValueError) as e:
        reason = e.one_line() if isinstance(e, RlError) else str(e)
        rung = Rung(name, UNTESTED, f"the probe failed: {reason}")
        ladders = [Ladder(name, name.capitalize(), [rung])]
    return [asdict(ladder) for ladder in ladders]


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def run(probes: Sequence[tuple[str, Probe]], timeout_s: float = 30.0) -> list[list[Ladder]]:
    """Run all probes at once; their ladders, in the order given."""
    running = [_Running(name, probe) for name, probe in probes]
    deadline = time.monotonic() + timeout_s
    waiting = {one.fd: one for one in running}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN | select.POLLHUP)
    try:
        while waiting and (left := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                chunk = os.read(fd, 65536)
                waiting[fd].data += chunk
                if not chunk:
                    poll.unregister(fd)
                    del waiting[fd]
    finally:
        for one in running:
            one.end()
    return [one.ladders() for one in running]
