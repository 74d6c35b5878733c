"""`rl commit`: an image of what a container has changed, as a build of one step.

docs: docker container commit.  The config is the image's with what the container was asked for.
"""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rootless.build import commit as commits
from rootless.build import image, squash
from rootless.layer import changes
from rootless.records import dataclass
from rootless.runtime import start, still
from rootless.runtime.written import Written
from rootless.store import blobs, images, pause_mark
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the image is to be: its canonical name or "", and what it says of itself."""

    name: str
    author: str
    message: str
    changes: Sequence[str]
    pause: bool
    squash: bool


def commit(ctx: "Context", container: "Container", wish: Wish) -> Doc:
    """Make the image; its record.  The container is as it was.  The caller has one thread.

    Raises ImageError RL-IMAGE-NOT-FOUND when its image is gone, ContainerError.
    """
    base: Doc = images.resolve(ctx.paths, str(container.config["image"]["id"]))
    below: Doc | None = base
    document: Doc = json.loads(blobs.read(ctx.paths, str(base["id"])))
    config = _config(container, container.runtime_config(), base)
    config = changes.apply(config, list(wish.changes))
    with Lease(ctx) as lease:
        lease.keep_all()
        directory = f"{lease.path}/step"
        os.mkdir(directory, 0o700)
        written = _copy(ctx, container, f"{directory}/upper", pausing=wish.pause)
        entry = commits.commit(
            ctx, directory, name="commit", stubs=written.stubs, lower=written.image
        )
        diff_ids = [*base["layers"], entry.diff_id]
        history = [
            *(document.get("history") or ()),
            {
                "created": entry.created,
                "created_by": " ".join(
                    [*container.config["entrypoint"], *container.config["command"]]
                ),
                **({"author": wish.author} if wish.author else {}),
                **({"comment": wish.message} if wish.message else {}),
            },
        ]
        if wish.squash:
            os.mkdir(f"{lease.path}/all", 0o700)
            layers = commits.layer_directories(ctx, diff_ids)
            squash.merge(ctx, layers, f"{lease.path}/all/upper")
            entry = commits.commit(ctx, f"{lease.path}/all", name="squash")
            diff_ids, below = [entry.diff_id], None
            history = [{**history[-1], "created": entry.created}]
        document |= {
            "created": entry.created,
            "config": config,
            "history": history,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        if wish.author:
            document["author"] = wish.author
        names = [wish.name] if wish.name else []
        return image.put(ctx, below, document, names, lease.path, {})


def _copy(ctx: "Context", container: "Container", target: str, *, pausing: bool) -> Written:
    """The container's own layers as one, copied while nothing in it changes."""
    with still.layers_lock(ctx, container), contextlib.ExitStack() as held:
        if not container.running:
            held.enter_context(start.hold(ctx, container))
        elif pausing:
            held.enter_context(still.paused(ctx, container))
        written = Written(ctx, container, "make an image of")
        moving = container.running and not pause_mark.is_paused(container)
        what = f"commit {container.name}"
        squash.merge(ctx, written.own, target, what=what, moving=moving, owner=written.owner)
    return written


def _config(container: "Container", runtime: Doc, base: Doc) -> Doc:
    """The image's config with what the container was asked for, as Docker commits it."""
    config = dict(base.get("config") or {})
    options = container.config["options"]
    own = runtime["rl"]
    config["Env"] = _env(config.get("Env") or (), options.get("env") or ())
    config["Cmd"] = container.config["command"] or None
    config["Entrypoint"] = container.config["entrypoint"] or None
    config["Labels"] = dict(container.config["labels"]) or None
    config["WorkingDir"] = options.get("workdir") or config.get("WorkingDir") or ""
    config["User"] = options.get("user") or config.get("User") or ""
    exposed = own["network"].get("exposed") or ()
    config["ExposedPorts"] = {port: {} for port in exposed} or None
    anonymous = [one for one in options["mounts"] if one["type"] == "volume" and not one["source"]]
    volumes: Doc = {one["target"]: {} for one in anonymous}
    config["Volumes"] = {**(config.get("Volumes") or {}), **volumes} or None
    if options.get("stop_signal"):
        config["StopSignal"] = options["stop_signal"]
    return {key: value for key, value in config.items() if value not in (None, "")}


def _env(base: Sequence[str], given: Sequence[str]) -> list[str]:
    """The image's variables with the container's; a name alone removes one."""
    found: Mapping[str, str] = {one.partition("=")[0]: one for one in base}
    merged = dict(found)
    for one in given:
        name, equals, _ = one.partition("=")
        merged.pop(name, None)
        if equals:
            merged[name] = one
    return list(merged.values())
