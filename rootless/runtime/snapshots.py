"""Snapshots of what a container has written: taken, gone back to, and forked.

A container stands on its image's layers and on its frozen ones (store/frozen.py), and writes to
its upper directory.  To freeze it is to rename that directory and to put a new one on top: no file
is read or copied.  A running container gets another root with that (live_layers.py).  Where its
processes hold files of the present one open, what it has written is copied, while it is paused.

    snapshots.json   name -> {"created": RFC 3339, "frozen": [ID, ...], bottom first}
"""

import contextlib
import os
from typing import TYPE_CHECKING, Any

from rootless.errors import ContainerError, RlError, StoreError
from rootless.linux import mount, namespaces
from rootless.runtime import create, pending, start, still
from rootless.runtime.options import RunOptions
from rootless.runtime.supervise import id_map
from rootless.runtime.written import Written
from rootless.store import atomic, containers, frozen, images
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rootless.context import Context
    from rootless.store.containers import Container

    Doc = dict[str, Any]

_PATIENCE_S = 2.0  # for those who are on their way into a container
_WAY_IN = "another command works on its files"


def listed(container: "Container") -> "dict[str, Doc]":
    """The container's snapshots by name, the oldest first."""
    try:
        known: dict[str, Any] = atomic.read_json(container.snapshots_path)
    except FileNotFoundError:
        return {}
    return known


def take(ctx: "Context", container: "Container", name: str, notify: "Callable[[str], None]") -> str:
    """Take a snapshot as `name`, "" for the next number; its name.

    Raises ContainerError RL-SNAPSHOT-EXISTS, RL-CONTAINER-COPY, RL-IMAGE-TOO-MANY-LAYERS.  The
    caller has one thread.
    """
    with frozen.lock(ctx.paths, shared=True), still.layers_lock(ctx, container):
        known = listed(container)
        name = name or _next_number(known)
        if name in known:
            raise ContainerError(
                f"{container.name} has a snapshot {name}",
                remedy="choose another name; rl snapshots lists them",
                code="RL-SNAPSHOT-EXISTS",
            )
        layers = _freeze(ctx, container, notify)
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

    Raises ContainerError RL-SNAPSHOT-NOT-FOUND; RL-CONTAINER-RUNNING where its processes hold
    files open.  The caller has one thread.
    """
    with still.layers_lock(ctx, container):
        layers: list[str] = list(_find(container, name)["frozen"])
        if container.running:
            with _way_in(container) as closed, still.paused(ctx, container):
                reason = _exchange(ctx, container, layers, "") if closed else _WAY_IN
            if reason:
                raise ContainerError(
                    f"cannot go back to {name} while {container.name} runs: {reason}",
                    remedy=f"stop it first: rl stop {container.name}",
                    code="RL-CONTAINER-RUNNING",
                )
        else:
            with start.hold(ctx, container):
                pending.begin(ctx, container, layers, "")
                pending.finish(ctx, container)
    frozen.collect(ctx)


def forget(ctx: "Context", container: "Container", name: str) -> None:
    """Remove the snapshot `name`; the container stays as it is.

    Raises ContainerError RL-SNAPSHOT-NOT-FOUND.
    """
    with still.layers_lock(ctx, container):
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
        with still.layers_lock(ctx, container):
            if snapshot:
                layers = list(_find(container, snapshot)["frozen"])
            else:
                layers = _freeze(ctx, container, notify)
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


def _freeze(ctx: "Context", container: "Container", notify: "Callable[[str], None]") -> list[str]:
    """The frozen layers that hold all that the container has written by now.

    The caller holds the lock of its layers.
    """
    written = Written(ctx, container, "take a snapshot of")
    layers: list[str] = list(written.config["rl"].get("frozen", ()))
    if len(layers) + len(written.lower) >= mount.LAYERS_MAX:
        raise ContainerError(
            f"cannot take a snapshot of {container.name}: it stands on "
            f"{len(layers) + len(written.lower)} layers, and overlayfs takes {mount.LAYERS_MAX}",
            remedy="go on with a container of an image of it: rl commit --squash",
            code="RL-IMAGE-TOO-MANY-LAYERS",
        )
    if not os.path.exists(container.snapshots_path):
        atomic.write_json(container.snapshots_path, {}, sync=False)
    if container.running:
        return _freeze_running(ctx, container, written, layers, notify)
    with start.hold(ctx, container):
        new_id = _new_layer(ctx)
        pending.begin(ctx, container, [*layers, new_id], new_id)
        pending.finish(ctx, container)
    return [*layers, new_id]


def _new_layer(ctx: "Context") -> str:
    try:
        return frozen.new(ctx.paths)
    except OSError as e:
        raise atomic.store_error(e, "take a snapshot") from e


def _freeze_running(
    ctx: "Context",
    container: "Container",
    written: Written,
    layers: list[str],
    notify: "Callable[[str], None]",
) -> list[str]:
    new_id = _new_layer(ctx)
    with (
        atomic.TemporaryDirectory(ctx.paths, ctx) as temporary,
        _way_in(container) as closed,
        still.paused(ctx, container),
    ):
        reason = _exchange(ctx, container, [*layers, new_id], new_id) if closed else _WAY_IN
        if reason:
            copied = _copy(ctx, container, written, f"{temporary}/diff")
            try:
                os.rename(f"{temporary}/diff", ctx.paths.frozen_diff(new_id))
            except OSError as e:
                raise atomic.store_error(e, "take a snapshot") from e
            if copied:
                notify(f"what it has written was copied: {reason}")
    return [*layers, new_id]


@contextlib.contextmanager
def _way_in(container: "Container") -> "Iterator[bool]":
    """Whether the way into the container is closed for the time of the block.

    Before it is paused: who is on the way in must arrive.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(Locked(container.root_lock_path, wait_s=_PATIENCE_S))
        except StoreError as e:
            if e.code != "RL-STORE-BUSY":
                raise
            yield False
            return
        yield True


def _exchange(ctx: "Context", container: "Container", layers: list[str], new_id: str) -> str:
    """Put a running container, which is paused, on the frozen `layers`; why not, "" when done.

    With `new_id` its upper directory becomes the last of them.
    """
    from rootless.runtime.live_layers import Exchange

    exchange = Exchange(ctx, container, container.runtime_config())
    reason = exchange.obstacle()
    if reason:
        return reason
    pending.begin(ctx, container, layers, new_id, exchange.root)
    try:
        like = pending.like(ctx, container, {"id": new_id, "frozen": layers})
        exchange.run(layers[:-1] if new_id else layers, like, on_upper=bool(new_id))
    except RlError as e:
        return "" if pending.settle(ctx, container) else e.what
    pending.finish(ctx, container)
    return ""


def _copy(ctx: "Context", container: "Container", written: Written, target: str) -> int:
    """Copy the upper directory; how many bytes could not be shared (reflinks)."""
    from rootless.linux.copytree import Copy

    def work() -> int:
        os.umask(0)
        os.mkdir(target, 0o700)
        source_fd = os.open(written.own[0], os.O_RDONLY | os.O_DIRECTORY)
        target_fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        copy = Copy(overlay="keep")
        copy.directory(source_fd, target_fd)
        return copy.copied

    idmap = id_map(ctx, written.config["rl"])
    copied = namespaces.run_in_user_namespace(idmap, ctx.environ, work)
    assert isinstance(copied, int)
    return copied
