"""The stage: what runs as PID 1 of a container between clone and exec of its program.

Runs in the child that rootless.runtime.launch has cloned into the new namespaces: no threads, no
third-party module, nothing but rootless.linux and rootless.errors.  It speaks with its parent in
named messages:

    parent                    stage
    ids-mapped ->
                           <- identity        we are root of the user namespace, /proc/PID/ns opens
                           <- squashfs [fd]   for each layer of a shared store: serve its file
                           <- fuse [fd]       only with fuse-overlayfs: serve this file system
    fuse-ready ->
                           <- rootfs [pty]    everything is mounted; the terminal's master
    network-ready ->
                           <- owners [fd]     only with one ID: note the changes of owners
                           <- user [...]      or: UID and GID of its user, who is not root
                           <- error {...}     at any time, instead
    (end of the channel)                      execve(2) has worked: the channel is close-on-exec

user_namespaces(7), pid_namespaces(7), pivot_root(2), capabilities(7).
"""

import errno
import os
import stat

from rootless.errors import ContainerError, KernelError, RlError
from rootless.linux import channel as channels
from rootless.linux import mount, pty, syscalls
from rootless.linux.namespaces import become_root, set_names
from rootless.runtime.execute import ProcessPlan, exec_failure, execute, resolve_user, set_oom_score

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from rootless.linux.from_layers import FromLayers
    from rootless.trace import Trace

# What only the target of a mount can be the reason for.
_TARGET_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.EROFS)
_TEXT_MAX = 2000  # characters, of what an error names
_LAYERS_SHOWN = 8  # of those that a trace names in a line


class RootPlan:
    """Where the root file system comes from.  Paths of layers are relative to `base`."""

    __slots__ = (
        "base", "driver", "images", "links", "lower", "read_only", "target", "upper", "work",
    )  # fmt: skip

    def __init__(
        self,
        *,
        driver: str,
        base: str,
        lower: "Sequence[str]",
        upper: str,
        work: str,
        target: str,
        links: str,
        read_only: bool,
        images: "Sequence[tuple[str, str]]" = (),
    ) -> None:
        self.images = images  # (directory of a layer, squashfs file to be mounted there)
        self.driver = driver  # "overlay", "fuse-overlayfs" or "copy"
        self.base = base
        self.lower = lower  # topmost first
        self.upper = upper
        self.work = work
        self.target = target
        self.links = links
        self.read_only = read_only

    def describe(self) -> str:
        """In a few words, for a person who wants to see where the files come from."""
        if self.driver == "directory":
            return f"took the directory {self.target} as it is"
        if self.driver == "copy":
            return "took the container's own copy of the image's files"
        more = ":…" if len(self.lower) > _LAYERS_SHOWN else ""
        layers = ":".join(self.lower[:_LAYERS_SHOWN]) + more
        return (
            f"mounted {'an overlay' if self.driver == 'overlay' else 'fuse-overlayfs'} of "
            f"{len(self.lower)} layer{'s' * (len(self.lower) != 1)} "
            f"(lowerdir={layers}, upperdir={self.upper}: what the container writes)"
        )


class Plan:
    """All that the stage does, as data."""

    __slots__ = (
        "chowns", "copy_ups", "domainname", "hostname", "loopback", "new_cgroup_namespace",
        "new_pid_namespace", "operations", "passwd_entry", "process", "propagation", "root",
        "stage_trace", "sysctls", "tmpfs_copy_ups", "trace",
    )  # fmt: skip

    def __init__(
        self,
        *,
        root: RootPlan,
        operations: "Sequence[Operation]",
        copy_ups: "Sequence[tuple[str, str]]",
        tmpfs_copy_ups: "Sequence[str]",
        chowns: "Sequence[str]",
        process: ProcessPlan,
        hostname: str,
        domainname: str,
        sysctls: "Mapping[str, str]",
        loopback: bool,
        new_pid_namespace: bool,
        new_cgroup_namespace: bool,
        propagation: str,
        passwd_entry: str,
    ) -> None:
        self.root = root
        self.operations = operations
        self.copy_ups = copy_ups  # (path in the container, directory on the host)
        self.tmpfs_copy_ups = tmpfs_copy_ups  # targets of tmpfs that start with the image's files
        self.chowns = chowns  # host directories whose files become the container's user's
        self.process = process
        self.hostname = hostname
        self.domainname = domainname
        self.sysctls = sysctls
        self.loopback = loopback
        self.new_pid_namespace = new_pid_namespace
        self.new_cgroup_namespace = new_cgroup_namespace
        self.propagation = propagation
        self.passwd_entry = passwd_entry  # a line for a user whom the image may not know, or ""
        self.trace: Trace | None = None  # the parent's, with --trace
        self.stage_trace: Trace | None = None  # the stage's


