"""`rl bootstrap`: a base image made on this machine."""

import os
from typing import TYPE_CHECKING, cast

from rootless.cli.actions.import_image import canonical_name
from rootless.errors import UsageError
from rootless.runtime import bootstrap
from rootless.store import atomic, layout

if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Make the image, telling on stderr how far it is, and print its ID."""
    distribution, suite = bootstrap.parse_kind(str(values["kind"]))
    tag = str(values.get("tag") or "")
    name = canonical_name(tag) if tag else ""
    include = [
        package
        for option in cast("list[str]", values.get("include") or [])
        for package in option.split(",")
        if package
    ]
    mirror = str(values.get("mirror") or "")
    variant = str(values.get("variant") or "")
    if distribution == "busybox":
        if include or mirror or variant:
            raise UsageError(
                "--include, --mirror and --variant are for debian and ubuntu",
                remedy="leave them out, or use: rl bootstrap debian",
            )
        layout.prepare(ctx.paths)
        atomic.sweep(ctx)  # what a killed bootstrap has left
        record = bootstrap.busybox(ctx, name or canonical_name("busybox"), progress)
    else:
        from rootless.runtime.bootstrap_debian import Request, make

        layout.prepare(ctx.paths)
        atomic.sweep(ctx)  # what a killed bootstrap has left
        request = Request(
            distribution=distribution,
            suite=suite,
            include=tuple(include),
            mirror=mirror,
            variant=variant or "minbase",
            name=name,
        )
        record = make(ctx, request, progress)
    os.write(1, f"{record['id']}\n".encode())
    return 0


def progress(text: str) -> None:
    """One line of how far it is."""
    os.write(2, f"{text}\n".encode("utf-8", "surrogateescape"))
