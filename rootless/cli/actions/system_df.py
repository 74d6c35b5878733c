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
from rootless.errors import UsageError

HEADINGS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_COMMAND_MAX = 20


def main(ctx: Context, values: dict[str, Any]) -> int:
    """A line for images, containers, volumes and the build cache; with `verbose` for each thing."""
    form = str(values["format"] or "")
    if values["verbose"] and form:
        raise UsageError("--verbose and --format do not go together", remedy="give one of them")
    usage = measure(ctx)
    if values["verbose"]:
        write(_verbose(ctx, usage, time.time()))
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


def _verbose(ctx: Context, usage: Usage, now: float) -> str:
    text = "Images space usage:\n\n" + table(_image_lines(usage, now))
    text += "\nContainers space usage:\n\n" + table(_container_lines(ctx, usage, now))
    lines = [["VOLUME NAME", "LINKS", "SIZE"]]
    lines += [[one.name, str(one.links), human_size(one.size)] for one in usage.volumes]
    text += "\nLocal Volumes space usage:\n\n" + table(lines)
    total = sum(one.size for one in usage.cache if not one.shared)
    text += f"\nBuild cache usage: {human_size(total, 4)}\n\n"
    lines = [["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "SHARED"]]
    for one in usage.cache:
        used = f"{human_duration(now - one.used)} ago" if one.used else ""
        lines.append(
            [
                one.key[:12],
                one.kind,
                human_size(one.size),
                _ago(one.created, now),
                used,
                str(one.shared).lower(),
            ]
        )
    return text + table(lines)


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
