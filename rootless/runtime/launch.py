"""The parent's side of a start: clone the stage, map IDs, connect the network, say go.  Warm.

The messages are drawn in rootless.runtime.stage.  launch() returns when the program has really
been executed, or raises with nothing left: no process, no helper, no cgroup.
"""

import errno
import os
import sys

from rootless.errors import ContainerError, KernelError, RlError, StoreError
from rootless.linux import channel as channels
from rootless.linux import idmap as idmaps
from rootless.linux import process, syscalls
from rootless.runtime import stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rootless.linux.idmap import IdMap
    from rootless.network.driver import Driver
    from rootless.runtime.limit_groups import Cgroup

KILL = 9


class Started:
    """A container whose program runs, as its parent knows it."""

    __slots__ = (
        "borrowed", "cgroup", "helpers", "listener_fd", "master_fd", "network", "pid", "pidfd",
        "start_time", "user",
    )  # fmt: skip

    def __init__(
        self, pid: int, pidfd: int, network: "Driver", cgroup: "Cgroup | None", master_fd: int
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.start_time = process.start_time(pid)
        self.network = network
        self.cgroup = cgroup
        self.master_fd = master_fd  # of the terminal, -1 without one
        self.helpers = list(network.helpers)
        self.user = 0, 0  # its UID and GID, if it is not root and one ID is mapped
        self.borrowed: list[str] = []  # of /proc and /sys, what is not the container's own
        self.listener_fd = -1  # of changes of owners (rootfs.note_owners), if there is to be one


def launch(
    plan: stage.Plan,
    *,
    namespaces: int,
    idmap: "IdMap",
    network: "Driver",
    cgroup: "Cgroup | None",
    stdio: "Sequence[int]",
    environ: "Mapping[str, str]",
) -> Started:
    """Start the container of `plan` in new `namespaces` (CLONE_NEW* bits).

    `stdio` are the descriptors for 0, 1 and 2, unused with a terminal.  Raises RlError.
    """
    trace = plan.trace
    if trace is not None:
        from rootless.runtime import trace_words as words

        plan.stage_trace = trace.branch()
    if cgroup is not None:
        plan.process.rlimits = cgroup.unheld(plan.process.rlimits)
    if network.user_namespace_fd >= 0:
        from rootless.runtime import nested

        pid, ours = nested.clone_stage(plan, namespaces, stdio, network, idmap)
    else:
        pid, ours = _clone_stage(plan, namespaces, stdio)
    pidfd = os.pidfd_open(pid)
    if trace is not None:
        trace.lap(words.namespaces(namespaces), pid=pid, namespaces=words.names(namespaces))
    fuse_pids: dict[int, str] = {}
    listener_fd = -1
    user = 0, 0
    try:
        if cgroup is not None:
            cgroup.enter(pid)
            if trace is not None:
                trace.lap(f"set its limits: {cgroup.describe()}")
        if network.user_namespace_fd < 0:
            idmaps.write_maps(idmap, pid, environ)
        if trace is not None:
            trace.lap(words.id_maps(idmap), uids=idmap.uids, gids=idmap.gids)
        ours.send("ids-mapped")
        _expect(ours, "identity")
        network.start(pid)
        if trace is not None:
            trace.lap(words.network_started(network), driver=network.name)
        name, body, fds = ours.receive()
        while name == "squashfs":
            assert isinstance(body, int)
            fuse_pids[_serve_layer(plan.root, body, fds[0], environ)] = "squashfuse"
            name, body, fds = ours.receive()
        if name == "fuse":
            fuse_pids[_serve_fuse(plan.root, fds[0], pidfd, environ)] = "fuse-overlayfs"
            ours.send("fuse-ready")
            name, body, fds = ours.receive()
        _check(name, body, "rootfs")
        master_fd = fds[0] if fds else -1
        borrowed = body if isinstance(body, list) else []
        if trace is not None:
            trace.lap("waited until the root file system was built")
        network.finish()
        if trace is not None:
            trace.lap(words.network_up(network), driver=network.name, address=network.ip,
                      ports=[port.to_dict() for port in network.ports])  # fmt: skip
        ours.send("network-ready")
        name, body, fds = ours.receive()
        if name == "owners":
            listener_fd = fds[0]
            name, body, _ = ours.receive()
        elif name == "user" and isinstance(body, list):
            user = body[0], body[1]
            name, body, _ = ours.receive()
        if name:
            _check(name, body, "")
        if not process.start_time(pid) and not _exited_by_itself(pidfd):
            raise ContainerError("the container ended before its program started")
        if trace is not None:
            trace.lap("started the process: " + words.command(plan), argv=list(plan.process.args))
    except BaseException as e:
        _undo(pid, pidfd, network, cgroup, fuse_pids)
        if listener_fd >= 0:
            os.close(listener_fd)
        if isinstance(e, KernelError):
            raise _explain(e, plan) from e
        raise
    finally:
        ours.close()
        if trace is not None and plan.stage_trace is not None:
            trace.adopt(words.STAGE, plan.stage_trace, ended=True, track="container", pid=pid)
    started = Started(pid, pidfd, network, cgroup, master_fd)
    started.listener_fd = listener_fd
    started.user = user
    started.borrowed = borrowed
    for number, program in fuse_pids.items():
        started.helpers.append(
            {"name": program, "pid": number, "start_time": process.start_time(number)}
        )
    return started


def _clone_stage(
    plan: stage.Plan, namespaces: int, stdio: "Sequence[int]"
) -> tuple[int, channels.Channel]:
    """The stage's PID, and our end of the channel to it."""
    ours, theirs = channels.pair()
    try:
        # The cgroup namespace is the stage's to make, when it is in its group.
        pid = syscalls.clone(namespaces & ~syscalls.CLONE_NEWCGROUP)
    except KernelError as e:
        from rootless.linux import hostfacts

        raise hostfacts.explain_user_namespace_failure(e.errno, program=sys.argv[0]) from e
    if pid == 0:
        ours.close()
        stage.run(plan, theirs, stdio)
    theirs.close()
    return pid, ours


def _expect(channel: channels.Channel, wanted: str) -> None:
    name, body, _ = channel.receive()
    _check(name, body, wanted)


def _check(name: str, body: object, wanted: str) -> None:
    if name == "error":
        stage.raise_reported(body)
    if name != wanted:
        raise ContainerError(
            f"the container's set-up ended unexpectedly (waited for {wanted!r}, got {name!r})",
            remedy="it may have been killed for memory; try again, and report it if it stays",
            code="RL-CONTAINER-SETUP",
        )


def _explain(failure: KernelError, plan: stage.Plan) -> RlError:
    """What this host lacks, when that is why the stage could not mount."""
    from rootless.linux import hostfacts

    if plan.root.images and failure.errno in (errno.ENOTCONN, errno.ECONNABORTED):
        from rootless.store import shared_mounts

        return shared_mounts.not_served(plan.root.images[0][1])
    if failure.target == "overlay" or failure.target.startswith("overlay:"):
        return hostfacts.explain_overlay_failure(failure.errno, plan.root.base)
    if failure.target.startswith("/dev/fuse"):
        return hostfacts.explain_fuse_failure(failure.errno)
    if (failure.call, failure.target) == ("mount", "/"):
        # The first thing that root of a new namespace does: AppArmor takes its rights (Ubuntu).
        return hostfacts.explain_user_namespace_failure(failure.errno, program=sys.argv[0])
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"cannot set the container up: {failure.what}",
            remedy="free some space (rl rmi, rl rm) or set RL_STORE to a larger file system",
            code="RL-STORE-FULL",
        )
    return failure


