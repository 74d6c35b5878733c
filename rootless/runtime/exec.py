"""`rl exec`: a process that joins a running container.  Warm.

One setns(2) with the init's pidfd enters all its namespaces; the clone that follows, needed for
the PID namespace, is made a child of rl itself (CLONE_PARENT), so that nothing stands between.
"""

import errno
import os

from rootless.errors import KernelError, LimitError
from rootless.linux import channel as channels
from rootless.linux import process, pty, signals, syscalls
from rootless.linux.namespaces import become_root, join_owner_of_mounts
from rootless.runtime import rootfs, stage
from rootless.runtime.attach import DetachKeys
from rootless.runtime.execute import ProcessPlan, set_oom_score
from rootless.runtime.execute import execute as become
from rootless.runtime.streams import LocalClient, Pump, pipes, split
from rootless.store import execs
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from rootless.context import Context
    from rootless.store.containers import Container


def execute(
    ctx: "Context", container: "Container", document: "dict[str, Any]", detach_keys: bytes
) -> int:
    """Run the process of `document` (exec_options) in the container; its exit status.

    With detach, 0 as soon as it runs: a keeper stays its parent.  Raises RlError: not running, no
    such program, user or directory.
    """
    if document["rl"]["detach"]:
        _Keeper(ctx, container, document).close()
        return 0
    if document["terminal"]:
        return _with_terminal(ctx, container, document, detach_keys)
    pid, _, ends = _begin(ctx, container, document)
    record = execs.Record(ctx, container, document, pid)
    pump = _pump(pid, *split(ends))
    client = LocalClient(pump, ("stdout", "stderr"), read_input=document["rl"]["interactive"])
    pump.clients.append(client)
    pump.run()
    exit_code = _exit_code(pid)
    record.finish(exit_code)
    signals.restore(signals.FORWARDED)
    client.finish()
    return exit_code


def _with_terminal(
    ctx: "Context", container: "Container", document: "dict[str, Any]", detach_keys: bytes
) -> int:
    """The process may outlive us: a keeper is its parent, and we show its terminal."""
    keeper = _Keeper(ctx, container, document)
    interactive = document["rl"]["interactive"]
    pump = _pump(keeper.pid, {keeper.master: "stdout"}, keeper.master)
    client = TerminalClient(pump, detach_keys, read_input=interactive)
    pump.clients.append(client)
    with _Raw(interactive):
        pump.run(until=lambda: client.detached)
        signals.restore(signals.FORWARDED)
        client.finish()
    if client.detached:
        keeper.detach()
        return 0
    return keeper.exit_code()


def _begin(
    ctx: "Context", container: "Container", document: "dict[str, Any]"
) -> "tuple[int, int, dict[int, str]]":
    """(PID, terminal's master or -1, our ends of the pipes) of the process, which runs."""
    stdio, ends = _stdio(document["rl"], bool(document["terminal"]))
    joining = Joining(ctx, container, document, stdio, note_owners=True)
    try:
        pid, master, listener_fd = _started(joining.channel)
    finally:
        joining.close()
    if listener_fd >= 0:
        _note_owners(container, listener_fd)
    return pid, master, ends


class _Keeper:
    """A child of ours that is the parent of the process, so that its exit code is kept when we
    have left, and that empties its terminal then.

    Raises what kept the process from running.
    """

    __slots__ = ("_channel", "master", "pid")

    def __init__(self, ctx: "Context", container: "Container", document: "dict[str, Any]") -> None:
        self._channel, theirs = channels.pair()
        child = os.fork()
        if child == 0:
            try:
                process.leave_caller(theirs.fileno())
                _keep(ctx, container, document, theirs)
            finally:
                os._exit(0)
        theirs.close()
        name, body, fds = self._channel.receive()
        if name == "started" and isinstance(body, int):
            self.pid = body
            self.master = fds[0] if fds else -1
            return
        os.waitpid(child, 0)
        if name == "error":
            stage.raise_reported(body)
        raise KernelError("fork", 10, "the parent of the command was killed")

    def exit_code(self) -> int:
        """Wait for the end of the process; killed with its keeper it has none, and 137 stands."""
        self._channel.send("wait")
        _, body, _ = self._channel.receive()
        return body if isinstance(body, int) else 137

    def detach(self) -> None:
        """Leave; the process and its terminal stay."""
        self._channel.send("detach")
        self.close()

    def close(self) -> None:
        self._channel.close()


