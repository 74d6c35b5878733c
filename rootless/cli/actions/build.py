"""`rl build`: an image from a Dockerfile."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rootless import log
from rootless.build import options as build_options
from rootless.build.checking import Outside
from rootless.build.context import open_context
from rootless.build.dockerfile import lint
from rootless.build.dockerfile.nodes import excerpt
from rootless.build.events import Event, Result
from rootless.build.options import BuildOptions, CacheStore
from rootless.build.solve import build
from rootless.cli import build_progress
from rootless.cli.output import printable, write
from rootless.errors import BuildError, RlError, UsageError
from rootless.records import replace
from rootless.store import layout

if TYPE_CHECKING:
    from rootless.build.context import BuildContext
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Build; with --check only look at the Dockerfile."""
    options = build_options.parse(values, ctx.environ)
    if options.context == "-" and os.isatty(0):
        raise UsageError(
            "rl build - reads the context from standard input, which is a terminal",
            remedy="redirect a tar archive or a Dockerfile to it",
        )
    _check_files(options)
    if len(options.platforms) > 1:
        from rootless.cli.actions import build_platforms

        build_platforms.check(options)
    layout.prepare(ctx.paths)
    _end_on_sigterm()
    try:
        return _with_context(ctx, options)
    except _Terminated:
        return 128 + signal.SIGTERM


class _Terminated(KeyboardInterrupt):
    """SIGTERM: a build ends its steps, and removes what is half done, as for Ctrl-C."""


