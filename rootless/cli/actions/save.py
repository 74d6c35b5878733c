"""`rl save`: images into an archive."""

from typing import Any

from rootless.cli.archive_output import archive_output
from rootless.context import Context
from rootless.errors import RlError, UsageError
from rootless.layer import image_archive
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.store import atomic, events, images
from rootless.store.leases import Lease


def main(ctx: Context, values: dict[str, object]) -> int:
    """Write `images` in `format` to `output`; all of it or nothing, if that is a file."""
    output = str(values["output"] or "")
    form = str(values["format"] or image_archive.FORMATS[0])
    if form not in image_archive.FORMATS:
        known = ", ".join(image_archive.FORMATS)
        raise UsageError(f"there is no format {form!r}", remedy=f"known are {known}")
    directory = form.endswith("-dir")
    if directory and not output:
        raise UsageError(f"--format {form} needs --output", remedy="give a directory")
    names = values["images"]
    assert isinstance(names, list)
    wanted = _wanted(ctx, [str(name) for name in names], str(values["platform"] or ""))
    atomic.sweep(ctx)
    with Lease(ctx) as lease:
        image_archive.lease_images(ctx, [record for record, _ in wanted], lease)
        files = image_archive.collect(ctx, wanted, lease, docker=form.startswith("docker"))
        if directory:
            _write_directory(output, files)
        else:
            with archive_output(output, "save") as write:
                image_archive.write_archive(write, files)
    for record, _ in wanted:
        events.record_image(ctx.paths, "save", str(record["id"]))
    return 0


def _wanted(
    ctx: Context, texts: list[str], platform: str
) -> list[tuple[dict[str, Any], list[str]]]:
    """The images, each manifest once, with the names that they are to have in the archive."""
    found: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = {}
    for text in texts:
        record: dict[str, Any] = images.resolve(ctx.paths, text)
        if platform:
            made_for = platforms.Platform.from_json(record.get("platform") or {}, "platform")
            platforms.check(made_for, platform, text)
        given = _names(ctx, text, record)
        record = images.as_named(ctx.paths, record, given[0] if given else "")
        key = (str(record["id"]), str(record.get("digest") or ""))
        _, names = found.setdefault(key, (record, []))
        names += [name for name in given if name not in names]
    return list(found.values())


def _names(ctx: Context, text: str, record: dict[str, Any]) -> list[str]:
    """Docker's: a name with or without a tag is that name, an ID or digest is none."""
    if reference.is_image_id(text.removeprefix("sha256:")):
        return []
    named = reference.parse(text)
    if not named.digest and named.canonical() in images.shown_names(ctx.paths, record):
        return [named.canonical()]
    return []


def _write_directory(output: str, files: image_archive.Files) -> None:
    try:
        image_archive.write_directory(output, files)
    except OSError as e:
        raise RlError(
            f"cannot write {output}: {e.strerror}",
            remedy="check the path, and the space there",
            code="RL-SAVE-TARGET",
        ) from e
