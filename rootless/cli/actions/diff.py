"""`rl diff`: what a container has changed in its file system."""

from typing import cast

from rootless.cli.actions import several
from rootless.cli.output import printable, write
from rootless.context import Context
from rootless.layer import difference
from rootless.runtime import still
from rootless.runtime.written import Written
from rootless.store import shared_mounts


def main(ctx: Context, values: dict[str, object]) -> int:
    """A line per file and directory that was added (A), changed (C) or deleted (D)."""
    container = several.find(ctx, str(values["container"]))
    with still.layers_lock(ctx, container):
        written = Written(ctx, container, "show the changes of")

        def work() -> object:
            return list(difference.changes(written.own, written.lower, written.stubs))

        directories = [*written.lower, *written.own]
        found = cast("list[list[str]]", shared_mounts.run_in_worker(ctx, directories, work))
    form = str(values["format"] or "")
    if form in ("", "table"):
        write("".join(f"{kind} {printable(path)}\n" for kind, path in found))
    elif form == "json":
        from rootless.cli.output import pretty_json

        words = {"A": "added", "C": "changed", "D": "deleted"}
        by_kind: dict[str, list[str]] = {}
        for kind, path in found:
            by_kind.setdefault(words[kind], []).append(path)
        write(pretty_json(by_kind) + "\n")
    else:
        from rootless.cli.template import render_rows

        rows = [{"Kind": kind, "Path": path} for kind, path in found]
        write(render_rows(form, rows, {"Kind": "CHANGE", "Path": "PATH"}))
    return 0
