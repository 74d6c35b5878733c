"""Health checks: the command that tells whether a container does its work, run now and then.

Imported by the parent of a container that has one.  Docker's rules (daemon/health.go, as its
documentation of HEALTHCHECK tells them): the first probe comes one interval after the start;
exit code 0 is healthy, `Retries` other ones in a row are unhealthy; in the start period bad
answers do not count and `StartInterval` is the interval.  A probe that takes longer than
`Timeout` is killed and counts as -1.

The status is in state.json (`health`), so that `ps` reads no more than that; the last five
answers are in health.json, for `inspect`:

    {"Status": "healthy", "FailingStreak": 0, "Log": [{"Start", "End", "ExitCode", "Output"}]}
"""

import os
import time

from rootless import fastjson
from rootless.errors import ContainerError, RlError
from rootless.linux import process
from rootless.runtime import exec as execution
from rootless.runtime.exec_options import process_for_exec
from rootless.store import atomic, containers, events, pause_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.context import Context
    from rootless.runtime.streams import Pump
    from rootless.store.containers import Container

OUTPUT_MAX = 4096  # bytes of a probe's output that are kept
LOG_MAX = 5  # answers
KILL = 9
_INIT_END_S = 0.2  # so long after its processes an init that was killed may end
_DEFAULTS = {
    "Interval": 30 * 10**9,
    "Timeout": 30 * 10**9,
    "StartPeriod": 0,
    "StartInterval": 5 * 10**9,
    "Retries": 3,
}


def path(container: "Container") -> str:
    return f"{container.directory}/health.json"


def read(container: "Container") -> "dict[str, Any]":
    """health.json; as of a container that was never asked when there is none."""
    try:
        return atomic.read_json(path(container))
    except (FileNotFoundError, RlError):
        status = container.state.get("health", "starting")
        return {"Status": status, "FailingStreak": 0, "Log": []}


def need(container: "Container") -> None:
    """Raises ContainerError RL-HEALTH-NONE for a container without a health check."""
    test = (container.runtime_config()["rl"].get("health") or {}).get("Test") or ["NONE"]
    if test[0] in ("NONE", ""):
        raise ContainerError(
            f"{container.name} has no health check",
            remedy="give it one when you make it: --health-cmd, or HEALTHCHECK in its image",
            code="RL-HEALTH-NONE",
        )


def command(test: "list[str]") -> "list[str]":
    """The words that are executed for the "Test" of a health check."""
    if test[0] == "CMD-SHELL":
        return ["/bin/sh", "-c", *test[1:]]
    return test[1:] if test[0] == "CMD" else test


class Monitor:
    """Asks a running container how it is, in the loop of its parent."""

    def __init__(
        self, ctx: "Context", container: "Container", check: "dict[str, Any]", pump: "Pump"
    ) -> None:
        self._ctx = ctx
        self._container = container
        self._check = {**_DEFAULTS, **check}
        self._pump = pump
        self._began = time.monotonic()
        self._probe: _Probe | None = None
        self._turn = 0  # of the probe that is due next; a timer of an earlier one does nothing
        self._asking = False
        self._curious: list[Callable[[bytes], None]] = []
        log = read(container)["Log"]
        self._record: dict[str, Any] = {"Status": "starting", "FailingStreak": 0, "Log": log}
        container.write_state(health="starting")
        self._save()
        self._schedule()
        pump.ask_health = self.ask_now

    def _in_start_period(self) -> bool:
        age_ns = (time.monotonic() - self._began) * 10**9
        early = age_ns < int(self._check["StartPeriod"])
        return early and self._record["Status"] == "starting"

    def _schedule(self) -> None:
        name = "StartInterval" if self._in_start_period() else "Interval"
        self._turn += 1
        turn = self._turn
        self._pump.call_after(self._check[name] / 10**9, lambda: self._on_time(turn))

    def _on_time(self, turn: int) -> None:
        if turn != self._turn:
            return
        if pause_mark.is_paused(self._container):
            self._schedule()
        else:
            self._ask()

    def ask_now(self, tell: "Callable[[bytes], None]") -> None:
        """Ask out of turn, and `tell` {"ExitCode", "Status"}; the interval begins anew.

        A probe that is on its way answers this, too.
        """
        self._curious.append(tell)
        if not self._asking:
            self._turn += 1
            self._ask()

    def _ask(self) -> None:
        self._asking = True
        words = command(self._check["Test"])
        self._probe = _Probe(
            self._ctx, self._container, words, self._check["Timeout"], self._pump, self._answer
        )

    def close(self) -> None:
        """The container has ended."""
        if self._probe is not None:
            self._probe.close()

    def _answer(self, answer: "dict[str, Any]") -> None:
        """Take the answer of a probe, and wait for the next."""
        # A failure counts by when it was asked: Docker's rule.
        counts = not self._in_start_period()
        record = self._record
        before = record["Status"]
        if answer["ExitCode"] == 0:
            record["FailingStreak"], record["Status"] = 0, "healthy"
        elif counts:
            record["FailingStreak"] += 1
            if record["FailingStreak"] >= self._check["Retries"]:
                record["Status"] = "unhealthy"
        record["Log"] = [*record["Log"], answer][-LOG_MAX:]
        self._save()
        self._asking = False
        if record["Status"] != before:
            try:
                self._container.write_state(health=record["Status"])
            except RlError:
                pass  # a full disk; the container goes on
            events.record_container(
                self._ctx.paths, self._container, f"health_status: {record['Status']}"
            )
        told = {"ExitCode": answer["ExitCode"], "Status": record["Status"]}
        curious, self._curious = self._curious, []
        for tell in curious:
            tell(fastjson.dumps(told).encode())
        self._schedule()

    def _save(self) -> None:
        try:
            atomic.write_json(path(self._container), self._record, sync=False)
        except RlError:
            pass


