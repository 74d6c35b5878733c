"""rl ps: list containers.  Warm."""

import gc
import time

from rootless import log
from rootless.cli import container_words as words
from rootless.cli.output import (
    human_duration,
    human_size,
    local_time,
    parse_time,
    table,
    write,
)
from rootless.store import containers as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

HEADINGS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_COMMAND_MAX = 20  # characters
_MOUNTS_MAX = 15


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """List the containers that run; with -a, -n, -l or a status filter others, too."""
    # A hundred records are some 20 000 objects, none of them garbage: 2 ms of looking for it.
    gc.disable()
    form = str(values["format"] or "")
    found = _select(ctx, values)
    for one in found:
        if one.notice:
            log.note(one.notice)
    if values["quiet"] and form in ("", "table"):
        write("".join(f"{one.id if values['no_trunc'] else one.id[:12]}\n" for one in found))
        return 0
    with_size = bool(values["size"]) or ".Size" in form
    in_full = form not in ("", "table")
    rows = _rows(ctx, found, cut=not values["no_trunc"], with_size=with_size, in_full=in_full)
    if not in_full:
        columns = (*_COLUMNS, "Size") if with_size else _COLUMNS
        lines = [[HEADINGS[name] for name in columns]]
        lines += [[row[name] for name in columns] for row in rows]
        write(table(lines))
        return 0
    from rootless.cli.template import render_rows

    headings: dict[str, Any] = {**HEADINGS, "Label": lambda name: name.rpartition(".")[2].upper()}
    write(render_rows(form, rows, headings))
    return 0


def _select(ctx: "Context", values: "dict[str, Any]") -> "list[Container]":
    """The containers to be shown, the newest first."""
    found = store.list_all(ctx)
    last = 1 if values["latest"] else values["last"]
    show_all = values["all"] or last > 0
    if values["filter"]:
        from rootless.cli.ps_filters import Filters

        filters = Filters(ctx, values["filter"], found)
        show_all = show_all or filters.any_state
        found = [one for one in found if filters.match(one)]
    if not show_all:
        found = [one for one in found if words.state(one) in words.ALIVE]
    return found[:last] if last > 0 else found


def _rows(
    ctx: "Context", found: "list[Container]", *, cut: bool, with_size: bool, in_full: bool
) -> "list[dict[str, Any]]":
    """One dictionary per container; `in_full` with what the usual table does not show."""
    now = time.time()
    links: dict[str, str] = {}
    sizes: dict[str, str] = {}
    if with_size:
        sizes = _sizes(ctx, found)
    rows = []
    for one in found:
        row = _row(ctx, one, now, cut, links)
        row["Size"] = sizes.get(one.id, "0B")
        if in_full:
            _complete(row, one, cut)
        rows.append(row)
    return rows


def _row(
    ctx: "Context", one: "Container", now: float, cut: bool, links: "dict[str, str]"
) -> "dict[str, Any]":
    created = parse_time(str(one.config.get("created", "")))
    state = words.state(one)
    ports = ""
    if state in words.ALIVE:
        ports = words.ports(one.state.get("ports", ()), words.exposed_ports(one))
    return {
        "Command": words.command(one, _COMMAND_MAX if cut else 0),
        "ID": one.id[:12] if cut else one.id,
        "Image": words.image(ctx.paths, one, links),
        "Names": one.name,
        "Ports": ports,
        "RunningFor": f"{human_duration(now - created)} ago" if created else "",
        "State": state,
        "Status": words.status(one, now),
    }


def _complete(row: "dict[str, Any]", one: "Container", cut: bool) -> None:
    """Add the rest of what --format may ask for; keys in order, as in Docker's JSON."""
    config = one.config
    labels = config.get("labels") or {}
    mounts = [str(m.get("Name") or m.get("Source") or "") for m in config.get("mounts", ())]
    if cut:
        mounts = [m if len(m) <= _MOUNTS_MAX else m[: _MOUNTS_MAX - 1] + "…" for m in mounts]
    volumes = [m for m in config.get("mounts", ()) if m.get("Type") == "volume"]
    row["CreatedAt"] = local_time(parse_time(str(config.get("created", ""))))
    row["Labels"] = words.label_text(labels)
    row["LocalVolumes"] = str(len(volumes))
    row["Mounts"] = ",".join(mounts)
    row["Networks"] = ",".join(config.get("networks") or [str(config.get("network", ""))])
    for key in sorted(row):
        row[key] = row.pop(key)
    row["Label"] = lambda name: labels.get(name, "")


def _sizes(ctx: "Context", found: "list[Container]") -> "dict[str, str]":
    """4.1kB (virtual 4.26MB): what a container wrote, and with its image."""
    from rootless.cli.sizes import written
    from rootless.store import images

    by_image = {
        str(record["id"]): record.get("size", 0) for record in images.list_images(ctx.paths)
    }
    texts = {}
    for identifier, size in written(ctx, found).items():
        one = next(one for one in found if one.id == identifier)
        below = by_image.get(str(one.config.get("image", {}).get("id")), 0)
        assert isinstance(below, int)
        texts[identifier] = f"{human_size(size)} (virtual {human_size(size + below)})"
    return texts
