"""The stage: what runs as PID 1 of a container between clone and exec of its program.

Runs in the child that rootless.runtime.launch has cloned into the new namespaces: no threads, no
third-party module, nothing but rootless.linux and rootless.errors.  It speaks with its parent in
named messages:

    parent                    stage
    ids-mapped ->
                           <- identity        we are root of the user namespace, /proc/PID/ns opens
                           <- fuse [fd]       only with fuse-overlayfs: serve this file system
    fuse-ready ->
                           <- rootfs [pty]    everything is mounted; the terminal's master
    network-ready ->
                           <- error {...}     at any time, instead
    (end of the channel)                      execve(2) has worked: the channel is close-on-exec

user_namespaces(7), pid_namespaces(7), pivot_root(2), capabilities(7).
"""

import errno
import os
import stat

from rootless.errors import (
    CommandNotExecutable,
    CommandNotFound,
    ContainerError,
    KernelError,
    RlError,
)
from rootless.linux import caps, mount, pty, rlimit, seccomp, signals, syscalls
from rootless.linux import channel as channels
from rootless.linux.namespaces import become_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RootPlan:
    """Where the root file system comes from.  Paths of layers are relative to `base`."""

    __slots__ = ("base", "driver", "links", "lower", "read_only", "target", "upper", "work")

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
    ) -> None:
        self.driver = driver  # "overlay", "fuse-overlayfs" or "copy"
        self.base = base
        self.lower = lower  # topmost first
        self.upper = upper
        self.work = work
        self.target = target
        self.links = links
        self.read_only = read_only


class ProcessPlan:
    """The program and what it may do; exec's too."""

    __slots__ = (
        "args", "capabilities", "cwd", "env", "groups", "no_new_privileges", "rlimits",
        "seccomp", "terminal", "umask", "user",
    )  # fmt: skip

    def __init__(
        self,
        *,
        args: "Sequence[str]",
        env: "Sequence[str]",
        cwd: str,
        user: str,
        groups: "Sequence[str]",
        capabilities: "Mapping[str, Sequence[str]]",
        rlimits: "Sequence[tuple[str, int, int]]",
        no_new_privileges: bool,
        seccomp: bytes,
        terminal: bool,
        umask: int = 0o022,
    ) -> None:
        self.args = args
        self.env = env
        self.cwd = cwd
        self.user = user  # "name", "uid", "name:group", … as asked; "" is root
        self.groups = groups  # --group-add
        self.capabilities = capabilities  # as runtime-spec: bounding, effective, …
        self.rlimits = rlimits
        self.no_new_privileges = no_new_privileges
        self.seccomp = seccomp  # a BPF program, or b""
        self.terminal = terminal
        self.umask = umask


