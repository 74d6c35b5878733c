"""The caller's user namespace mapping, with the look-up of subordinate IDs cached.  Warm."""

from rootless.linux import idmap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def default_map(ctx: "Context") -> idmap.IdMap:
    """0 is the caller, 1, 2, … are the subordinate IDs; one ID where there are none."""
    return idmap.default_map(ctx.uid, ctx.gid, *_ranges(ctx))


def keep_id_map(ctx: "Context", inside_uid: int, inside_gid: int) -> idmap.IdMap:
    """The caller is `inside_uid`:`inside_gid` (--userns=keep-id)."""
    return idmap.keep_id_map(ctx.uid, ctx.gid, *_ranges(ctx), inside_uid, inside_gid)


def _ranges(ctx: "Context") -> "tuple[list[idmap.Range], list[idmap.Range]]":
    cache = f"{ctx.paths.cache}/subordinate-ids.json"
    return idmap.subordinate_ranges(ctx.user_name, ctx.uid, ctx.environ, cache)
