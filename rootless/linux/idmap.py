"""User and group IDs: who maps to whom, and getting the kernel to accept it.

user_namespaces(7), newuidmap(1), subuid(5), getsubids(1).
"""

import os
import time

from rootless import fastjson
from rootless.errors import HostError
from rootless.linux import process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Range = tuple[int, int]  # first host ID, count
    Extent = tuple[int, int, int]  # first container ID, first host ID, count

_NO_RANGES = "you have no subordinate IDs"
# An administrator's change in LDAP changes no file here.
_KNOWN_MAX_S = 24 * 3600
_UNKNOWN_MAX_S = 300
_SOURCES = ("/etc/subuid", "/etc/subgid", "/etc/nsswitch.conf")


class IdMap:
    """The two sides of a user namespace's maps: lists of (container ID, host ID, count).

    `reason` says why one ID alone is mapped, "" where there are more.
    """

    __slots__ = ("gids", "reason", "uids")

    def __init__(
        self, uids: "Sequence[Extent]", gids: "Sequence[Extent]", reason: str = ""
    ) -> None:
        self.uids = list(uids)
        self.gids = list(gids)
        self.reason = reason

    @property
    def single(self) -> bool:
        """Whether one ID alone is mapped, the caller's."""
        return sum(count for _, _, count in self.uids) == 1

    def has_gid(self, gid: int) -> bool:
        """Whether the container's group ID `gid` is mapped."""
        return any(inside <= gid < inside + count for inside, _, count in self.gids)

    def host_uid(self, uid: int) -> int | None:
        """The host's UID of the container's `uid`, None when it isn't mapped."""
        return _outside(self.uids, uid)

    def host_gid(self, gid: int) -> int | None:
        """The host's GID of the container's `gid`, None when it isn't mapped."""
        return _outside(self.gids, gid)

    def inside(self, uid: int, gid: int) -> tuple[int, int]:
        """The container's numbers for the host's `uid` and `gid`, which are mapped."""
        return _inside(self.uids, uid), _inside(self.gids, gid)


def _outside(extents: "Sequence[Extent]", number: int) -> int | None:
    for inside, outside, count in extents:
        if inside <= number < inside + count:
            return outside + number - inside
    return None


def _inside(extents: "Sequence[Extent]", number: int) -> int:
    for inside, outside, count in extents:
        if outside <= number < outside + count:
            return inside + number - outside
    raise KeyError(number)


def default_map(uid: int, gid: int, uids: "Sequence[Range]", gids: "Sequence[Range]") -> IdMap:
    """0 is the caller; 1, 2, … are the subordinate IDs in their order."""
    if not uids or not gids:
        return IdMap([(0, uid, 1)], [(0, gid, 1)], _NO_RANGES)
    return IdMap([(0, uid, 1), *_place(uids, 1)], [(0, gid, 1), *_place(gids, 1)])


def keep_id_map(
    uid: int,
    gid: int,
    uids: "Sequence[Range]",
    gids: "Sequence[Range]",
    inside_uid: int,
    inside_gid: int,
) -> IdMap:
    """The caller is `inside_uid`:`inside_gid`; subordinate IDs fill the places around it.

    Without any the caller is root, who makes the container; its program gets its IDs in a
    namespace below (runtime/execute.py).
    """
    if not uids or not gids:
        return default_map(uid, gid, uids, gids)
    return IdMap(_around(uids, inside_uid, uid), _around(gids, inside_gid, gid))


def _place(ranges: "Sequence[Range]", first: int) -> "list[Extent]":
    extents = []
    for start, count in ranges:
        extents.append((first, start, count))
        first += count
    return extents


def _around(ranges: "Sequence[Range]", inside: int, outside: int) -> "list[Extent]":
    """Extents of `ranges` from 0 on, with `inside` left out for `outside`."""
    extents: list[Extent] = []
    for first, start, count in _place(ranges, 0):
        below = max(0, min(count, inside - first))
        if below:
            extents.append((first, start, below))
        if below < count:
            extents.append((first + below + 1, start + below, count - below))
    extents.append((inside, outside, 1))
    return sorted(extents)


def below(idmap: IdMap, parent: IdMap) -> IdMap:
    """`idmap` as it is written in a user namespace that has `parent`, which has all its IDs."""
    return IdMap(
        [(inside, _inside(parent.uids, outside), n) for inside, outside, n in idmap.uids],
        [(inside, _inside(parent.gids, outside), n) for inside, outside, n in idmap.gids],
        idmap.reason,
    )


def write_own_maps(idmap: IdMap, pid: int) -> None:
    """Give the user namespace of `pid` its maps, by a process with every right over its parent.

    Raises HostError.
    """
    if idmap.single:
        _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/uid_map", "".join(_line(one) for one in idmap.uids))
    _write(f"/proc/{pid}/gid_map", "".join(_line(one) for one in idmap.gids))


def subordinate_ranges(
    user_name: "Callable[[], str]", uid: int, environ: "Mapping[str, str]", cache: str = ""
) -> "tuple[list[Range], list[Range]]":
    """The caller's subordinate UID and GID ranges, ([], []) when there are none.

    getsubids answers for every source that the host configures (LDAP, SSSD); without that
    program the two files are read.  `cache` is a file that keeps the answer, while none of the
    three files behind it has changed, for a day, and for minutes that there is none; `user_name`
    is called when it does not answer.
    """
    key = [_signature(path) for path in _SOURCES]
    if cache:
        try:
            with open(cache, "rb") as file:
                saved = fastjson.loads(file.read())
            known = saved["uids"] and saved["gids"]
            age_s = time.time() - os.stat(cache).st_mtime
            fresh = 0 <= age_s < (_KNOWN_MAX_S if known else _UNKNOWN_MAX_S)
            if fresh and saved["key"] == key and saved["uid"] == uid:
                return (
                    [(int(a), int(b)) for a, b in saved["uids"]],
                    [(int(a), int(b)) for a, b in saved["gids"]],
                )
        except (OSError, ValueError, KeyError, TypeError):
            pass
    uids, gids = _ask(user_name(), uid, environ)
    if cache:
        temporary = f"{cache}.{os.getpid()}"
        try:
            with open(temporary, "w") as file:
                file.write(fastjson.dumps({"key": key, "uid": uid, "uids": uids, "gids": gids}))
            os.rename(temporary, cache)
        except OSError:
            pass  # a cache that can't be written costs time, nothing else
    return uids, gids