class Plan:
    """All that the stage does, as data."""

    __slots__ = (
        "chowns", "copy_ups", "domainname", "hostname", "loopback", "new_cgroup_namespace",
        "new_pid_namespace", "operations", "passwd_entry", "process", "propagation", "root", "sysctls",
        "tmpfs_copy_ups",
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


def run(plan: Plan, channel: channels.Channel, stdio: "Sequence[int]") -> "NoReturn":
    """Build the container around this process and execute its program.  Never returns."""
    try:
        _expect(channel, "ids-mapped")
        become_root()
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        os.setsid()
        channel.send("identity")
        if plan.new_cgroup_namespace:
            syscalls.unshare(syscalls.CLONE_NEWCGROUP)
        if plan.loopback:
            loopback_up()
        os.umask(0)
        build_root(plan, channel)
        if plan.hostname:
            syscalls.sethostname(plan.hostname)
        if plan.domainname:
            syscalls.setdomainname(plan.domainname)
        master = -1
        if plan.process.terminal:
            master, stdio = _open_terminal()
            channel.send("rootfs", fds=[master])
            os.close(master)
        else:
            channel.send("rootfs")
        _expect(channel, "network-ready")
        execute(plan.process, stdio)
    except BaseException as e:
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
    channel.send("error", body)


def raise_reported(body: object) -> "NoReturn":
    """The parent's side of report(): raise what the stage could not do."""
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


def build_root(plan: Plan, channel: channels.Channel) -> None:
    """Mount everything, and make it the root of this mount namespace."""
    propagation = mount.PROPAGATION[plan.propagation]
    syscalls.mount(None, "/", None, syscalls.MS_REC | propagation)
    mount_root(plan.root, channel)
    root = mount.Root(plan.root.target)
    given: list[int] = []
    for source, directory in plan.copy_ups:
        _copy_up(root, source, directory)
    for operation in plan.operations:
        if isinstance(operation, mount.Filesystem) and operation.target in plan.tmpfs_copy_ups:
            _fill_tmpfs(root, operation)
            continue
        operation.execute(root)
        if isinstance(operation, mount.Filesystem) and operation.fstype == "proc":
            _write_sysctls(root, plan.sysctls)
    if plan.passwd_entry:
        _add_user(root, plan.passwd_entry)
    for directory in plan.chowns:
        given.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
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


def _add_user(root: mount.Root, entry: str) -> None:
    """Append a line to the container's /etc/passwd, unless it knows the user's name or UID."""
    name, _, uid = entry.split(":")[:3]
    try:
        fd = root.open("/etc/passwd", os.O_RDWR | os.O_APPEND)
    except KernelError:
        return  # an image without the file, or a mount of the user's own
    with open(fd, "r+b", buffering=0) as file:
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
    if plan.driver == "overlay":
        _own_upper(plan)
        mount.overlay(
            plan.lower, plan.target, upper=plan.upper, work=plan.work, base=plan.base,
            links=plan.links,
        )  # fmt: skip
    elif plan.driver == "fuse-overlayfs":
        _own_upper(plan)
        fuse_fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = (
            f"fd={fuse_fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other"
        )
        syscalls.mount("fuse-overlayfs", plan.target, "fuse", syscalls.MS_NODEV, options)
        channel.send("fuse", fds=[fuse_fd])
        os.close(fuse_fd)
        _expect(channel, "fuse-ready")
    else:
        # "copy": the parent has made the tree; a mount of it for pivot_root(2).
        syscalls.mount(plan.target, plan.target, None, syscalls.MS_BIND | syscalls.MS_REC)


def _own_upper(plan: RootPlan) -> None:
    """With --userns=keep-id root is not the one who made the upper directory."""
    upper = f"{plan.base}/{plan.upper}"
    if os.stat(upper).st_uid != 0:
        os.chown(upper, 0, 0)
        os.chown(f"{plan.base}/{plan.work}", 0, 0)


def _copy_up(root: mount.Root, source: str, directory: str) -> None:
    """Fill a new volume with what the image has at its place."""
    from rootless.linux import copytree

    try:
        source_fd = root.open(source, os.O_RDONLY | os.O_DIRECTORY)
    except KernelError as e:
        if e.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    target_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not os.listdir(target_fd):
            copytree.Copy().directory(source_fd, target_fd)
    finally:
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


def execute(
    plan: ProcessPlan, stdio: "Sequence[int]", *, dies_with_parent: bool = True
) -> "NoReturn":
    """Become the program of `plan`, in the container's root, with `stdio` as 0, 1 and 2."""
    env = dict(entry.partition("=")[::2] for entry in plan.env)
    uid, gid, groups, home = resolve_user(plan.user, plan.groups)
    if not env.get("HOME"):
        env["HOME"] = home
    _enter_directory(plan.cwd)
    path = find_command(plan.args[0], env.get("PATH", DEFAULT_PATH))
    for number, fd in enumerate(stdio):
        os.dup2(fd, number, inheritable=True)
    if plan.terminal:
        pty.make_controlling(0)
    else:
        _own_stdio(uid, gid)
    for name, soft, hard in plan.rlimits:
        rlimit.set_limit(name, soft, hard)
    os.umask(plan.umask)
    _drop(plan, uid, gid, groups)
    if dies_with_parent:
        # After the last change of credentials, which clears it: prctl(2).
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    signals.reset_for_exec()
    syscalls.close_on_exec_from(3)
    if plan.seccomp and plan.no_new_privileges:
        seccomp.load(plan.seccomp)
    try:
        os.execve(path, list(plan.args), env)
    except OSError as e:
        raise _exec_failure(path, e.errno or 0) from e


def _drop(plan: ProcessPlan, uid: int, gid: int, groups: "Sequence[int]") -> None:
    """Give up what the program shall not have: groups, IDs, capabilities, syscalls."""
    if plan.seccomp and not plan.no_new_privileges:
        # Needs CAP_SYS_ADMIN in the user namespace, which goes away below.
        seccomp.load(plan.seccomp)
    if plan.no_new_privileges:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    caps.limit_bounding(plan.capabilities.get("bounding", ()))
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    try:
        os.setgroups(groups)
    except PermissionError:
        if groups:
            raise ContainerError(
                "cannot set supplementary groups where one ID alone is mapped",
                remedy="ask the admin for subordinate IDs: rl doctor",
                code="RL-USER-NOT-MAPPED",
            ) from None
    try:
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as e:
        raise ContainerError(
            f"cannot become user {uid}:{gid} in the container: the ID is not mapped",
            remedy="ask the admin for more subordinate IDs (rl doctor), or use --user 0",
            code="RL-USER-NOT-MAPPED",
        ) from e
    caps.apply(plan.capabilities, uid)


def _own_stdio(uid: int, gid: int) -> None:
    """Pipes belong to the container's user, so that /dev/stdout opens again: as runc does."""
    if uid == 0:
        return
    for number in (0, 1, 2):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.fchown(number, uid, gid)
        except OSError:
            pass  # a pipe of somebody else; opening it again may fail, writing will not


def _enter_directory(cwd: str) -> None:
    """Docker makes a working directory that is missing."""
    try:
        os.makedirs(cwd, exist_ok=True)
        os.chdir(cwd)
    except OSError as e:
        raise ContainerError(
            f"cannot use {cwd} as working directory: {os.strerror(e.errno or 0)}",
            remedy="choose another with --workdir",
            code="RL-WORKDIR",
        ) from e


def find_command(name: str, search_path: str) -> str:
    """The file of the program `name` in the container: execvp(3)'s rule.

    Raises CommandNotFound and CommandNotExecutable.
    """
    if "/" in name:
        candidates = [name]
    else:
        candidates = [f"{directory or '.'}/{name}" for directory in search_path.split(":")]
    refused = ""
    for path in candidates:
        try:
            mode = os.stat(path).st_mode
        except OSError as e:
            if e.errno == errno.EACCES:
                refused = path
            continue
        if stat.S_ISREG(mode) and os.access(path, os.X_OK):
            return path
        refused = path
    if refused:
        why = "it is a directory" if os.path.isdir(refused) else "permission denied"
        raise CommandNotExecutable(
            f"cannot execute {refused} in the container: {why}",
            remedy="name a program, or make it executable (chmod +x)",
        )
    raise CommandNotFound(
        f"cannot execute {name}: "
        + (
            "no such file in the container" if "/" in name else "not found in the container's $PATH"
        ),
        remedy="check the spelling, or that the image has the program",
    )


def _exec_failure(path: str, number: int) -> RlError:
    if number == errno.ENOENT:
        return CommandNotFound(
            f"cannot execute {path}: its interpreter or dynamic loader is missing in the container",
            remedy="check the first line of a script, or use a static program",
        )
    if number == errno.ENOEXEC:
        return CommandNotExecutable(
            f"cannot execute {path}: exec format error",
            remedy="is it built for another architecture, or a script without #! line?",
        )
    return CommandNotExecutable(f"cannot execute {path}: {os.strerror(number)}")


def resolve_user(user: str, extra: "Sequence[str]") -> tuple[int, int, list[int], str]:
    """UID, GID, supplementary groups and home of `user` by the container's /etc/passwd and group.

    "name[:group]" or "uid[:gid]", as Docker; an unknown number stands for itself.
    Raises ContainerError for a name that the files don't have.
    """
    name, _, group = user.partition(":")
    name = name or "0"
    uid, gid, home, login = -1, 0, "/", ""
    for fields in _records("/etc/passwd", 7):
        if fields[0] == name or (name.isdecimal() and fields[2] == name):
            login, uid, gid, home = fields[0], int(fields[2]), int(fields[3]), fields[5] or "/"
            break
    if uid < 0:
        if not name.isdecimal():
            raise ContainerError(
                f"cannot find the user {name} in the container's /etc/passwd",
                remedy="name a user of the image, or a UID",
                code="RL-USER-UNKNOWN",
            )
        uid = int(name)
    groups = []
    by_name = {}
    for fields in _records("/etc/group", 3):
        by_name[fields[0]] = int(fields[2])
        if login and not group and len(fields) > 3 and login in fields[3].split(","):
            groups.append(int(fields[2]))
    if group:
        gid = _group_id(group, by_name)
    groups += [_group_id(one, by_name) for one in extra]
    return uid, gid, groups, home


def _group_id(group: str, by_name: "Mapping[str, int]") -> int:
    if group in by_name:
        return by_name[group]
    if group.isdecimal():
        return int(group)
    raise ContainerError(
        f"cannot find the group {group} in the container's /etc/group",
        remedy="name a group of the image, or a GID",
        code="RL-USER-UNKNOWN",
    )


def _records(path: str, least: int) -> "list[list[str]]":
    """The lines of passwd(5) or group(5) that have their fields and a numeric ID."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(4 << 20).split("\n")
    except OSError:
        return []
    records = [line.split(":") for line in lines]
    return [
        r
        for r in records
        if len(r) >= least and r[2].isdecimal() and (least < 7 or r[3].isdecimal())
    ]


if TYPE_CHECKING:
    Operation = mount.Filesystem | mount.Bind | mount.Mask | mount.ReadOnly | mount.Symlink
