"""Stopping, killing, waiting for and removing containers.  Warm."""

import os
import select
import time

from rootless.errors import ContainerError
from rootless.linux import process
from rootless.store import containers, events, pause_mark
from rootless.store import volumes as volume_store
from rootless.store.containers import KILLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypedDict

    from rootless.context import Context
    from rootless.store.containers import Container

    class Manner(TypedDict):
        """Keywords of stop()."""

        signal: str
        timeout_s: float


KILL = 9
_NUDGE = 10  # SIGUSR1 to the supervisor: look again; as rootless.runtime.supervisor has it
NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
).split()  # signal(7), x86 and ARM, from 1 on


def signal_number(text: str) -> int:
    """The number of "SIGTERM", "term", "15", "RTMIN+3".  Raises ContainerError."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isdecimal() and 0 < int(name) <= 64:
        return int(name)
    if name in NAMES:
        return NAMES.index(name) + 1
    for base, first in (("RTMIN", 34), ("RTMAX", 64)):
        offset = name.removeprefix(base)
        if name.startswith(base) and (not offset or offset[0] in "+-"):
            number = first + int(offset) if offset[1:].isdecimal() else first if not offset else 0
            if 34 <= number <= 64:
                return number
    raise ContainerError(
        f"there is no signal {text}",
        remedy="use a name as SIGTERM or a number from 1 to 64",
        code="RL-SIGNAL",
    )


def manner(container: "Container", values: "Mapping[str, object]") -> "Manner":
    """How to stop `container`: --signal and --time, else what it was created with."""
    asked = values.get("time")
    timeout_s = asked if isinstance(asked, int) else container.config.get("stop_timeout", 10)
    signal = str(values.get("signal") or container.config.get("stop_signal", "SIGTERM"))
    return {"signal": signal, "timeout_s": timeout_s}


def stop(ctx: "Context", container: "Container", *, signal: str, timeout_s: float) -> None:
    """Ask the container to end with `signal`; after `timeout_s` seconds (-1: never) kill it.

    Returns when the supervisor has cleaned up.  A container that does not run is fine; one that
    waits for its restart stays down.
    """
    container.need_here("stop")
    if _end_run(ctx, container, signal_number(signal), timeout_s):
        events.record_container(ctx.paths, container, "stop")


def _end_run(ctx: "Context", container: "Container", number: int, timeout_s: float) -> bool:
    """End the run that goes on, or is about to, and wait until its supervisor has ended.

    Whether there was one.  A run that another command has begun after its end is left alone.
    """
    ended = None  # the supervisor whose init has ended
    try:
        while not containers.is_unlocked(container.directory):
            container.read_state()
            supervisor = container.state.get("supervisor")
            if ended is not None and supervisor != ended:
                break
            if container.restarts:
                keep_down(container)
                nudge(container)
            if _end_init(ctx, container, number, timeout_s):
                ended = supervisor
            else:
                time.sleep(0.002)
    except ContainerError:
        pass  # it is removed
    return ended is not None


def _end_init(ctx: "Context", container: "Container", number: int, timeout_s: float) -> bool:
    """Signal the init and wait for its end, by SIGKILL after `timeout_s`; False without one."""
    pidfd = container.pidfd()
    if pidfd < 0:
        return False
    try:
        _signal(ctx, container, pidfd, number)
        if not wait_ended(pidfd, timeout_s):
            _signal(ctx, container, pidfd, KILL)
            wait_ended(pidfd, -1)
    finally:
        os.close(pidfd)
    return True


def keep_down(container: "Container") -> None:
    """No restart policy starts it after its next end."""
    try:
        os.close(os.open(container.stop_mark, os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError:
        pass  # it is removed; on a full disk its next end is not the last one


def nudge(container: "Container") -> None:
    """Let a supervisor that waits before a restart look again: at marks, and at the policy."""
    if container.state.get("status") != "restarting":
        return
    supervisor = container.state.get("supervisor") or {}
    pidfd = process.open_pidfd(int(supervisor.get("pid", 0)), int(supervisor.get("start_time", 0)))
    if pidfd >= 0:
        process.signal_process(pidfd, _NUDGE)
        os.close(pidfd)


def _signal(ctx: "Context", container: "Container", pidfd: int, number: int) -> None:
    # Before the signal: what comes of it, the supervisor notes.
    events.record_container(ctx.paths, container, "kill", signal=str(number))
    if process.signal_process(pidfd, number):
        _resume(ctx, container)


def kill(ctx: "Context", container: "Container", signal: str) -> None:
    """Send `signal` to the container's init.  After SIGKILL, wait for the clean-up.

    As with Docker, SIGKILL and the container's stop signal are meant to end it for good.
    """
    container.need_here("kill")
    number = signal_number(signal)
    final = number in (KILL, signal_number(str(container.config.get("stop_signal", "SIGTERM"))))
    if container.state.get("status") == "restarting" and final:
        _end_run(ctx, container, KILL, -1)
        return
    pidfd = container.need_running("kill")
    if final and container.restarts:
        keep_down(container)
    try:
        _signal(ctx, container, pidfd, number)
        if number == KILL:
            wait_ended(pidfd, -1)
    finally:
        os.close(pidfd)
    if number == KILL:
        wait_cleaned_up(container)


def _resume(ctx: "Context", container: "Container") -> None:
    """A paused container goes on when a signal was sent, as with Docker: it is to see it."""
    if pause_mark.is_paused(container):
        from rootless.runtime import pause

        try:
            pause.unpause(ctx, container)
        except ContainerError:
            pass  # it has ended meanwhile


def wait_ended(pidfd: int, timeout_s: float) -> bool:
    """Wait until the process behind `pidfd` has ended; False if `timeout_s` passed first.

    Does not reap: its parent does.  poll(2) on a pidfd needs Linux 5.3.
    """
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    deadline = time.monotonic() + timeout_s
    while True:
        left_s = deadline - time.monotonic()
        # poll(2) takes milliseconds in an int: a long wait is several short ones.
        timeout_ms = None if timeout_s < 0 else max(0, min(int(left_s * 1000) + 1, 1 << 30))
        if poll.poll(timeout_ms):
            return True
        if timeout_s >= 0 and left_s <= 0:
            return False


def wait_cleaned_up(container: "Container") -> None:
    """Wait until the supervisor of the run that `container.state` is of has ended.

    Another command may start the container anew meanwhile: the lock is that run's then.
    """
    run = container.state.get("pid"), container.state.get("start_time")
    try:
        while not containers.is_unlocked(container.directory):
            container.read_state()
            newer = run != (container.state.get("pid"), container.state.get("start_time"))
            if newer and container.state.get("status") == "running":
                return
            time.sleep(0.002)
    except ContainerError:
        pass  # it is removed: cleaned up with --rm


def wait(ctx: "Context", container: "Container") -> int:
    """Block until the container does not run, or is about to start again; its exit code."""
    container.need_here("wait for")
    if container.restarts:
        return _wait_for_end(ctx, container)
    try:
        lock = containers.wait_for_lock(container.directory)
    except ContainerError:
        return 0  # removed between the look-up and now
    with lock:
        code = lock.exit_code()
        if code >= 0:
            return code
    found = containers.find(ctx, container.id)
    return int(found.state.get("exit_code", 0))


def _wait_for_end(ctx: "Context", container: "Container") -> int:
    """The next end of a container that may start again: its supervisor, and lock, live on."""
    from rootless.linux import inotify

    watch = inotify.watch_changes(container.directory)
    poll = select.poll()
    if watch >= 0:
        poll.register(watch, select.POLLIN)
    try:
        container.read_state()
        count = container.state.get("restart_count", 0)
        # A supervisor that is killed writes nothing: find() does.
        while container.running and container.state.get("restart_count", 0) == count:
            if poll.poll(1000):
                os.read(watch, 65536)
            container = containers.find(ctx, container.id)
    except ContainerError as e:
        if e.code != "RL-CONTAINER-NOT-FOUND":
            raise
        return KILLED  # removed by force
    finally:
        if watch >= 0:
            os.close(watch)
    if container.running:
        lock = containers.open_lock(container.directory)
        with lock:
            return lock.exit_code()
    return int(container.state.get("exit_code", 0))


def remove(ctx: "Context", container: "Container", *, force: bool, volumes: bool) -> None:
    """Remove the container, after killing it with `force`; `volumes`: anonymous ones too.

    Raises ContainerError RL-CONTAINER-RUNNING.
    """
    container.need_here("remove")
    lock = containers.try_lock(container.directory)
    if lock is None:
        if not force:
            raise ContainerError(
                f"cannot remove {container.name}: the container is running",
                remedy=f"stop it first (rl stop {container.name}), or use rl rm -f",
                code="RL-CONTAINER-RUNNING",
            )
        lock = _kill_and_lock(container)
        if lock is None:
            return  # it was run with --rm, and has removed itself
    with lock:
        container.read_state()
        if container.running:
            # Its supervisor was killed between our look and the lock.
            from rootless.store import reconciliation

            reconciliation.clean_up(ctx, container)
        if volumes:
            volume_store.discard(ctx, container, lock)
        else:
            containers.remove(ctx, container, lock)


def _kill_and_lock(container: "Container") -> "containers.Lock | None":
    """Kill until the lock is ours: a container may be starting, with no init to be seen yet."""
    while True:
        try:
            container.read_state()
            if container.restarts:
                keep_down(container)
                nudge(container)
            pidfd = container.pidfd()
            if pidfd >= 0:
                process.signal_process(pidfd, KILL)
                wait_ended(pidfd, -1)
                os.close(pidfd)
                if not container.restarts:
                    wait_cleaned_up(container)
            lock = containers.try_lock(container.directory)
        except ContainerError:
            return None
        if lock is not None:
            return lock
        time.sleep(0.002)
