"""`rl run` and what it shares with `rl create`.  Warm."""

import os
import sys

from rootless import log
from rootless.cli.actions import several
from rootless.errors import ContainerError, RlError, UsageError
from rootless.paths import current_directory
from rootless.runtime import create, start
from rootless.runtime.options import RunOptions
from rootless.store import images, layout, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container, Lock


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Create a container and run it; the exit status is the program's."""
    options = parse(ctx, values)
    if options.tty and not options.detach and options.interactive and not os.isatty(0):
        raise UsageError(
            "cannot use the terminal: the input is not one (-t)",
            remedy="leave -t out: rl run -i …",
            code="RL-NO-TERMINAL",
        )
    # What starts again outlives this command; a terminal can be left.
    restarts = options.restart["name"] != "no"
    supervisor = None
    if options.detach or options.tty or restarts or not options.sig_proxy:
        supervisor = start.Supervisor(ctx)
    container, lock, config = make(ctx, options)
    try:
        with lock:
            if options.detach:
                start.supervised(
                    ctx, container, lock, attach=False, notify=log.note, supervisor=supervisor
                )
                print(container.id)
                return 0
            return _attached(ctx, options, container, lock, config, supervisor)
    except (RlError, KeyboardInterrupt):
        _undo(ctx, options, container)
        raise


def parse(ctx: "Context", values: "dict[str, object]") -> RunOptions:
    """The options, with their warnings shown."""
    options = RunOptions.from_values(
        values, environ=ctx.environ, cwd=current_directory(), home=ctx.home
    )
    for warning in options.warnings:
        log.warning(warning)
    return options


def make(ctx: "Context", options: RunOptions) -> "tuple[Container, Lock, dict[str, Any]]":
    """The image, pulled when that is asked for, and a container of it."""
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
        container, lock, config = create.create(ctx, options, record, log.note)
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


def _attached(
    ctx: "Context",
    options: RunOptions,
    container: "Container",
    lock: "Lock",
    config: "dict[str, Any]",
    supervisor: "start.Supervisor | None",
) -> int:
    streams = tuple(name for name in ("stdout", "stderr") if config["rl"]["attach"][name])
    if supervisor is None:
        return start.in_foreground(
            ctx, container, lock, config, streams=streams,
            read_input=options.interactive, notify=log.note,
        )  # fmt: skip
    from rootless.runtime.attach import Connection, Detached

    client = start.supervised(
        ctx, container, lock, attach=True, notify=log.note, supervisor=supervisor
    )
    assert client is not None
    lock.close()
    connection = Connection(
        client,
        terminal=options.tty,
        read_input=options.interactive,
        detach_keys=several.detach_keys(ctx, options.detach_keys),
        sig_proxy=options.sig_proxy,
        streams=streams,
    )
    try:
        status = connection.relay()
    except Detached:
        return 0
    start.take_end(ctx)
    return status


def _undo(ctx: "Context", options: RunOptions, container: "Container") -> None:
    """A container whose program never ran is not left behind."""
    from rootless.runtime import stop

    try:
        stop.remove(ctx, container, force=True, volumes=True)
    except RlError:
        pass  # it is gone, or the reason that is reported already stands in the way
    if options.cidfile:
        try:
            os.unlink(options.cidfile)
        except OSError:
            pass
