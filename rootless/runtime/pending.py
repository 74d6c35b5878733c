"""A change of a container's layers that has begun: pending.json, written before its first step.

    {"frozen": [ID, ...], the frozen layers that it will stand on, bottom first
     "id": ID of the one that the upper directory becomes, "" when what is in it is given up
     "root": with a container that runs, the ID of the mount that was its root before}

Each step can be seen to be done.  One that was cut off is finished by the next command that takes
the lock of the container's layers, or its own.
"""

import os
import select
from typing import TYPE_CHECKING, Any

from rootless.errors import RlError
from rootless.linux import namespaces
from rootless.runtime.live_layers import FRESH, FRESH_WORK, copy_attributes, tidy
from rootless.runtime.supervise import id_map
from rootless.store import atomic
from rootless.store.removal import remove_mapped_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.context import Context
    from rootless.store.containers import Container

    Doc = dict[str, Any]


def begin(
    ctx: "Context", container: "Container", frozen: "Sequence[str]", new_id: str, root: int = 0
) -> None:
    """Note a change.  The caller holds the container's lock, or with `root` that of its layers.

    Raises StoreError.
    """
    if os.path.exists(_given_up(container)):  # of one that was killed at its end
        remove_mapped_tree(ctx, _given_up(container))
    document = {"frozen": list(frozen), "id": new_id, "root": root}
    atomic.write_json(container.pending_path, document, sync=False)


def like(ctx: "Context", container: "Container", document: "Doc") -> str:
    """The directory whose attributes the new upper one gets: the top of the present root, or of
    the one that is gone back to."""
    if document["id"] or not document["frozen"]:
        return f"{container.directory}/upper"
    return str(ctx.paths.frozen_diff(document["frozen"][-1]))


def finish(ctx: "Context", container: "Container") -> None:
    """Do what pending.json says, from the beginning or from where it was cut off.

    The caller holds the container's lock; or it runs, on the new layers already, and the caller
    holds the lock of its layers.  Raises StoreError; what is pending stays so then.
    """
    pending: Doc = atomic.read_json(container.pending_path)
    config = container.runtime_config()
    upper, fresh = f"{container.directory}/upper", f"{container.directory}/{FRESH}"
    place = ctx.paths.frozen_diff(pending["id"]) if pending["id"] else _given_up(container)

    def work() -> None:
        if os.path.exists(upper) and not os.path.exists(place):
            if not os.path.exists(fresh):
                os.mkdir(fresh)
                copy_attributes(like(ctx, container, pending), fresh)
            os.rename(upper, place)
        if os.path.exists(fresh):
            os.rename(fresh, upper)

    try:
        if os.stat(upper if os.path.exists(upper) else place).st_uid == os.getuid():
            work()
        else:  # with --userns=keep-id the directory is another's
            namespaces.run_in_user_namespace(id_map(ctx, config["rl"]), ctx.environ, work)
        _exchange_work(ctx, container)
    except OSError as e:
        raise atomic.store_error(e, f"change the layers of {container.name}") from e
    config["rl"]["frozen"] = pending["frozen"]
    atomic.write_json(f"{container.directory}/config.json", config, sync=False)
    os.unlink(container.pending_path)
    if os.path.exists(_given_up(container)):
        remove_mapped_tree(ctx, _given_up(container))


def _exchange_work(ctx: "Context", container: "Container") -> None:
    """overlayfs has a directory for its work of its own with each upper directory."""
    work, fresh = f"{container.directory}/work", f"{container.directory}/{FRESH_WORK}"
    if os.path.exists(fresh):
        remove_mapped_tree(ctx, work)
        os.rename(fresh, work)


def settle(ctx: "Context", container: "Container") -> bool:
    """Finish or cancel what is pending of a running container; whether it was done.

    The caller holds the lock of its layers.  Of one that has ended, it stays pending for who
    takes its lock.
    """
    pending: Doc = atomic.read_json(container.pending_path)
    pidfd = container.pidfd()
    if pidfd < 0:
        return False
    try:
        moved = tidy(int(container.state["pid"]), int(pending["root"]))
    except (OSError, RlError):
        if not select.select([pidfd], [], [], 0)[0]:
            raise
        return False  # it has just ended
    finally:
        os.close(pidfd)
    if moved:
        finish(ctx, container)
        return True
    for name in (FRESH, FRESH_WORK):
        remove_mapped_tree(ctx, f"{container.directory}/{name}")
    os.unlink(container.pending_path)
    return False


def _given_up(container: "Container") -> str:
    return f"{container.directory}/given-up"