def run(plan: Plan, channel: channels.Channel, stdio: "Sequence[int]") -> "NoReturn":
    """Build the container around this process and execute its program.  Never returns."""
    trace = plan.stage_trace
    try:
        _expect(channel, "ids-mapped")
        if trace is not None:
            trace.lap("waited for the ID maps, which only a process outside may write")
        set_oom_score(plan.process)
        become_root(keep_groups=plan.process.keeps_groups)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        os.setsid()
        channel.send("identity")
        if trace is not None:
            trace.lap("became root of the user namespace: UID 0, with every capability inside it")
        if plan.new_cgroup_namespace:
            syscalls.unshare(syscalls.CLONE_NEWCGROUP)
        if plan.loopback:
            loopback_up()
            if trace is not None:
                trace.lap("set the interface lo up in the new network namespace")
        os.umask(0)
        borrowed = build_root(plan, channel)
        if not set_names(plan.hostname, plan.domainname):
            borrowed.append("the host name")
        if trace is not None and plan.hostname:
            trace.lap(f"set the host name {plan.hostname}")
        master = -1
        if plan.process.terminal:
            master, stdio = _open_terminal()
            channel.send("rootfs", borrowed, [master])
            os.close(master)
        else:
            channel.send("rootfs", borrowed)
        _expect(channel, "network-ready")
        if trace is not None:
            trace.lap("waited for the network")
        execute(
            plan.process,
            stdio,
            channel.fileno(),
            give_listener=lambda fd: channel.send("owners", fds=[fd]),
            tell_user=lambda uid, gid: channel.send("user", [uid, gid]),
            trace=trace,
        )
    except BaseException as e:
        if trace is not None:
            trace.lap(f"failed: {e}")
            trace.save()
        report(channel, e)
    os._exit(1)


def report(channel: channels.Channel, failure: BaseException) -> None:
    """Tell the parent why there is no program."""
    if isinstance(failure, RlError):
        body: dict[str, object] = {
            "what": failure.what,
            "remedy": failure.remedy,
            "code": failure.code,
            "exit_status": failure.exit_status,
        }
        if isinstance(failure, KernelError):
            body |= {"errno": failure.errno, "call": failure.call, "target": failure.target}
    elif isinstance(failure, OSError):
        body = {"errno": failure.errno, "call": "setup", "target": str(failure.filename or "")}
    else:
        body = {"what": f"{type(failure).__name__}: {failure}", "code": "RL-BUG"}
    # A message has an end (channel.MESSAGE_MAX), and a name that was mistyped may have none.
    cut = {
        key: f"{text[:_TEXT_MAX]}…" if isinstance(text, str) and len(text) > _TEXT_MAX else text
        for key, text in body.items()
    }
    channel.send("error", cut)


def raise_reported(body: object) -> "NoReturn":
    """The parent's side of report(): raise what the stage could not do."""
    if isinstance(body, list):  # of the launcher: [errno, path]
        raise exec_failure(str(body[1]), int(body[0]))
    assert isinstance(body, dict)
    if "errno" in body:
        raise KernelError(
            body["call"], body["errno"], body["target"], remedy=body.get("remedy"),
            code=body.get("code", "RL-KERNEL"),
        )  # fmt: skip
    error = RlError(body["what"], remedy=body.get("remedy"), code=body["code"])
    error.exit_status = body.get("exit_status", 125)
    raise error


def _expect(channel: channels.Channel, wanted: str) -> None:
    name, _, _ = channel.receive()
    if name != wanted:
        # The parent has gone or given up: it has the reason, nobody listens here.
        os._exit(1)


def loopback_up() -> None:
    """Bring `lo` up with one ioctl: netdevice(7)."""
    import _socket
    import fcntl

    siocsifflags, up_and_running = 0x8914, 0x41
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        fcntl.ioctl(
            sock.fileno(),
            siocsifflags,
            b"lo".ljust(16, b"\0") + up_and_running.to_bytes(16, "little"),
        )
    finally:
        sock.close()