class _Probe:
    """One command in the container, from its start to its answer, without waiting for it."""

    def __init__(
        self,
        ctx: "Context",
        container: "Container",
        words: "list[str]",
        timeout_ns: int,
        pump: "Pump",
        answer: "Callable[[dict[str, Any]], None]",
    ) -> None:
        self._pump = pump
        self._answer = answer
        self._timeout_ns = timeout_ns
        self._start = containers.now()
        self._output = bytearray()
        self._cut = False
        self._out_fd = self._pidfd = -1
        self._pid = 0
        self._done = self._late = False
        self._failure: object = None
        try:
            self._begin(ctx, container, words)
        except (RlError, OSError) as e:
            self._finish(-1, e.what if isinstance(e, RlError) else str(e))
            return
        pump.watch(self._joining.channel.fileno(), self._on_message, 0)
        pump.watch(self._out_fd, self._on_output, self._out_fd)
        pump.call_after(timeout_ns / 10**9, self._on_timeout)

    def _begin(self, ctx: "Context", container: "Container", words: "list[str]") -> None:
        values = {"args": words}
        document = process_for_exec(values, container.runtime_config(), environ={}, cwd="/")
        self._out_fd, write_fd = os.pipe()
        os.set_blocking(self._out_fd, False)
        null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        stdio = [null, write_fd, os.dup(write_fd)]
        self._joining = execution.Joining(ctx, container, document, stdio)

    def _on_message(self, _argument: int) -> None:
        """The joiner tells the PID, or why the program cannot run; then the channel ends."""
        name, body, fds = self._joining.channel.receive()
        for fd in fds:
            os.close(fd)
        if name == "pid" and isinstance(body, int):
            self._pid = body
            self._pidfd = os.pidfd_open(body)
            if self._late:
                process.signal_process(self._pidfd, KILL)
        elif name == "error":
            self._failure = body
        elif not name:
            self._pump.forget(self._joining.channel.fileno())
            self._joining.close()
            if self._pidfd >= 0:
                self._pump.watch(self._pidfd, self._on_end, 0)
            else:
                self._finish(-1, self._too_late() if self._late else _reason(self._failure))

    def _on_output(self, fd: int) -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        if not data:
            self._close_output()
            return
        room = OUTPUT_MAX - len(self._output)
        self._cut = self._cut or len(data) > room
        self._output += data[:room]

    def _close_output(self) -> None:
        if self._out_fd >= 0:
            self._pump.forget(self._out_fd)
            os.close(self._out_fd)
            self._out_fd = -1

    def _on_timeout(self) -> None:
        if self._done:
            return
        self._late = True
        if self._pidfd >= 0:
            process.signal_process(self._pidfd, KILL)
        else:
            self._joining.kill()

    def _on_end(self, _argument: int) -> None:
        self._pump.forget(self._pidfd)
        if self._out_fd >= 0:
            self._on_output(self._out_fd)
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        text = self._output.decode("utf-8", "replace") + "..." * self._cut
        if self._late:
            self._finish(-1, self._too_late() + (f": {text}" if text else ""))
        elif self._failure is not None:
            self._finish(-1, _reason(self._failure))
        elif code == -KILL:
            # Mostly the kernel, because the init has ended: it tells of the others first, and an
            # answer is not to be made of it.
            self._pump.call_after(_INIT_END_S, lambda: self._finish(128 + KILL, text))
        else:
            self._finish(128 - code if code < 0 else code, text)

    def _too_late(self) -> str:
        return f"Health check exceeded timeout ({_go_duration(self._timeout_ns)})"

    def close(self) -> None:
        """The container has ended, and the probe with it."""
        if not self._done:
            self._done = True
            self._close_output()
            if self._pidfd >= 0:
                process.signal_process(self._pidfd, KILL)
                os.close(self._pidfd)

    def _finish(self, exit_code: int, output: str) -> None:
        if self._done:
            return  # the container has ended
        self._done = True
        self._close_output()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        end = containers.now()
        self._answer({"Start": self._start, "End": end, "ExitCode": exit_code, "Output": output})


def _reason(reported: object) -> str:
    if isinstance(reported, dict):
        return str(reported.get("what", "the probe could not be started"))
    return "the probe could not be started"


def _go_duration(nanoseconds: int) -> str:
    """As Go prints a duration of whole milliseconds: 500ms, 1.5s, 1m30s, 1h0m0s."""
    if nanoseconds < 10**9:
        return f"{nanoseconds / 10**6:.9g}ms"
    minutes, rest = divmod(nanoseconds, 60 * 10**9)
    seconds = f"{rest / 10**9:.9g}s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds
