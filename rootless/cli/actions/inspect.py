"""rl inspect: containers, images, volumes and networks as JSON, in Docker's shape.  Warm."""

from rootless import ids, log
from rootless.cli.output import pretty_json, write
from rootless.errors import ContainerError, ImageError, RlError, UsageError
from rootless.store import containers as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context

_NOT_FOUND = (
    "RL-CONTAINER-NOT-FOUND", "RL-IMAGE-NOT-FOUND", "RL-BAD-REFERENCE", "RL-VOLUME-NOT-FOUND",
    "RL-NETWORK-NOT-FOUND",
)  # fmt: skip


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """A JSON list of what was found, or --format for each; 1 when something is missing."""
    kind = values["type"] or ""
    if kind not in ("", "container", "image", "volume", "network", "exec"):
        raise UsageError(
            f"there is no type {kind!r} to inspect",
            remedy="--type is container, image, volume, network or exec",
        )
    form = values["format"]
    render = None
    if form:
        from rootless.cli.template import Template

        render = Template("{{json .}}" if form == "json" else form)
    documents, failures = [], []
    for name in values["names"]:
        try:
            found = _document(ctx, name, kind, bool(values["size"]))
            if values["platform"]:
                _check_platform(found, str(values["platform"]), name)
            documents.append(found)
        except RlError as e:
            failures.append(e)
    if render is not None:
        for document in documents:
            write(render.render(document) + "\n")
    else:
        write(pretty_json(documents) + "\n")
    for failure in failures:
        log.error(failure.one_line())
    return 1 if failures else 0


def _check_platform(document: "dict[str, Any]", asked: str, name: str) -> None:
    from rootless.oci import platform as platforms

    if "Os" not in document:
        raise UsageError(f"{name} is no image", remedy="--platform is about images only")
    words = {key.lower(): document.get(key, "") for key in ("Os", "Architecture", "Variant")}
    platforms.check(platforms.Platform.from_json(words, "platform"), asked, name)


def _document(ctx: "Context", name: str, kind: str, with_size: bool) -> "dict[str, Any]":
    """What Docker says about the container, else image, volume, network, of that name."""
    if kind in ("", "container"):
        try:
            container = store.find(ctx, name)
        except ContainerError as e:
            if kind or e.code not in _NOT_FOUND:
                raise
        else:
            from rootless.cli.inspect_container import describe

            if container.notice:
                log.note(container.notice)
            return describe(ctx, container, with_size)
    if kind in ("", "image"):
        from rootless.cli.inspect_image import describe as describe_image
        from rootless.store import images

        try:
            return describe_image(ctx.paths, images.resolve(ctx.paths, name))
        except RlError as e:
            if kind or e.code not in _NOT_FOUND:
                raise
    # The ID of an exec is as long as a container's, and found in no other place.
    if kind == "exec" or (not kind and len(name) == 64 and ids.is_hex(name)):
        from rootless.cli.inspect_container import describe_exec
        from rootless.store import execs

        return describe_exec(execs.find(store.list_all(ctx), name))
    if kind in ("", "volume"):
        from rootless.cli.inspect_volume import describe as describe_volume
        from rootless.store import volume_changes

        try:
            return describe_volume(ctx, volume_changes.find(ctx, name))
        except RlError as e:
            if kind or e.code not in _NOT_FOUND:
                raise
    from rootless.cli import inspect_network

    try:
        return inspect_network.describe(ctx, inspect_network.find(ctx, name))
    except RlError as e:
        if kind or e.code not in _NOT_FOUND:
            raise
        raise ImageError(
            f"no such container, image, volume or network: {name}",
            remedy="see rl ps -a, rl images, rl volume ls and rl network ls",
            code="RL-NOT-FOUND",
        ) from e