def build_root(plan: Plan, channel: channels.Channel) -> list[str]:
    """Mount everything, and make it the root of this mount namespace.

    Returns the file systems that are not the container's own: _mount_all().
    """
    trace = plan.stage_trace
    if trace is not None:
        trace.open("built the root file system", driver=plan.root.driver)
    propagation = mount.PROPAGATION[plan.propagation]
    syscalls.mount(None, "/", None, syscalls.MS_REC | propagation)
    if trace is not None:
        trace.lap(f"made all mounts {plan.propagation}: what is mounted here, the host never sees")
    mount_root(plan.root, channel)
    if trace is not None:
        trace.lap(plan.root.describe(), lower=list(plan.root.lower), upper=plan.root.upper)
    root = mount.Root(plan.root.target)
    for source, directory in plan.copy_ups:
        # Whoever made the volume's directory is nobody to a program without them in its IDs.
        _copy_up(root, source, directory, give=plan.process.unmapped is not None)
        if trace is not None:
            trace.lap(f"filled a new volume with the image's {source}")
    borrowed = _mount_all(plan, root)
    given: list[int] = []
    if plan.passwd_entry:
        _add_user(root, plan.passwd_entry)
    for directory in plan.chowns:
        given.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    _make_directory(root, plan.process.cwd)
    if plan.root.read_only:
        fd = os.open(plan.root.target, os.O_PATH | os.O_CLOEXEC)
        syscalls.mount_setattr(fd, set_=syscalls.MOUNT_ATTR_RDONLY)
        os.close(fd)
    os.fchdir(root.fd)
    syscalls.pivot_root(".", ".")
    syscalls.umount2(".", syscalls.MNT_DETACH)
    os.chdir("/")
    if given:
        _give_away(given, plan.process.user)
    if trace is not None:
        trace.lap("pivot_root(2): this tree is / now, and the host's is out of reach")
        trace.close()
    return borrowed


def _mount_all(plan: Plan, root: mount.Root) -> list[str]:
    """Returns which of /proc and /sys are not new, but those of the container that we are in."""
    borrowed = []
    for operation in plan.operations:
        if isinstance(operation, mount.Filesystem) and operation.target in plan.tmpfs_copy_ups:
            _fill_tmpfs(root, operation)
        else:
            try:
                operation.execute(root)
            except KernelError as e:
                place = ""
                if e.errno == errno.EPERM and isinstance(operation, mount.Filesystem):
                    place = operation.borrow(root)
                if not place:
                    raise _explain_mount(operation, e) from e
                borrowed.append(place)
        if isinstance(operation, mount.Filesystem) and operation.fstype == "proc":
            _write_sysctls(root, plan.sysctls)
        if plan.stage_trace is not None:
            plan.stage_trace.lap(
                operation.describe(), kind=type(operation).__name__, target=operation.target
            )
    return borrowed


def _explain_mount(operation: "Operation", failure: KernelError) -> RlError:
    """What in the image, or on the command line, stands in the way of a mount."""
    if failure.call == "move_mount" and failure.errno == errno.EINVAL:
        why = "one of them is a directory and the other is not"
    elif failure.call in ("openat2", "mkdir") and failure.errno in _TARGET_ERRORS:
        why = os.strerror(failure.errno)
    else:
        return failure
    source = operation.describe().partition(" on ")[0].removeprefix("bind ")
    return ContainerError(
        f"cannot mount {source.removeprefix('mount ')} on {operation.target}: {why}",
        remedy="choose another place for it, or look at what the image has there",
        code="RL-MOUNT-TARGET",
    )


def _make_directory(root: mount.Root, path: str) -> None:
    """The working directory, if it is missing: before the root file system turns read-only."""
    try:
        os.close(root.make(path, directory=True))
    except KernelError:
        pass  # execute() says so, when it cannot go there


