"""The caller's user namespace mapping, with the look-up of subordinate IDs cached.  Warm."""

import os

from rootless import fastjson
from rootless.linux import idmap, process, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def default_map(ctx: "Context") -> idmap.IdMap:
    """0 is the caller, 1, 2, … are the subordinate IDs; one ID where they cannot be had."""
    return _or_single(ctx, idmap.default_map(ctx.uid, ctx.gid, *_ranges(ctx)))


def keep_id_map(ctx: "Context", inside_uid: int, inside_gid: int) -> idmap.IdMap:
    """The caller is `inside_uid`:`inside_gid` (--userns=keep-id)."""
    wanted = idmap.keep_id_map(ctx.uid, ctx.gid, *_ranges(ctx), inside_uid, inside_gid)
    return _or_single(ctx, wanted)


def first_beyond(ctx: "Context") -> "tuple[int, int]":
    """The first UID and GID that keep_id_map() can give the caller above all subordinate IDs;
    (0, 0) where there are none."""
    if default_map(ctx).single:
        return 0, 0
    uids, gids = _ranges(ctx)
    return sum(count for _, count in uids), sum(count for _, count in gids)


def _or_single(ctx: "Context", wanted: idmap.IdMap) -> idmap.IdMap:
    """The next rung of the ladder, with its reason, where newuidmap cannot work."""
    if wanted.single:
        return wanted
    problem = idmap.map_programs_problem(ctx.environ)
    if not problem and not syscalls.prctl(syscalls.PR_CAPBSET_READ, syscalls.CAP_SYS_ADMIN):
        problem = _refusal(ctx, wanted)  # we are in a container
    if not problem:
        return wanted
    return idmap.IdMap([(0, ctx.uid, 1)], [(0, ctx.gid, 1)], problem)


def _refusal(ctx: "Context", wanted: idmap.IdMap) -> str:
    """Why newuidmap fails in this container, tried once for it."""
    cache = f"{ctx.paths.cache}/newuidmap.json"
    key = [process.boot_id(), os.stat("/proc/self/ns/mnt").st_ino, ctx.uid]
    try:
        with open(cache, "rb") as file:
            saved = fastjson.loads(file.read())
        if saved["key"] == key:
            return str(saved["refusal"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    refusal = idmap.map_programs_refusal(wanted, ctx.environ)
    temporary = f"{cache}.{os.getpid()}"
    try:
        with open(temporary, "w") as file:
            file.write(fastjson.dumps({"key": key, "refusal": refusal}))
        os.rename(temporary, cache)
    except OSError:
        pass  # a cache that can't be written costs time, nothing else
    return refusal


def _ranges(ctx: "Context") -> "tuple[list[idmap.Range], list[idmap.Range]]":
    cache = f"{ctx.paths.cache}/subordinate-ids.json"
    return idmap.subordinate_ranges(ctx.user_name, ctx.uid, ctx.environ, cache)
