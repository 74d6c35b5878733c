"""Snapshots of what a container has written: taken, gone back to, and forked.

A container stands on its image's layers and on its frozen ones (store/frozen.py), and writes to
its upper directory.  To freeze a stopped container is to rename that directory: no file is read
or copied.  Of a running one, whose overlay cannot get another upper directory, it is a copy, taken
while the container is paused.

    snapshots.json   name -> {"created": RFC 3339, "frozen": [ID, ...], bottom first}
    pending.json     a change that has begun, written before its first rename:
                     {"frozen": [ID, ...], "id": ID of the layer that the upper directory becomes,
                     or "" when what is in it is given up}

A change that was cut off is finished by the next command that takes the container's lock: each of
its steps can be seen to be done.
"""

import os
import stat
from typing import TYPE_CHECKING, Any

from rootless.errors import ContainerError
from rootless.linux import namespaces
from rootless.runtime import create, start, still
from rootless.runtime.options import RunOptions
from rootless.runtime.supervise import id_map
from rootless.runtime.written import Written
from rootless.store import atomic, containers, frozen, images
from rootless.store.removal import remove_mapped_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.context import Context
    from rootless.store.containers import Container

    Doc = dict[str, Any]


def listed(container: "Container") -> "dict[str, Doc]":
    """The container's snapshots by name, the oldest first."""
    try:
        known: dict[str, Any] = atomic.read_json(container.snapshots_path)
    except FileNotFoundError:
        return {}
    return known


def take(ctx: "Context", container: "Container", name: str) -> str:
    """Take a snapshot as `name`, "" for the next number; its name.

    Raises ContainerError RL-SNAPSHOT-EXISTS, RL-CONTAINER-COPY.  The caller has one thread.
    """
    with frozen.lock(ctx.paths, shared=True), still.layers_lock(container):
        known = listed(container)
        name = name or _next_number(known)
        if name in known:
            raise ContainerError(
                f"{container.name} has a snapshot {name}",
                remedy="choose another name; rl snapshots lists them",
                code="RL-SNAPSHOT-EXISTS",
            )
        layers = _freeze(ctx, container)
        known[name] = {"created": containers.now(), "frozen": layers}
        atomic.write_json(container.snapshots_path, known, sync=False)
    return name


def _next_number(known: "dict[str, Doc]") -> str:
    number = len(known) + 1
    while str(number) in known:
        number += 1
    return str(number)


def roll_back(ctx: "Context", container: "Container", name: str) -> None:
    """Make what the container has written what it was at the snapshot `name`.

    Raises ContainerError RL-SNAPSHOT-NOT-FOUND, and RL-CONTAINER-RUNNING.
    """
    _find(container, name)
    if container.running:
        raise ContainerError(
            f"cannot go back to {name}: {container.name} is running",
            remedy=f"stop it first: rl stop {container.name}",
            code="RL-CONTAINER-RUNNING",
        )
    with still.layers_lock(container), start.hold(ctx, container):
        pending = {"frozen": _find(container, name)["frozen"], "id": ""}
        atomic.write_json(container.pending_path, pending, sync=False)
        finish_pending(ctx, container)
    frozen.collect(ctx)


def forget(ctx: "Context", container: "Container", name: str) -> None:
    """Remove the snapshot `name`; the container stays as it is.

    Raises ContainerError RL-SNAPSHOT-NOT-FOUND.
    """
    with still.layers_lock(container):
        _find(container, name)
        known = listed(container)
        del known[name]
        atomic.write_json(container.snapshots_path, known, sync=False)
    frozen.collect(ctx)


def fork(
    ctx: "Context",
    container: "Container",
    new_name: str,
    snapshot: str,
    notify: "Callable[[str], None]",
) -> "Container":
    """A new container like `container`, with what it has written so far, or at a snapshot.

    Named volumes are shared, anonymous ones are new.  Raises ImageError when the image is gone,
    ContainerError RL-CONTAINER-NAME, RL-CONTAINER-NAME-TAKEN.
    """
    new_name = new_name.removeprefix("/")
    if new_name:
        containers.need_name(new_name)
    record = images.resolve(ctx.paths, str(container.config["image"]["id"]))
    options = RunOptions.from_dict(container.config["options"])
    options.name = new_name
    options.cidfile = ""
    with frozen.lock(ctx.paths, shared=True):
        with still.layers_lock(container):
            if snapshot:
                layers = list(_find(container, snapshot)["frozen"])
            else:
                layers = _freeze(ctx, container)
        made, lock, _ = create.create(ctx, options, record, notify, layers)
        with lock:
            atomic.write_json(made.snapshots_path, {}, sync=False)
    return made


