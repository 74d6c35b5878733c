"""From a container's root to its program: user, groups, limits, capabilities, seccomp, execve.

The last part of the stage, and of a process that `rl exec` puts into a container.  Like the stage
it imports rootless.linux and rootless.errors alone.

credentials(7), capabilities(7), execve(2), passwd(5), group(5).
"""

import errno
import os
import stat

from rootless import fastjson
from rootless.errors import (
    CommandNotExecutable,
    CommandNotFound,
    ContainerError,
    KernelError,
    RlError,
)
from rootless.linux import caps, pty, rlimit, seccomp, signals, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

    from rootless.trace import Trace

KEEP_GROUPS = "keep-groups"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ProcessPlan:
    """The program and what it may do; exec's too."""

    __slots__ = (
        "args",
        "capabilities",
        "cwd",
        "env",
        "groups",
        "landlock",
        "launcher",
        "nests",
        "no_new_privileges",
        "note_owners",
        "one_id",
        "oom_score_adj",
        "rlimits",
        "seccomp",
        "terminal",
        "umask",
        "unmapped",
        "user",
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
        one_id: bytes = b"",
        oom_score_adj: int | None = None,
        landlock: "Sequence[Mapping[str, str | int]]" = (),
        launcher: bytes = b"",
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
        self.oom_score_adj = oom_score_adj
        self.landlock = landlock  # rules of linux/landlock; none restrict nothing
        self.launcher = launcher  # the program that executes it (runtime/launcher), or b""
        self.one_id = one_id  # a BPF program that pretends other IDs, where one is mapped, or b""
        self.nests = False  # whether another user than root is made where one ID is mapped
        self.unmapped: tuple[int, int] | None = None  # --userns=nomap: what is left out, and above
        self.note_owners = b""  # the same, with a listener for changes of owners: runtime.owners

    @property
    def keeps_groups(self) -> bool:
        """--group-add keep-groups: the caller's supplementary groups stay.

        They are not mapped: the container sees 65534, and the kernel the right ones.
        """
        return KEEP_GROUPS in self.groups


def set_oom_score(plan: ProcessPlan) -> None:
    """--oom-score-adj, in the host's /proc, while this process is the caller's still."""
    if plan.oom_score_adj is None:
        return
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(plan.oom_score_adj))
    except PermissionError:
        raise ContainerError(
            f"cannot set --oom-score-adj {plan.oom_score_adj}: only root may go below what the "
            "session began with",
            remedy="give 0 or more, or leave it out",
            code="RL-NEEDS-ROOT",
        ) from None


def execute(
    plan: ProcessPlan,
    stdio: "Sequence[int]",
    channel_fd: int,
    *,
    dies_with_parent: bool = True,
    give_listener: "Callable[[int], None] | None" = None,
    tell_user: "Callable[[int, int], None] | None" = None,
    trace: "Trace | None" = None,
) -> "NoReturn":
    """Become the program of `plan`, in the container's root, with `stdio` as 0, 1 and 2.

    `channel_fd` is that of the channel on which the parent hears of a failure.
    `give_listener` takes the listener of changes of owners, if there is to be one; `tell_user` is
    told of another user than root where one ID is mapped.  `trace` is saved before the rights go
    that this may take; its last span ends with the execve(2).
    """
    env = dict(entry.partition("=")[::2] for entry in plan.env)
    uid, gid, groups, home = resolve_user(plan.user, () if plan.keeps_groups else plan.groups)
    if not env.get("HOME"):
        env["HOME"] = home
    _enter_directory(plan.cwd)
    path = find_command(plan.args[0], env.get("PATH", DEFAULT_PATH))
    if trace is not None:
        trace.lap(f"found the program {path} and the user {uid}:{gid} in the container's files")
    for number, fd in enumerate(stdio):
        os.dup2(fd, number, inheritable=True)
    if plan.terminal:
        pty.make_controlling(0)
    else:
        _own_stdio(uid, gid, plan.unmapped is not None)
    for name, soft, hard in plan.rlimits:
        rlimit.set_limit(name, soft, hard)
    os.umask(plan.umask)
    if trace is not None:
        if plan.rlimits:
            trace.lap("set limits: " + " ".join(f"{n[7:].lower()}={s}" for n, s, _ in plan.rlimits))
        kept = plan.capabilities.get("bounding", ())
        trace.lap(
            f"gave up all capabilities but {len(kept)}, became {uid}:{gid}"
            + (f", loaded a seccomp filter of {len(plan.seccomp) // 8} steps" * bool(plan.seccomp))
            + f", execve({path})",
            argv=list(plan.args), uid=uid, gid=gid, capabilities=list(kept),
        )  # fmt: skip
        trace.save()
    if tell_user is not None and plan.one_id and (uid or gid):
        tell_user(uid, gid)
    _drop(plan, uid, gid, groups, give_listener)
    if dies_with_parent:
        # After the last change of credentials, which clears it: prctl(2).
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    signals.reset_for_exec()
    syscalls.close_on_exec_from(3)
    if plan.seccomp and plan.no_new_privileges:
        seccomp.load(plan.seccomp)
    try:
        if plan.launcher:
            from rootless.linux import launcher  # imported by who has read it

            # The first execve closes all but the channel, the second the channel.
            os.dup2(channel_fd, launcher.CHANNEL_FD)
            os.set_inheritable(launcher.CHANNEL_FD, True)
            words = [path, fastjson.dumps(path), *plan.args]
            os.execve(launcher.sealed(plan.launcher), words, env)
        os.execve(path, list(plan.args), env)
    except OSError as e:
        raise exec_failure(path, e.errno or 0) from e