def _keep(
    ctx: "Context", container: "Container", document: "dict[str, Any]", channel: channels.Channel
) -> None:
    """The keeper's life."""
    try:
        pid, master, _ = _begin(ctx, container, document)
    except BaseException as e:
        stage.report(channel, e)
        return
    record = execs.Record(ctx, container, document, pid)
    if document["rl"]["detach"]:
        channel.send("started", pid)
        order = ""
    else:
        channel.send("started", pid, [master])
        order, _, _ = channel.receive()
    if order == "detach":
        record.detached()
    if master >= 0 and (order == "detach" or document["rl"]["detach"]):
        _empty(master)
    elif master >= 0:
        os.close(master)  # it hangs up, if rl was killed
    exit_code = _exit_code(pid)
    record.finish(exit_code)
    channel.send("ended", exit_code)


class Joining:
    """A process on its way into the container: a joiner, and the channel that tells how it goes.

    The channel gives "pid" and "terminal", or "error", and ends when the program runs; with
    `note_owners` and one ID "owners", too.  Closes `stdio`, the descriptors of the process.
    Raises RlError when the container does not run.
    """

    __slots__ = ("_joiner", "channel")

    def __init__(
        self,
        ctx: "Context",
        container: "Container",
        document: "dict[str, Any]",
        stdio: list[int],
        *,
        note_owners: bool = False,
    ) -> None:
        extension = document["rl"]
        plan = rootfs.process_plan(
            ctx, document, extension["user"], extension["groups"], extension["seccomp"]
        )
        if container.state.get("one_id"):
            plan.one_id = rootfs.one_id_program(ctx)
            if note_owners:
                rootfs.note_owners(ctx, plan)
            plan.env = [f"APT_CONFIG={rootfs.APT_CONF_PATH}", *plan.env]
        try:
            pidfd = container.need_running("execute a command in")
            self.channel, theirs = channels.pair()
            self._joiner = os.fork()
            if self._joiner == 0:
                self.channel.close()
                _join(ctx, container, pidfd, plan, theirs, stdio, detach=extension["detach"])
            theirs.close()
            os.close(pidfd)
        finally:
            for fd in stdio:
                os.close(fd)

    def kill(self) -> None:
        """Give up before there is a process."""
        os.kill(self._joiner, 9)

    def close(self) -> None:
        os.waitpid(self._joiner, 0)
        self.channel.close()


def _stdio(extension: "dict[str, Any]", terminal: bool) -> "tuple[list[int], dict[int, str]]":
    """The process's 0, 1 and 2, and our ends of the pipes."""
    if terminal:
        return [], {}
    if extension["detach"]:
        return [os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC) for _ in range(3)], {}
    return pipes(extension["interactive"])


def _clone(container: "Container") -> int:
    """The process proper, a child of our parent's: 0 in it, and its PID here."""
    try:
        return syscalls.clone(syscalls.CLONE_PARENT)
    except KernelError as e:
        if e.errno == errno.EAGAIN and container.state.get("cgroup"):
            raise LimitError(
                f"{container.name} has as many processes as it may have",
                remedy=f"rl exec takes two more: rl update --pids-limit NUMBER {container.name}",
                code="RL-LIMIT-PIDS",
            ) from e
        raise


def _join(
    ctx: "Context",
    container: "Container",
    pidfd: int,
    plan: ProcessPlan,
    channel: channels.Channel,
    stdio: list[int],
    *,
    detach: bool,
) -> "NoReturn":
    """In the forked joiner: enter the container, and clone the process proper."""
    try:
        set_oom_score(plan)
        _hold_root(ctx, container)
        cgroup = container.state.get("cgroup")
        if cgroup:
            from rootless.runtime import limit_groups

            group = limit_groups.from_dict(cgroup)
            group.join(os.getpid(), int(container.state["pid"]))
            plan.rlimits = group.unheld(plan.rlimits)
        below = _enter(container, pidfd, plan)
        pid = _clone(container)
        if pid:
            channel.send("pid", pid)
            os._exit(0)
        if not below:
            become_root(inspectable=False, keep_groups=plan.keeps_groups)
        os.setsid()
        if plan.terminal:
            master, terminal = pty.open_terminal()
            channel.send("terminal", fds=[master])
            os.close(master)
            stdio = [terminal, terminal, terminal]
        else:
            channel.send("terminal")
        # A terminal hangs up with its holder; who detaches from it leaves the process running.
        become(
            plan,
            stdio,
            channel.fileno(),
            dies_with_parent=not detach and not plan.terminal,
            give_listener=lambda fd: channel.send("owners", fds=[fd]),
        )
    except BaseException as e:
        stage.report(channel, e)
    os._exit(1)


