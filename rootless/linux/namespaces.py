"""A worker in a user namespace: how rl touches files that belong to subordinate IDs."""

import errno
import os

from rootless import fastjson
from rootless.errors import KernelError, RlError
from rootless.linux import idmap as idmaps
from rootless.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rootless.linux.idmap import IdMap


_NS_GET_USERNS = 0xB701


class WorkerFailed(RlError):
    """A worker in the user namespace ended without an answer."""

    code = "RL-WORKER"


def become_root(*, inspectable: bool = True, keep_groups: bool = False) -> None:
    """Take UID and GID 0 of the user namespace that the process is in, and no other groups,
    unless it is to `keep_groups`.

    `inspectable` lets the parent, and what it starts, open /proc/PID/ns afterwards.  Never where
    processes of a container are about: they could look at what this one has brought along.
    """
    try:
        if not keep_groups:
            os.setgroups([])
    except PermissionError:
        pass  # setgroups is denied where one ID alone is mapped: user_namespaces(7)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # The change of IDs made /proc/self root's; opening ns files from outside needs it back.
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, int(inspectable))


def set_names(hostname: str, domainname: str) -> bool:
    """The names of the UTS namespace, where they are given; False where the seccomp filter of a
    container around us lets nobody set them, whatever the namespace."""
    try:
        if hostname:
            syscalls.sethostname(hostname)
        if domainname:
            syscalls.setdomainname(domainname)
    except KernelError as e:
        if e.errno != errno.EPERM:
            raise
        return False
    return True


def join_owner_of_mounts(pid: int) -> None:
    """Enter the user namespace that the mount namespace of `pid` belongs to: ioctl_ns(2).

    The process itself may be in one below it.  Raises OSError, KernelError.
    """
    import fcntl

    mounts_fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    owner_fd = fcntl.ioctl(mounts_fd, _NS_GET_USERNS)
    os.close(mounts_fd)
    syscalls.setns(owner_fd, syscalls.CLONE_NEWUSER)
    os.close(owner_fd)


def run_beside(pid: int, function: "Callable[[], object]") -> object:
    """Run `function()` as root of the user namespace that owns the mounts of process `pid`, with
    the caller's mounts, in a forked child; its JSON-able result.

    The caller has one thread, and owns that user namespace.  An RlError raised inside is raised
    here.
    """
    result_read, result_write = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(result_read)

            def work() -> object:
                join_owner_of_mounts(pid)
                become_root()
                _end_with(parent)
                syscalls.unshare(syscalls.CLONE_NEWNS)
                syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
                return function()

            _write_all(result_write, fastjson.dumps(_answer(work)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(result_write)
    with open(result_read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    return _unwrap(data, os.waitstatus_to_exitcode(status))


def run_in_user_namespace(
    idmap: "IdMap",
    environ: "Mapping[str, str]",
    function: "Callable[[], object]",
    *,
    mounts: bool = False,
    keep_groups: bool = False,
) -> object:
    """Run `function()` as root of a new user namespace, in a forked child; its JSON-able result.

    The caller has one thread.  `mounts` gives the child a private mount namespace too;
    `keep_groups` keeps the caller's groups, which own files of the host.  An
    RlError raised inside is raised here; the pipe is drained before the child is waited for.
    """
    result_read, result_write = os.pipe()
    ready_read, ready_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for fd in (result_read, ready_read, mapped_write):
                os.close(fd)
            answer = _inside(ready_write, mapped_read, function, mounts, keep_groups)
            _write_all(result_write, fastjson.dumps(answer).encode())
            status = 0
        finally:
            os._exit(status)
    for fd in (result_write, ready_write, mapped_read):
        os.close(fd)
    failure: RlError | None = None
    try:
        if os.read(ready_read, 1):
            try:
                idmaps.write_maps(idmap, pid, environ)
                os.write(mapped_write, b"m")
            except RlError as e:
                failure = e
    finally:
        os.close(mapped_write)
        os.close(ready_read)
    with open(result_read, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(pid, 0)
    if failure is not None:
        raise failure
    return _unwrap(data, os.waitstatus_to_exitcode(status))


def _inside(
    ready_fd: int,
    mapped_fd: int,
    function: "Callable[[], object]",
    mounts: bool,
    keep_groups: bool,
) -> dict[str, object]:
    """The worker's side: what _answer() says."""
    parent = os.getppid()

    def work() -> object:
        flags = syscalls.CLONE_NEWUSER | (syscalls.CLONE_NEWNS if mounts else 0)
        try:
            syscalls.unshare(flags)
        except KernelError as e:
            from rootless.linux import hostfacts

            raise hostfacts.explain_user_namespace_failure(e.errno) from e
        os.write(ready_fd, b"r")
        if not os.read(mapped_fd, 1):
            return None  # the parent has the reason
        become_root(keep_groups=keep_groups)
        _end_with(parent)
        if mounts:
            syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        return function()

    return _answer(work)


def _end_with(parent: int) -> None:
    """Be killed with the parent.  A change of IDs clears this, so it comes after."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:  # it has died before
        os._exit(1)


def _answer(work: "Callable[[], object]") -> dict[str, object]:
    """What a worker tells its parent: {"result": …} or {"error": …}."""
    try:
        return {"result": work()}
    except KernelError as e:
        return {"errno": e.errno, "call": e.call, "target": e.target, "remedy": e.remedy}
    except RlError as e:
        return {"error": e.what, "remedy": e.remedy, "code": e.code}
    except OSError as e:
        return {"errno": e.errno or 0, "call": "worker", "target": str(e.filename or "")}


def _unwrap(data: bytes, status: int) -> object:
    if status != 0 or not data:
        raise WorkerFailed(f"the worker in the user namespace ended with status {status}")
    answer = fastjson.loads(data)
    if answer.get("errno") == errno.EPIPE and answer["call"] == "worker":
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))  # of what it has written to
    if "errno" in answer:
        raise KernelError(
            answer["call"], answer["errno"], answer["target"], remedy=answer.get("remedy")
        )
    if "error" in answer:
        raise RlError(answer["error"], remedy=answer["remedy"], code=answer["code"])
    result: object = answer["result"]
    return result


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