def _drop(
    plan: ProcessPlan,
    uid: int,
    gid: int,
    groups: "Sequence[int]",
    give_listener: "Callable[[int], None] | None",
) -> None:
    """Give up what the program shall not have: groups, IDs, capabilities, syscalls."""
    if plan.unmapped:
        _leave_out(*plan.unmapped)
    if plan.one_id and (uid or gid):
        if (os.getuid(), os.getgid()) != (uid, gid):
            _nest(plan, uid, gid)
        groups = [_group_id(one, {}) for one in plan.groups if one != KEEP_GROUPS]
    elif plan.one_id:
        # From here on changes of IDs only seem to work: ours to root's are none.
        _pretend(plan, give_listener)
    if plan.landlock:
        from rootless.linux import landlock

        landlock.restrict(plan.landlock)  # needs CAP_SYS_ADMIN as well
    if plan.seccomp and not plan.no_new_privileges:
        # Needs CAP_SYS_ADMIN in the user namespace, which goes away below.
        seccomp.load(plan.seccomp)
    if plan.no_new_privileges:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    caps.limit_bounding(plan.capabilities.get("bounding", ()))
    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
    try:
        if not plan.keeps_groups:
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
        raise _not_mapped(uid, gid) from e
    caps.apply(plan.capabilities, uid)


def _nest(plan: ProcessPlan, uid: int, gid: int) -> None:
    """Be `uid`:`gid` in a user namespace below the container's, where one ID is mapped.

    It is root's, under another number: what belongs to root belongs to it.
    """
    if not plan.nests:
        raise _not_mapped(uid, gid)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"), ("uid_map", f"{uid} 0 1"), ("gid_map", f"{gid} 0 1"),
        ):  # fmt: skip
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except (KernelError, OSError) as e:
        raise _not_mapped(uid, gid) from e


def _leave_out(first_uid: int, first_gid: int) -> None:
    """Go to a user namespace below with the same IDs up to these, which are the caller's.

    The program then is nobody whom the caller's files know.  A map of several IDs is written by
    somebody in the namespace above: user_namespaces(7).
    """
    ready_read, ready_write = os.pipe()
    pid, writer = os.getpid(), os.fork()
    if writer == 0:
        status = 1
        try:
            os.close(ready_write)
            if os.read(ready_read, 1):
                for name, first in (("uid_map", first_uid), ("gid_map", first_gid)):
                    with open(f"/proc/{pid}/{name}", "w") as file:
                        file.write(f"0 0 {first}")
                status = 0
        finally:
            os._exit(status)
    os.close(ready_read)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(ready_write, b"r")
    finally:
        os.close(ready_write)
        _, status = os.waitpid(writer, 0)
    if status:
        raise ContainerError(
            "cannot map the container's IDs without yours (--userns nomap)",
            remedy="it takes a /proc of the container's own; leave the option out, or use keep-id",
            code="RL-USER-NOT-MAPPED",
        )


def _pretend(plan: ProcessPlan, give_listener: "Callable[[int], None] | None") -> None:
    if plan.note_owners and give_listener is not None:
        try:
            give_listener(seccomp.load_with_listener(plan.note_owners))
            return
        except KernelError:
            pass  # an old kernel, or somebody outside listens: they are pretended
    seccomp.load(plan.one_id)


def _not_mapped(uid: int, gid: int) -> ContainerError:
    return ContainerError(
        f"cannot become user {uid}:{gid} in the container: the ID is not mapped",
        remedy="ask the admin for more subordinate IDs (rl doctor), or use --user 0",
        code="RL-USER-NOT-MAPPED",
    )


def _own_stdio(uid: int, gid: int, unmapped: bool) -> None:
    """Pipes belong to the container's user, so that /dev/stdout opens again: as runc does.

    Root may open what is the caller's, who is mapped but where it is `unmapped`.
    """
    if uid == 0 and not unmapped:
        return
    for number in (0, 1, 2):
        try:
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.fchown(number, uid, gid)
        except OSError:
            pass  # a pipe of somebody else; opening it again may fail, writing will not


def _enter_directory(cwd: str) -> None:
    """The stage has made the container's own if it was missing; exec's has to be there."""
    try:
        os.chdir(cwd)
    except OSError as e:
        failure = ContainerError(
            f"cannot use {cwd} as working directory: {os.strerror(e.errno or 0)}",
            remedy="choose another with --workdir",
            code="RL-WORKDIR",
        )
        failure.exit_status = {errno.ENOENT: 127}.get(e.errno or 0, 126)  # as runc and docker
        raise failure from e


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


def exec_failure(path: str, number: int) -> RlError:
    """Why execve(2) of `path` has failed with errno `number`."""
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
    return CommandNotExecutable(
        f"cannot execute {path}: {os.strerror(number)}",
        remedy="is it executable for this user, and within the rules of --landlock?"
        if number == errno.EACCES
        else None,
    )


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
        # An image may have anything there: a FIFO would never open.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8", errors="surrogateescape") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return []
            lines = file.read(4 << 20).split("\n")
    except OSError:
        return []
    records = [line.split(":") for line in lines]
    return [r for r in records if len(r) >= least and _is_id(r[2]) and (least < 7 or _is_id(r[3]))]


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) <= 10 and int(text) < 0xFFFFFFFF