def _hold_root(ctx: "Context", container: "Container") -> None:
    """Nobody gives the container another root until the program runs: the descriptor of the lock
    is close-on-exec."""
    way_in = Locked(container.root_lock_path, shared=True)
    way_in.__enter__()
    while os.path.exists(container.pending_path):
        from rootless.runtime import still

        way_in.release()  # who did so was killed
        with still.layers_lock(ctx, container):
            pass
        way_in.__enter__()


def _note_owners(container: "Container", listener_fd: int) -> None:
    """A recorder for the process and what it leaves behind; it ends with the container."""
    from rootless.runtime import owners

    pidfd = container.pidfd()
    if pidfd < 0:
        os.close(listener_fd)
        return
    owners.Recorder(
        listener_fd,
        pidfd,
        f"{container.directory}/upper",
        container.link_owners_path,
        outlives_us=True,
    )
    os.close(pidfd)


def _enter(container: "Container", pidfd: int, plan: ProcessPlan) -> bool:
    """Join the container's namespaces; whether that is as its own user, who is not root, where
    one ID is mapped: in the user namespace that its init has made (execute._nest)."""
    namespaces = int(container.state["namespaces"])
    if container.state.get("one_id"):
        own = container.runtime_config()["rl"]["user"]
        if plan.user == own and _is_below(int(container.state["pid"])):
            syscalls.setns(pidfd, namespaces)
            syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
            return True
        join_owner_of_mounts(int(container.state["pid"]))
        namespaces &= ~syscalls.CLONE_NEWUSER
    syscalls.setns(pidfd, namespaces)
    return False


def _is_below(pid: int) -> bool:
    """Whether the process has become another user than root in a namespace of its own."""
    with open(f"/proc/{pid}/uid_map") as file:
        return file.read().split()[0] != "0"


def _started(channel: channels.Channel) -> tuple[int, int, int]:
    """(PID, terminal's master or -1, listener of changes of owners or -1) once the program runs.

    Raises what was reported.
    """
    pid, master, listener_fd = 0, -1, -1
    failure: object = None
    while True:
        name, body, fds = channel.receive()
        if not name:
            break
        if name == "pid" and isinstance(body, int):
            pid = body
        elif name == "terminal" and fds:
            master = fds[0]
        elif name == "owners":
            listener_fd = fds[0]
        elif name == "error":
            failure = body
    if failure is not None:
        if pid:
            os.waitpid(pid, 0)
        stage.raise_reported(failure)
    if not pid:
        raise KernelError("clone", 3, "the container has just ended")
    return pid, master, listener_fd


def _pump(pid: int, outputs: "dict[int, str]", input_fd: int) -> Pump:
    """The loop until the end of the process, with our signals passed on to it."""
    pidfd = os.pidfd_open(pid)
    signals.handle(signals.FORWARDED, lambda number, _: process.signal_process(pidfd, number))
    return Pump(pidfd, outputs, input_fd, None)


def _exit_code(pid: int) -> int:
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


class _Raw:
    """The caller's terminal in raw mode, when there is one that is read."""

    def __init__(self, read_input: bool) -> None:
        self._mode = pty.RawMode(0) if read_input and os.isatty(0) else None

    def __enter__(self) -> None:
        if self._mode is not None:
            self._mode.__enter__()

    def __exit__(self, *_: object) -> None:
        if self._mode is not None:
            self._mode.__exit__()


class TerminalClient(LocalClient):
    """rl's own terminal, with detach keys and window size."""

    def __init__(self, pump: Pump, keys: bytes, *, read_input: bool) -> None:
        self._keys = DetachKeys(keys)
        super().__init__(pump, ("stdout",), read_input=read_input)
        wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(wake_read, False)
        signals.handle([signals.SIGWINCH], lambda *_: None)
        signals.wake(self._wake_write)
        pump.watch(wake_read, self._on_wake, wake_read)
        self._resize()

    def _on_wake(self, fd: int) -> None:
        os.read(fd, 4096)
        self._resize()

    def _resize(self) -> None:
        size = pty.window_size(0) or pty.window_size(1)
        if size:
            self._pump.resize(size)

    def typed(self, data: bytes) -> bytes:
        passed, self.detached = self._keys.feed(data)
        return passed


def _empty(master: int) -> None:
    """Read a terminal that nobody looks at, until the last program has closed it (EIO)."""
    os.set_blocking(master, True)
    try:
        while os.read(master, 65536):
            pass
    except OSError:
        pass