def _exited_by_itself(pidfd: int) -> bool:
    """Whether the process has an exit status to be fetched: a short program may be over."""
    return os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _undo(
    pid: int,
    pidfd: int,
    network: "Driver",
    cgroup: "Cgroup | None",
    fuse_pids: "Iterable[int]",
) -> None:
    process.signal_process(pidfd, KILL)
    os.close(pidfd)
    os.waitpid(pid, 0)
    network.close()
    for fuse_pid in fuse_pids:
        os.waitpid(fuse_pid, 0)
    if cgroup is not None:
        cgroup.remove()


def _serve_layer(
    plan: stage.RootPlan, number: int, fuse_fd: int, environ: "Mapping[str, str]"
) -> int:
    """Start squashfuse for a layer.  It stays outside of the container, with all our groups."""
    from rootless.linux import fuse
    from rootless.store import shared_mounts

    argv = [shared_mounts.program(environ), "-f", plan.images[number][1]]
    return fuse.serve(argv, fuse_fd, environ)


def _see_layers(plan: stage.RootPlan, pidfd: int) -> None:
    """Take the mounts of the layers of shared stores, which only the container has.

    As a copy: in its mount namespace we would keep that alive, and so our own file system; and
    without this, for the same reason.
    """
    syscalls.setns(pidfd, syscalls.CLONE_NEWNS)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.umount2(plan.target, syscalls.MNT_DETACH)


def _serve_fuse(
    plan: stage.RootPlan, fuse_fd: int, pidfd: int, environ: "Mapping[str, str]"
) -> int:
    """Start fuse-overlayfs on the connection `fuse_fd`, in the container's user namespace.

    It stays in our mount namespace and PID namespace: the container never sees it, and it ends
    when the kernel unmounts its file system with the container's end.  libfuse takes
    "/dev/fd/N" for a mount that has been made already: fuse_session_mount(3).
    """
    from rootless.linux import fuse

    program = fuse.overlayfs_program(environ)
    options = stage.fuse_options(plan)
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.setns(pidfd, syscalls.CLONE_NEWUSER)
            if plan.images:
                _see_layers(plan, pidfd)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            os.set_inheritable(fuse_fd, True)
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            os.execve(program, [program, "-f", "-o", options, f"/dev/fd/{fuse_fd}"], dict(environ))
        finally:
            os._exit(127)
    os.close(fuse_fd)
    return pid
