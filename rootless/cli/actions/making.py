"""Making a container from a command line: what `rl run` and `rl create` share.  Warm."""

import os
import sys

from rootless import log
from rootless.errors import ContainerError, RlError, UsageError
from rootless.paths import current_directory
from rootless.runtime import create
from rootless.runtime.options import RunOptions
from rootless.store import images, layout, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container, Lock


def parse(ctx: "Context", values: "dict[str, object]") -> RunOptions:
    """The options, with their warnings shown."""
    options = RunOptions.from_values(
        values, environ=ctx.environ, cwd=current_directory(), home=ctx.home
    )
    for warning in options.warnings:
        log.warning(warning)
    return options


def make(
    ctx: "Context", options: RunOptions, values: "dict[str, object]"
) -> "tuple[Container, Lock, dict[str, Any]]":
    """The image, pulled when that is asked for, and a container of it."""
    asked = {name: value for name, value in values.items() if value or value == 0}
    if ctx.trace is not None:
        ctx.trace.lap("read the options, and loaded the rest of rl")
    layout.prepare(ctx.paths)
    if options.cidfile and os.path.exists(options.cidfile):
        raise ContainerError(
            f"the container ID file {options.cidfile} exists",
            remedy="another container may use it: remove it, or name another file",
            code="RL-CIDFILE",
        )
    if options.rootfs:
        record = create.record_of_directory(options.rootfs)
    else:
        record = find_image(ctx, options)
    if any(one["type"] == "image" for one in options.mounts):
        from rootless.runtime import image_mounts

        image_mounts.find(ctx, options.mounts)
    if ctx.trace is not None:
        _trace_image(ctx, options, record)
    if options.replace:
        _remove_namesake(ctx, options.name)
    # The image can't be removed between the look at it and the container that uses it.
    with images.reading(ctx.paths):
        if record["id"]:
            names = record.get("names")
            record = images.resolve_own(ctx.paths, str(record["id"]))
            record["names"] = record.get("names") or names  # those of a shared store are its own
        if ctx.trace is not None:
            ctx.trace.open("made the container")
        container, lock, config = create.create(
            ctx, options, record, log.note,
            asked={"values": asked, "directory": current_directory()},
        )  # fmt: skip
        if ctx.trace is not None:
            ctx.trace.close()
    if options.cidfile:
        try:
            create.write_cidfile(options.cidfile, container.id)
        except RlError:
            volumes.discard(ctx, container, lock)
            raise
    return container, lock, config


def _trace_image(ctx: "Context", options: RunOptions, record: "dict[str, Any]") -> None:
    assert ctx.trace is not None
    layers = record["layers"]
    noun = "layer" if len(layers) == 1 else "layers"
    text = f"found the image {options.image}: {record['id']}, {len(layers)} {noun}"
    if options.rootfs:
        text = f"took the directory {options.rootfs} instead of an image"
    ctx.trace.lap(text, image=record["id"], layers=layers)


def _remove_namesake(ctx: "Context", name: str) -> None:
    """--replace: the container that has the name goes, running or not."""
    from rootless.runtime import stop
    from rootless.store import containers

    try:
        found = containers.find(ctx, name)
    except ContainerError as e:
        if e.code == "RL-CONTAINER-NOT-FOUND":
            return
        raise
    if found.name == name:
        stop.remove(ctx, found, force=True, volumes=False)


def find_image(ctx: "Context", options: RunOptions) -> "dict[str, object]":
    """The record of the image, after --pull and --platform."""
    if ctx.config.get("require-signatures"):
        # What is here may be something else by that name: the registry says what is signed.
        if options.pull == "never":
            raise UsageError(
                "--require-signature asks the registry, and --pull=never forbids it",
                remedy="leave one of them out",
            )
        return _pull(ctx, options, told=True)
    record = None if options.pull == "always" else images.find(ctx.paths, options.image)
    if record is not None and options.platform and not _is_for(record, options.platform):
        record = None
    if record is not None:
        return record
    if options.pull == "never":
        raise images.not_found(options.image)
    return _pull(ctx, options)


def _is_for(record: "dict[str, object]", asked: str) -> bool:
    from rootless.oci import platform

    offered = record["platform"]
    assert isinstance(offered, dict)
    return platform.matches(
        platform.Platform.from_json(offered, "the image record"), platform.parse(asked)
    )


def _pull(ctx: "Context", options: RunOptions, *, told: bool = False) -> "dict[str, object]":
    import contextlib

    from rootless.cli.actions import pull

    if options.pull == "missing" and not (options.quiet or told):
        print(f"Unable to find image '{options.image}' locally", file=sys.stderr)
    # Standard output is the container's.
    with contextlib.redirect_stdout(sys.stderr):
        pulled = pull.fetch(
            ctx, options.image, {"quiet": options.quiet, "platform": options.platform}
        )
    # By its ID: the name may be another image's by now, and this one is what was verified.
    return images.resolve(ctx.paths, str(pulled.record["id"]))