def _add_user(root: mount.Root, entry: str) -> None:
    """Append a line to the container's /etc/passwd, unless it knows the user's name or UID."""
    name, _, uid = entry.split(":")[:3]
    try:
        fd = root.open("/etc/passwd", os.O_RDWR | os.O_APPEND | os.O_NONBLOCK)
    except KernelError:
        return  # an image without the file, or a mount of the user's own
    with open(fd, "r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return
        content = file.read()
        for line in content.decode("utf-8", "surrogateescape").split("\n"):
            fields = line.split(":")
            if fields[0] == name or fields[2:3] == [uid]:
                return
        start = b"" if not content or content.endswith(b"\n") else b"\n"
        file.write(start + entry.encode() + b"\n")


def _give_away(directories: "Sequence[int]", user: str) -> None:
    """:U of --volume: what is in these host directories becomes the container's user's."""
    uid, gid, _, _ = resolve_user(user, ())
    for top in directories:
        for _, _, names, fd in os.fwalk(".", dir_fd=top):
            os.fchown(fd, uid, gid)
            for name in names:
                os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
        os.close(top)


def mount_root(plan: RootPlan, channel: channels.Channel) -> None:
    """The root file system on `plan.target`, by the driver that the parent has chosen."""
    if plan.images or plan.driver == "fuse-overlayfs":
        from rootless.linux import fuse
    for number, (directory, _) in enumerate(plan.images):
        fuse_fd = fuse.mount("squashfuse", directory, syscalls.MS_RDONLY)
        channel.send("squashfs", number, fds=[fuse_fd])
        os.close(fuse_fd)
    if plan.driver == "fuse-overlayfs":
        _own_upper(plan)
        fuse_fd = fuse.mount("fuse-overlayfs", plan.target)
        channel.send("fuse", fds=[fuse_fd])
        os.close(fuse_fd)
        _expect(channel, "fuse-ready")
    else:
        mount_by_kernel(plan)


def mount_by_kernel(plan: RootPlan) -> None:
    """The root file system, where no program serves it: an overlay, or a copy."""
    if plan.driver == "overlay":
        _own_upper(plan)
        mount.overlay(
            plan.lower, plan.target, upper=plan.upper, work=plan.work, base=plan.base,
            links=plan.links,
        )  # fmt: skip
    else:
        # "copy", where the parent has made the tree, and "directory", where the user has: a mount
        # of it for pivot_root(2).
        syscalls.mount(plan.target, plan.target, None, syscalls.MS_BIND | syscalls.MS_REC)


def fuse_options(plan: RootPlan) -> str:
    """What fuse-overlayfs is to show, as its -o takes it."""
    lower = ":".join(f"{plan.base}/{one}".replace(":", "\\:") for one in plan.lower)
    return f"lowerdir={lower},upperdir={plan.base}/{plan.upper},workdir={plan.base}/{plan.work}"


def _own_upper(plan: RootPlan) -> None:
    """With --userns=keep-id root is not the one who made the upper directory."""
    upper = f"{plan.base}/{plan.upper}"
    if os.stat(upper).st_uid != 0:
        os.chown(upper, 0, 0)
        os.chown(f"{plan.base}/{plan.work}", 0, 0)


def _copy_up(root: mount.Root, source: str, directory: str, *, give: bool) -> None:
    """Fill a new volume with what the image has at its place; `give` it to root without that."""
    from rootless.linux import copytree

    source_fd = -1
    try:
        source_fd = root.open(source, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError as e:
        if e.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        if not give:
            return
    target_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.listdir(target_fd):
            return
        if source_fd >= 0:
            copytree.Copy().directory(source_fd, target_fd)
        else:
            os.fchown(target_fd, 0, 0)
    finally:
        if source_fd >= 0:
            os.close(source_fd)
        os.close(target_fd)


def _fill_tmpfs(root: mount.Root, operation: mount.Filesystem) -> None:
    """Mount a tmpfs that begins with what the image has at its place (tmpcopyup)."""
    from rootless.linux import copytree

    try:
        source_fd = root.open(operation.target, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError:
        operation.execute(root)
        return
    operation.execute(root)
    target_fd = root.open(operation.target, os.O_RDONLY | os.O_DIRECTORY)
    copytree.Copy().directory(source_fd, target_fd)
    os.close(source_fd)
    os.close(target_fd)


def _write_sysctls(root: mount.Root, sysctls: "Mapping[str, str]") -> None:
    for name, value in sysctls.items():
        # sysctl(8): with dots between the words, a slash stands for a dot in a name.
        path = "/proc/sys/" + name.replace(".", "\0").replace("/", ".").replace("\0", "/")
        try:
            fd = root.open(path, os.O_WRONLY)
            try:
                os.write(fd, value.encode())
            finally:
                os.close(fd)
        except (KernelError, OSError) as e:
            raise ContainerError(
                f"cannot set the sysctl {name}={value}: {os.strerror(e.errno or 0)}",
                remedy="leave it out, or ask the admin to set it for the whole host",
                code="RL-SYSCTL",
            ) from e


def _open_terminal() -> tuple[int, list[int]]:
    master, terminal = pty.open_in_container()
    return master, [terminal, terminal, terminal]


if TYPE_CHECKING:
    Operation = (
        mount.Filesystem
        | mount.Bind
        | mount.Mask
        | mount.ReadOnly
        | mount.Symlink
        | mount.File
        | mount.MemoryFile
        | FromLayers
    )