def _end_on_sigterm() -> None:
    builder = os.getpid()

    def handle(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() == builder:
            raise _Terminated
        os.kill(os.getpid(), signal.SIGTERM)  # a step's process has inherited this

    signal.signal(signal.SIGTERM, handle)


def _with_context(ctx: "Context", options: BuildOptions) -> int:
    with open_context(ctx, options, 0) as context:
        outside = Outside(ctx, options, context, thorough=options.check)
        report = lint.check(context.dockerfile, context.dockerfile_name, outside.given())
        if options.check:
            for note in outside.notes:
                log.note(note)
            return _show_report(report, context)
        for error in report.errors:
            if error.code == "RL-BUILD-CHECK":
                raise error  # of the check directive itself; the builder finds all others
        if report.options.error and report.findings:
            raise _refused(report, context)
        return _build(ctx, options, context, report)


def _check_files(options: BuildOptions) -> None:
    """What is to be written at the end must be writable at the beginning, and secrets be there,
    whether a step asks for them or not."""
    for secret in options.secrets:
        if secret.path is not None and not os.access(secret.path, os.R_OK):
            raise UsageError(
                f"cannot read {secret.path} for --secret {secret.id}",
                remedy="check its path and mode",
            )
    for path, option in _files_to_write(options):
        parent = os.path.dirname(path) or "."
        if not os.access(parent, os.W_OK):
            raise UsageError(
                f"cannot write {option} {path}: {parent} is no directory that you can write",
                remedy="make it, or name another place",
            )
        if os.path.isdir(path):
            raise UsageError(
                f"cannot write {option} {path}: it is a directory", remedy="name a file in it"
            )
    if options.iidfile:
        # As docker does: a build that fails leaves no ID of an earlier one.
        with suppress(FileNotFoundError):
            os.unlink(options.iidfile)
    for output in options.outputs:
        if output.type != "local" and output.dest == "-" and os.isatty(1):
            raise UsageError(
                "an archive goes to standard output, which is a terminal",
                remedy="redirect it, or name a file: --output type=tar,dest=FILE",
            )


def _files_to_write(options: BuildOptions) -> list[tuple[str, str]]:
    """(path, option) of the files that a build makes outside of the store."""
    found = [(options.iidfile, "--iidfile"), (options.metadata_file, "--metadata-file")]
    for output in options.outputs:
        if output.type in ("tar", "oci", "docker") and output.says("tar") is not False:
            found.append((output.dest, "--output"))
    return [(path, option) for path, option in found if path not in ("", "-")]


def _build(
    ctx: "Context", options: BuildOptions, context: "BuildContext", report: lint.Report
) -> int:
    if len(options.platforms) > 1:
        return _build_platforms(ctx, options, context, report)
    # Names are for images that are kept; archives get theirs when they are written.
    wanted = options if options.wants_image else replace(options, tags=())
    kind = "quiet" if options.quiet else options.progress
    progress = build_progress.make(kind, explain=options.explain_cache)
    try:
        with progress:
            result = build(ctx, wanted, context, progress.emit)
            _export(ctx, options, result, progress)
            if options.wants_push:
                _push(ctx, options, progress)
    except RlError:
        build_progress.show_failure(progress)
        raise
    if options.progress not in ("quiet", "rawjson") and not options.quiet:
        _show_warnings(report)
    if options.iidfile:
        _write_file(options.iidfile, result.image_id)
    if options.metadata_file:
        _write_file(options.metadata_file, json.dumps(_metadata(ctx, options, result), indent=2))
    if options.quiet:
        write(f"{result.image_id}\n")
    return 0


def _build_platforms(
    ctx: "Context", options: BuildOptions, context: "BuildContext", report: lint.Report
) -> int:
    from rootless.cli.actions import build_platforms

    kind = "quiet" if options.quiet else options.progress
    progress = build_progress.make(kind, explain=options.explain_cache)
    try:
        with progress:
            results = build_platforms.build_all(ctx, options, context, progress.emit)
            build_platforms.export(ctx, options, results, progress.emit)
    except RlError:
        build_progress.show_failure(progress)
        raise
    if options.progress not in ("quiet", "rawjson") and not options.quiet:
        _show_warnings(report)
    ids = "".join(f"{one.image_id}\n" for one in results)
    if options.iidfile:
        _write_file(options.iidfile, ids)
    if options.metadata_file:
        _write_file(options.metadata_file, build_platforms.metadata(results, options))
    if options.quiet:
        write(ids)
    return 0


def _push(ctx: "Context", options: BuildOptions, progress: build_progress.Progress) -> None:
    """Push the image by each of its names."""
    from rootless.layer.export import Packing
    from rootless.registry import push

    how = next((o.packing for o in options.outputs if o.says("push")), Packing())
    for name in options.tags:
        progress.emit(Event("note", text=f"pushing {name}"))
        pushed = push.push_image(ctx, name, how=how)
        progress.emit(Event("note", text=f"pushed {name}: digest: {pushed.digest}"))


def _export(
    ctx: "Context", options: BuildOptions, result: Result, progress: build_progress.Progress
) -> None:
    """The outputs, shown as one more step."""
    begin = time.monotonic()
    kinds = ", ".join(dict.fromkeys(o.type for o in options.outputs)) or "image"

    def tell(kind: Any, text: str = "") -> None:
        seconds = time.monotonic() - begin
        progress.emit(Event(kind, name=f"exporting to {kinds}", text=text, seconds=seconds))

    tell("started")
    if options.wants_image:
        tell("note", f"writing image {result.image_id}")
        for name in result.names:
            tell("note", f"naming to {name}")
    for output in options.outputs:
        if output.type != "image":
            from rootless.build import outputs

            outputs.write(ctx, output, result.record, options.tags)
            tell("note", f"writing {output.type} {output.dest}")
    for place in options.cache_to:
        _export_cache(ctx, place, result, lambda text: tell("note", text))
    tell("done")


def _export_cache(
    ctx: "Context", place: CacheStore, result: Result, note: Callable[[str], None]
) -> None:
    if place.type == "inline":
        return  # it is in the image
    from rootless.build import cache_exchange

    keys = cache_exchange.keys_of(ctx, result, place.mode)
    try:
        if place.type == "local":
            new = cache_exchange.write(ctx, keys, place.place, place.packing)
            note(f"writing cache {place.place}: {len(keys)} steps, {new} new layers")
        else:
            from rootless.build import cache_registry

            count = cache_registry.write(ctx, keys, place.place, place.packing)
            note(f"pushing cache {place.place}: {len(keys)} steps, {count} layers")
    except RlError as e:
        if not place.says("ignore-error"):
            raise
        note(f"the cache was not written: {e.what}")


def _write_file(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as e:
        raise RlError(
            f"cannot write {path}: {e.strerror}; the image is built",
            remedy="check that path",
            code="RL-OUTPUT",
        ) from e


def _metadata(ctx: "Context", options: BuildOptions, result: Result) -> "dict[str, object]":
    """What buildx writes to --metadata-file, as far as it applies."""
    found: dict[str, object] = {"containerimage.config.digest": result.image_id}
    if result.digest:
        record = result.record
        found["containerimage.digest"] = result.digest
        with suppress(OSError):
            found["containerimage.descriptor"] = {
                "mediaType": record.get("media_type", ""),
                "digest": result.digest,
                "size": os.stat(ctx.paths.blob(result.digest)).st_size,
                "platform": record.get("platform", {}),
            }
    if options.tags:
        found["image.name"] = ",".join(options.tags)
    return found


# The checks.


def _show_report(report: lint.Report, context: "BuildContext") -> int:
    """Every error and finding, as `docker build --check` prints them."""
    name = printable(context.dockerfile_name)
    lines = tuple(context.dockerfile.decode("utf-8", "surrogateescape").split("\n"))
    text = ""
    for finding in report.findings:
        text += f"\nWARNING: {finding.rule.name} - {finding.rule.url}\n{finding.message}\n"
        text += _place(name, lines, finding.first_line, finding.last_line)
    for error in report.errors:
        text += f"\nERROR: {printable(error.problem)}"
        text += (
            f"; {printable(error.remedy)} [{error.code}]\n"
            if error.remedy
            else f" [{error.code}]\n"
        )
        if error.location is not None:
            text += _place(name, lines, error.location[1], error.location[2])
    count = len(report.findings) + len(report.errors)
    if not count:
        write("Check complete, no warnings found.\n")
        return 0
    counts = []
    if report.findings:
        counts.append(_count(len(report.findings), "warning"))
    if report.errors:
        counts.append(_count(len(report.errors), "error"))
    verb = "has" if count == 1 else "have"
    write(f"Check complete, {' and '.join(counts)} {verb} been found!\n{text}")
    return 1


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _place(name: str, lines: "tuple[str, ...]", first: int, last: int) -> str:
    rule = "-" * 20
    body = "\n".join(printable(line) for line in excerpt(lines, first, last).split("\n"))
    return f"{name}:{first}\n{rule}\n{body}\n{rule}\n"


def _show_warnings(report: lint.Report) -> None:
    """A line for each finding, after the build, as docker build."""
    if not report.findings:
        return
    text = f"\n {_count(len(report.findings), 'warning')} found (rl build --check tells more):\n"
    for finding in report.findings:
        text += (
            f" - {finding.rule.name}: {printable(finding.message)} (line {finding.first_line})\n"
        )
    os.write(2, text.encode("utf-8", "surrogateescape"))


def _refused(report: lint.Report, context: "BuildContext") -> BuildError:
    first = report.findings[0]
    lines = tuple(context.dockerfile.decode("utf-8", "surrogateescape").split("\n"))
    names = ", ".join(dict.fromkeys(finding.rule.name for finding in report.findings))
    return BuildError(
        f"lint violation found for rules: {names}",
        location=(context.dockerfile_name, first.first_line, first.last_line),
        excerpt=excerpt(lines, first.first_line, first.last_line),
        remedy="correct it, or take error=true out of the check directive",
        code="RL-BUILD-LINT",
    )
