"""User namespaces and IDs, really made."""

import errno
import os
import sys

from rootless.context import Context
from rootless.doctor.verdict import UNAVAILABLE, UNTESTED, Ladder, Rung
from rootless.errors import KernelError, RlError
from rootless.linux import hostfacts, idmap, mount, namespaces, syscalls
from rootless.linux.hostneeds import SUBID_COUNT
from rootless.linux.hostread import HostProblem
from rootless.linux.idmap import IdMap

NAMESPACES = (
    ("mount", syscalls.CLONE_NEWNS),
    ("PID", syscalls.CLONE_NEWPID),
    ("IPC", syscalls.CLONE_NEWIPC),
    ("UTS", syscalls.CLONE_NEWUTS),
    ("network", syscalls.CLONE_NEWNET),
    ("cgroup", syscalls.CLONE_NEWCGROUP),
)


class Target:
    """A process with one thread in new namespaces, until the `with` block ends."""

    def __init__(self, ctx: Context, maps: IdMap, flags: int) -> None:
        ready, self._hold = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            failure = 1
            try:
                os.close(self._hold[1])
                try:
                    syscalls.unshare(syscalls.CLONE_NEWUSER | flags)
                    failure = 0
                except KernelError as e:
                    failure = e.errno
                os.write(ready[1], bytes([failure]))
                os.read(self._hold[0], 1)  # ends with the parent, whatever happens to it
            finally:
                os._exit(failure)
        os.close(ready[1])
        answer = os.read(ready[0], 1)
        os.close(ready[0])
        failure = answer[0] if answer else errno.EIO
        try:
            if failure:
                raise hostfacts.explain_user_namespace_failure(failure, program=program_path())
            idmap.write_maps(maps, self.pid, ctx.environ)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._hold:
            os.close(fd)
        os.waitpid(self.pid, 0)


def program_path() -> str:
    """The path of rl, which an AppArmor profile must name."""
    return os.path.realpath(sys.argv[0]) if sys.argv[0].startswith("/") else _found()


def _found() -> str:
    from rootless.linux.hostread import find_program

    return os.path.realpath(find_program("rl") or "/usr/local/bin/rl")


def single_map(ctx: Context) -> IdMap:
    return idmap.default_map(ctx.uid, ctx.gid, [], [])


def full_map(ctx: Context) -> IdMap:
    """The map that `run` uses here."""
    return idmap.default_map(
        ctx.uid, ctx.gid, *idmap.subordinate_ranges(ctx.user_name, ctx.uid, ctx.environ)
    )


def probe(ctx: Context) -> list[Ladder]:
    """The ladders of user namespaces and of IDs."""
    ladder = Ladder("user-namespaces", "User namespaces", required=True)
    try:
        _try_namespaces(ctx)
        ladder.rungs.append(Rung("user namespaces", why="with all seven namespaces of a container"))
    except RlError as e:
        ladder.rungs.append(Rung.failed("user namespaces", e))
    return [ladder, _ids(ctx, bool(ladder.chosen))]


def _try_namespaces(ctx: Context) -> None:
    """Make them, and be root in them: AppArmor may allow the first and deny the second."""
    flags = 0
    for _, flag in NAMESPACES:
        flags |= flag
    with Target(ctx, single_map(ctx), flags):
        pass

    def mount_something() -> None:
        syscalls.mount("tmpfs", "/tmp", "tmpfs", 0, "size=4k")

    try:
        namespaces.run_in_user_namespace(single_map(ctx), ctx.environ, mount_something, mounts=True)
    except KernelError as e:
        raise hostfacts.explain_user_namespace_failure(e.errno, program=program_path()) from e


def probe_proc(ctx: Context, maps: IdMap | None) -> list[Ladder]:
    """Whether a container gets a /proc of its own: not where ours hides parts of itself."""
    own, shared = "a new one", "that of the container around us"
    ladder = Ladder("proc", "/proc", required=True)
    if maps is None:
        ladder.rungs += [Rung(name, UNTESTED, "needs user namespaces") for name in (own, shared)]
        return [ladder]
    failure = namespaces.run_in_user_namespace(maps, ctx.environ, _mount_proc, mounts=True)
    assert isinstance(failure, int)
    if failure:
        problem = HostProblem(
            f"the kernel makes none where parts of /proc are hidden: {os.strerror(failure)}",
            code="RL-HOST-PROC",
            remedy="start the container around us with --security-opt unmask=ALL "
            "(Docker: systempaths=unconfined)",
        )
        ladder.rungs.append(Rung.failed(own, problem))
    else:
        ladder.rungs.append(Rung(own))
    ladder.rungs.append(Rung(shared, why="processes have the numbers there that they have here"))
    return [ladder]


def _mount_proc() -> int:
    """0, or the error number of mounting /proc in a PID namespace of one's own."""
    syscalls.unshare(syscalls.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        status = errno.EIO
        try:
            mount.new_filesystem("proc", (), 0)
            status = 0
        except KernelError as e:
            status = e.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _ids(ctx: Context, possible: bool) -> Ladder:
    ladder = Ladder("ids", "IDs", required=True)
    many, one = "newuidmap and newgidmap over subordinate IDs", "one ID"
    if not possible:
        missing = hostfacts.explain_subordinate_ids(user=ctx.user_name())
        untested = Rung(many, UNTESTED, "needs user namespaces")
        ladder.rungs.append(Rung.failed(many, missing) if missing else untested)
        ladder.rungs.append(Rung(one, UNTESTED, "needs user namespaces"))
        return ladder
    maps = full_map(ctx)
    count = min(sum(extent[2] for extent in extents) for extents in (maps.uids, maps.gids))
    if maps.single:
        problem = hostfacts.explain_subordinate_ids(user=ctx.user_name())
        why = "getsubids and /etc/subuid give no subordinate IDs"
        ladder.rungs.append(
            Rung.failed(many, problem)
            if problem
            else Rung(many, UNAVAILABLE, why, code="RL-HOST-NO-SUBIDS")
        )
    else:
        try:
            with Target(ctx, maps, 0):
                note = f"{count} IDs"
                if count <= SUBID_COUNT - 1:
                    note += f": images with IDs of {count} and above cannot be unpacked"
                ladder.rungs.append(Rung(many, why=note))
        except RlError as e:
            ladder.rungs.append(Rung.failed(many, e))
    ladder.rungs.append(
        Rung(
            one,
            why="files have one owner, and changes of owner or user are pretended, so `apt` works",
        )
    )
    return ladder
