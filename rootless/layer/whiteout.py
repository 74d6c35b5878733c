"""Whiteouts: how a changeset says that something below it is gone.  Pure.

In a layer's tar they are names (image-spec layer.md); on disk they are what overlayfs reads in
its userxattr mode, and fuse-overlayfs as well: a character device 0/0, and an extended attribute
on an opaque directory (Documentation/filesystems/overlayfs.rst).
"""

PREFIX = b".wh."
META_PREFIX = b".wh..wh."
OPAQUE = b".wh..wh..opq"

OPAQUE_XATTR = b"user.overlay.opaque"
OPAQUE_VALUE = b"y"
# Where one ID alone is mapped: "UID:GID", the owner that a file was given and cannot have here.
OWNER_XATTR = b"user.rl.owner"
# The same of what a directory has that takes no attributes (symbolic links, pipes), as JSON:
# {name: [UID, GID]}.
LINK_OWNERS_XATTR = b"user.rl.links"
# overlayfs obeys these: one that came with an image could lead it anywhere (redirect).  And ours.
RESERVED_XATTRS = (
    b"user.overlay.",
    b"trusted.overlay.",
    b"user.fuseoverlayfs.",
    b"user.rl.",
)

NONE = 0  # an ordinary name
HIDE = 1  # hides one name below
HIDE_ALL = 2  # the directory is opaque
META = 3  # aufs bookkeeping (.wh..wh.plnk, .wh..wh.aufs): nothing to us


def kind_of(name: bytes) -> int:
    """Which of NONE, HIDE, HIDE_ALL and META the last component `name` is."""
    if not name.startswith(PREFIX):
        return NONE
    if name == OPAQUE:
        return HIDE_ALL
    return META if name.startswith(META_PREFIX) else HIDE


def hidden_name(name: bytes) -> bytes | None:
    """What the whiteout `name` hides; None when that is no name: .wh., .wh.. and .wh...."""
    hidden = name[len(PREFIX) :]
    return None if hidden in (b"", b".", b"..") else hidden


def recorded_owner(value: bytes) -> tuple[int, int] | None:
    """(UID, GID) that a value of OWNER_XATTR says; None for what says nothing."""
    uid, colon, gid = value.partition(b":")
    if not (colon and uid.isdigit() and gid.isdigit() and len(value) <= 21):
        return None
    return int(uid), int(gid)


def is_reserved_xattr(name: bytes) -> bool:
    return name.startswith(RESERVED_XATTRS)
