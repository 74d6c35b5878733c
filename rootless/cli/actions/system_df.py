"""`rl system df`: what takes space in the store, in Docker's words."""

import time
from typing import Any

from rootless.cli import container_words as words
from rootless.cli.output import (
    familiar,
    human_duration,
    human_size,
    parse_time,
    repository_and_tag,
    table,
    write,
)
from rootless.cli.usage import Usage, measure
from rootless.context import Context

HEADINGS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
# What a template calls the columns of --verbose.
_FIELDS = {
    "Images": (
        "Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"
    ),
    "Containers": ("ID", "Image", "Command", "LocalVolumes", "Size", "CreatedSince", "Status",
                   "Names"),
    "Volumes": ("Name", "Links", "Size"),
    "BuildCache": ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "Shared"),
}  # fmt: skip
_COMMAND_MAX = 20


def main(ctx: Context, values: dict[str, Any]) -> int:
    """A line for images, containers, volumes and the build cache; with `verbose` for each thing."""
    form = str(values["format"] or "")
    usage = measure(ctx)
    if values["verbose"]:
        found = _tables(ctx, usage, time.time())
        write(_verbose(usage, found) if form in ("", "table") else _formatted(form, found))
        return 0
    rows = _rows(usage)
    if form in ("", "table"):
        lines = [list(HEADINGS.values())]
        write(table(lines + [[row[name] for name in HEADINGS] for row in rows]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0


def _rows(usage: Usage) -> list[dict[str, str]]:
    running = [one for one, _ in usage.containers if words.state(one) == "running"]
    stopped = sum(size for one, size in usage.containers if words.state(one) != "running")
    cache = sum(one.size for one in usage.cache if not one.shared)
    return [
        _row(
            "Images",
            len(usage.images),
            sum(1 for one in usage.images if one.containers),
            usage.images_size,
            usage.images_reclaimable,
        ),
        _row(
            "Containers",
            len(usage.containers),
            len(running),
            sum(size for _, size in usage.containers),
            stopped,
        ),
        _row(
            "Local Volumes",
            len(usage.volumes),
            sum(1 for one in usage.volumes if one.links),
            sum(one.size for one in usage.volumes),
            sum(one.size for one in usage.volumes if not one.links),
        ),
        {**_row("Build Cache", len(usage.cache), 0, cache, 0), "Reclaimable": human_size(cache, 4)},
    ]


def _row(kind: str, count: int, active: int, size: int, reclaimable: int) -> dict[str, str]:
    share = f" ({reclaimable * 100 // size}%)" if size else ""
    return {
        "Type": kind,
        "TotalCount": str(count),
        "Active": str(active),
        "Size": human_size(size, 4),
        "Reclaimable": human_size(reclaimable, 4) + share,
    }


def _tables(ctx: Context, usage: Usage, now: float) -> dict[str, list[list[str]]]:
    """What --verbose tells, each with its headings first."""
    volumes = [["VOLUME NAME", "LINKS", "SIZE"]]
    volumes += [[one.name, str(one.links), human_size(one.size)] for one in usage.volumes]
    return {
        "Images": _image_lines(usage, now),
        "Containers": _container_lines(ctx, usage, now),
        "Volumes": volumes,
        "BuildCache": _cache_lines(usage, now),
    }


def _verbose(usage: Usage, found: dict[str, list[list[str]]]) -> str:
    text = "Images space usage:\n\n" + table(found["Images"])
    text += "\nContainers space usage:\n\n" + table(found["Containers"])
    text += "\nLocal Volumes space usage:\n\n" + table(found["Volumes"])
    total = sum(one.size for one in usage.cache if not one.shared)
    text += f"\nBuild cache usage: {human_size(total, 4)}\n\n"
    return text + table(found["BuildCache"])


def _formatted(form: str, found: dict[str, list[list[str]]]) -> str:
    """One document with all of it, for json or a template."""
    from rootless.cli.template import Template

    document = {
        kind: [dict(zip(_FIELDS[kind], line, strict=True)) for line in lines[1:]]
        for kind, lines in found.items()
    }
    return Template("{{json .}}" if form == "json" else form).render(document) + "\n"


def _cache_lines(usage: Usage, now: float) -> list[list[str]]:
    lines = [["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "SHARED"]]
    for one in usage.cache:
        used = f"{human_duration(now - one.used)} ago" if one.used else ""
        size = human_size(one.size)
        shared = str(one.shared).lower()
        lines.append([one.key[:12], one.kind, size, _ago(one.created, now), used, shared])
    return lines


def _image_lines(usage: Usage, now: float) -> list[list[str]]:
    lines = [
        [
            "REPOSITORY",
            "TAG",
            "IMAGE ID",
            "CREATED",
            "SIZE",
            "SHARED SIZE",
            "UNIQUE SIZE",
            "CONTAINERS",
        ]
    ]
    for one in usage.images:
        for name in one.record["names"] or [""]:
            repository, tag = repository_and_tag(familiar(name)) if name else ("<none>", "<none>")
            lines.append(
                [
                    repository,
                    tag,
                    str(one.record["id"])[7:19],
                    _ago(str(one.record.get("created") or ""), now),
                    human_size(one.size),
                    human_size(one.shared),
                    human_size(one.size - one.shared),
                    str(one.containers),
                ]
            )
    return lines


def _container_lines(ctx: Context, usage: Usage, now: float) -> list[list[str]]:
    lines = [
        [
            "CONTAINER ID",
            "IMAGE",
            "COMMAND",
            "LOCAL VOLUMES",
            "SIZE",
            "CREATED",
            "STATUS",
            "NAMES",
        ]
    ]
    links: dict[str, str] = {}
    for one, size in usage.containers:
        volumes = [m for m in one.config.get("mounts", ()) if m.get("Type") == "volume"]
        lines.append(
            [
                one.id[:12],
                words.image(ctx.paths, one, links),
                words.command(one, _COMMAND_MAX),
                str(len(volumes)),
                human_size(size),
                _ago(str(one.config.get("created", "")), now),
                words.status(one, now),
                one.name,
            ]
        )
    return lines


def _ago(created: str, now: float) -> str:
    seconds = parse_time(created)
    return f"{human_duration(now - seconds)} ago" if seconds else "N/A"
