"""How much is in directories: a worker counts, as files may belong to subordinate IDs."""

import os

from rootless.linux.namespaces import run_in_user_namespace
from rootless.store import mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container


def written(ctx: "Context", containers: "list[Container]") -> "dict[str, int]":
    """Container ID -> bytes on disk of what it has written, also before a snapshot."""
    tops = {f"{one.id} ": f"{one.directory}/upper" for one in containers}
    for one in containers:
        if os.path.exists(one.snapshots_path):
            for frozen in one.runtime_config()["rl"].get("frozen", ()):
                tops[f"{one.id} {frozen}"] = ctx.paths.frozen_diff(frozen)
    found = dict.fromkeys((one.id for one in containers), 0)
    for key, size in trees(ctx, tops).items():
        found[key.partition(" ")[0]] += size
    return found


def trees(ctx: "Context", tops: "dict[str, str]") -> "dict[str, int]":
    """Key -> bytes on disk below the directory of that key."""

    def count() -> object:
        return {key: _tree(top) for key, top in tops.items()}

    if not tops:
        return {}
    found = run_in_user_namespace(mapping.default_map(ctx), ctx.environ, count)
    assert isinstance(found, dict)
    return found


def _tree(top: str) -> int:
    """Bytes of all files below `top`, each inode once."""
    total = 0
    seen = set()
    pending = [top]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        status = entry.stat(follow_symlinks=False)
                        if status.st_nlink == 1 or status.st_ino not in seen:
                            total += status.st_size
                            seen.add(status.st_ino)
        except OSError:
            continue  # removed while we look
    return total