def _signature(path: str) -> list[int]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_mtime_ns, status.st_size, status.st_ino]


def _ask(user: str, uid: int, environ: "Mapping[str, str]") -> "tuple[list[Range], list[Range]]":
    program = process.find_program("getsubids", environ)
    if program is not None:
        asked = [
            process.Spawned([program, user], environ),
            process.Spawned([program, "-g", user], environ),
        ]
        answers = [spawned.finish() for spawned in asked]
        if all(status == 0 for status, _ in answers):
            # 0: ann 100000 65536
            return (
                _parse(line.split(":", 1)[1].split() for line in answers[0][1].splitlines()),
                _parse(line.split(":", 1)[1].split() for line in answers[1][1].splitlines()),
            )
    return read_ranges("/etc/subuid", user, uid), read_ranges("/etc/subgid", user, uid)


def read_ranges(path: str, user: str, uid: int) -> "list[Range]":
    """The ranges that a file in the form of subuid(5) gives `user`, by name or UID."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return []
    fields = (line.strip().split(":") for line in lines)
    return _parse(f for f in fields if f[0] in (user, str(uid)))


def _parse(entries: "Iterable[Sequence[str]]") -> "list[Range]":
    """Ranges of [owner, first, count] entries; comments and broken lines are left out."""
    ranges = []
    for entry in entries:
        if len(entry) == 3 and entry[1].isdecimal() and entry[2].isdecimal() and int(entry[2]) > 0:
            ranges.append((int(entry[1]), int(entry[2])))
    return ranges


def map_programs_problem(environ: "Mapping[str, str]") -> str:
    """Why newuidmap and newgidmap cannot map subordinate IDs for this process, "" if they can.

    They need the set-user-ID bit or file capabilities, and a process that may gain privileges.
    """
    if syscalls.prctl(syscalls.PR_GET_NO_NEW_PRIVS):
        return "this process may gain no privileges (no_new_privs)"
    for name in ("newuidmap", "newgidmap"):
        path = process.find_program(name, environ)
        if path is None:
            return f"{name} is missing"
        status = os.stat(path)
        if not (status.st_mode & 0o4000 and status.st_uid == 0):
            try:
                os.getxattr(path, "security.capability")
            except OSError:
                return f"{path} is not set-user-ID root"
        if os.statvfs(path).f_flag & os.ST_NOSUID:
            return f"{path} is on a file system mounted nosuid"
    return ""


def map_programs_refusal(idmap: IdMap, environ: "Mapping[str, str]") -> str:
    """As map_programs_problem(), found out by trying: why they cannot give a user namespace this
    map, "" if they can.  In containers without CAP_SYS_ADMIN a newuidmap with the set-user-ID bit
    starts, and the kernel refuses what it writes: the namespace is another user's to it.
    """
    ready_read, ready_write = os.pipe()
    hold_read, hold_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(hold_write)
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            os.write(ready_write, b"r")
            os.read(hold_read, 1)
        finally:
            os._exit(0)
    os.close(ready_write)
    os.close(hold_read)
    try:
        if not os.read(ready_read, 1):
            return ""  # no user namespaces at all: whoever makes one says why
        write_maps(idmap, pid, environ)
        return ""
    except HostError as e:
        return e.what
    finally:
        os.close(ready_read)
        os.close(hold_write)
        os.waitpid(pid, 0)


def write_maps(idmap: IdMap, pid: int, environ: "Mapping[str, str]") -> None:
    """Give the user namespace of `pid` (a child of ours that has just made it) its maps.

    One ID needs no help; more need newuidmap and newgidmap, which are started together.
    Raises HostError with the cause and the remedy.
    """
    if idmap.single:
        _write(f"/proc/{pid}/setgroups", "deny")
        _write(f"/proc/{pid}/uid_map", _line(idmap.uids[0]))
        _write(f"/proc/{pid}/gid_map", _line(idmap.gids[0]))
        return
    started: list[tuple[str, process.Spawned]] = []
    for name, extents in (("newuidmap", idmap.uids), ("newgidmap", idmap.gids)):
        program = process.find_program(name, environ)
        if program is None:
            for _, earlier in started:
                earlier.finish()
            from rootless.linux import hostfacts

            raise hostfacts.explain_idmap_failure(name, "", 127)
        numbers = [str(number) for extent in extents for number in extent]
        started.append((program, process.Spawned([program, str(pid), *numbers], environ)))
    answers = [(program, *spawned.finish()) for program, spawned in started]
    for program, status, output in answers:
        if status != 0:
            from rootless.linux import hostfacts

            raise hostfacts.explain_idmap_failure(program, output, status)


def _line(extent: "Extent") -> str:
    inside, outside, count = extent
    return f"{inside} {outside} {count}\n"


def _write(path: str, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as e:
        from rootless.linux import hostfacts

        raise hostfacts.explain_user_namespace_failure(e.errno or 0) from e
