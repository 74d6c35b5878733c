"""Where the store is when nobody says so: the store ladder of DESIGN.md section 4.

Only asked while there is no store at the usual place: the warm path never comes here.
"""

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.errors import StoreError


def choose(usual: str, uid: int) -> "tuple[str, StoreError | None]":
    """The store's directory, and why it is not the usual one when it is made now.

    The usual place, unless its file system cannot hold a store; /var/tmp/rl-UID then.
    """
    from rootless.linux import hostfacts

    fallback = f"/var/tmp/rl-{uid}"
    if _is_ours(fallback, uid) and os.path.exists(f"{fallback}/version"):
        return fallback, None
    problem = hostfacts.explain_store(usual)
    if problem is None:
        return usual, None
    # Another user may have made a directory of that name, and would own what we put there.
    if os.path.lexists(fallback) and not _is_ours(fallback, uid):
        return usual, None
    if hostfacts.explain_store(fallback) is not None:
        return usual, None
    return fallback, problem


def _is_ours(path: str, uid: int) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == uid and not status.st_mode & 0o022