def _find(container: "Container", name: str) -> "Doc":
    known = listed(container)
    if name not in known:
        raise ContainerError(
            f"{container.name} has no snapshot {name}",
            remedy=f"list them with: rl snapshots {container.name}",
            code="RL-SNAPSHOT-NOT-FOUND",
        )
    return known[name]


def _freeze(ctx: "Context", container: "Container") -> list[str]:
    """The frozen layers that hold all that the container has written by now.

    The caller holds the lock of its layers.
    """
    if container.running:
        return _copy_running(ctx, container)
    with start.hold(ctx, container):
        Written(ctx, container, "take a snapshot of")
        layers: list[str] = list(container.runtime_config()["rl"].get("frozen", ()))
        if not os.path.exists(container.snapshots_path):
            atomic.write_json(container.snapshots_path, {}, sync=False)
        try:
            layers.append(frozen.new(ctx.paths))
        except OSError as e:
            raise atomic.store_error(e, "take a snapshot") from e
        atomic.write_json(container.pending_path, {"frozen": layers, "id": layers[-1]}, sync=False)
        finish_pending(ctx, container)
    return layers


def _copy_running(ctx: "Context", container: "Container") -> list[str]:
    written = Written(ctx, container, "take a snapshot of")
    layers = list(written.config["rl"].get("frozen", ()))
    if not os.path.exists(container.snapshots_path):
        atomic.write_json(container.snapshots_path, {}, sync=False)
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        with still.paused(ctx, container):
            _copy(ctx, container, written, f"{temporary}/diff")
        try:
            frozen_id = frozen.new(ctx.paths)
            os.rename(f"{temporary}/diff", f"{ctx.paths.frozen}/{frozen_id}/diff")
        except OSError as e:
            raise atomic.store_error(e, "take a snapshot") from e
    return [*layers, frozen_id]


def _copy(ctx: "Context", container: "Container", written: Written, target: str) -> None:
    from rootless.linux.copytree import Copy

    def work() -> None:
        os.umask(0)
        os.mkdir(target, 0o700)
        source_fd = os.open(written.own[0], os.O_RDONLY | os.O_DIRECTORY)
        target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        Copy(overlay="keep").directory(source_fd, target_fd)

    namespaces.run_in_user_namespace(id_map(ctx, written.config["rl"]), ctx.environ, work)


def finish_pending(ctx: "Context", container: "Container") -> None:
    """Do what pending.json says, from the beginning or from where it was cut off.

    The caller holds the container's lock.  Raises StoreError; what is pending stays so then.
    """
    pending: Doc = atomic.read_json(container.pending_path)
    config = container.runtime_config()
    upper, fresh = f"{container.directory}/upper", f"{container.directory}/upper.new"
    given_up = f"{container.directory}/given-up"
    place = ctx.paths.frozen_diff(pending["id"]) if pending["id"] else given_up

    def work() -> None:
        if os.path.exists(upper) and not os.path.exists(place):
            if not os.path.exists(fresh):
                os.mkdir(fresh)
                status = os.stat(upper)
                os.chown(fresh, status.st_uid, status.st_gid)
                os.chmod(fresh, stat.S_IMODE(status.st_mode))
            os.rename(upper, place)
        if os.path.exists(fresh):
            os.rename(fresh, upper)

    try:
        if os.stat(upper if os.path.exists(upper) else place).st_uid == os.getuid():
            work()
        else:  # with --userns=keep-id the directory is another's
            namespaces.run_in_user_namespace(id_map(ctx, config["rl"]), ctx.environ, work)
    except OSError as e:
        raise atomic.store_error(e, f"change the layers of {container.name}") from e
    config["rl"]["frozen"] = pending["frozen"]
    atomic.write_json(f"{container.directory}/config.json", config, sync=False)
    if os.path.exists(given_up):
        remove_mapped_tree(ctx, given_up)
    os.unlink(container.pending_path)
