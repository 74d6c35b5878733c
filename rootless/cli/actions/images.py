"""rl images: list images."""

import time

from rootless import log
from rootless.cli.output import (
    familiar,
    human_duration,
    human_size,
    local_time,
    parse_time,
    repository_and_tag,
    table,
    write,
)
from rootless.cli.ps_filters import bad_value, has_label, split_filters
from rootless.errors import RlError, UsageError
from rootless.store import images as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context

    Record = dict[str, Any]

HEADINGS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "ReadOnly": "R/O",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "VIRTUAL SIZE",
    "Containers": "CONTAINERS",
}
_NONE = "<none>"
_FILTERS = ("before", "dangling", "label", "label!", "readonly", "reference", "since", "until")


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """One line per name of an image, the newest image first."""
    records = _select(ctx, values)
    patterns = [value for key, value in _given(values) if key == "reference"]
    if values["reference"]:
        patterns.append(values["reference"])
    form = str(values["format"] or "")
    cut = not values["no_trunc"]
    now = time.time()
    if values["tree"]:
        return _tree(ctx, values, records, patterns)
    with_digests = values["digests"] or ".Digest" in form
    rows = [
        row
        for record in records
        for row in _rows(record, now, cut=cut, with_digests=with_digests)
        if not patterns or any(_matches(row, pattern) for pattern in patterns)
    ]
    if values["quiet"] and form in ("", "table"):
        write("".join(f"{identifier}\n" for identifier in dict.fromkeys(r["ID"] for r in rows)))
    elif form in ("", "table"):
        columns = ["Repository", "Tag", "ID", "CreatedSince", "Size"]
        if values["digests"]:
            columns.insert(2, "Digest")
        if any(row["ReadOnly"] == "true" for row in rows):
            columns.append("ReadOnly")  # as podman, where there are such images
        lines = [[HEADINGS[name] for name in columns]]
        write(table(lines + [[row[name] for name in columns] for row in rows]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0


def _tree(
    ctx: "Context", values: "dict[str, Any]", records: "list[Record]", patterns: "list[str]"
) -> int:
    for key in ("quiet", "digests", "format"):
        if values[key]:
            raise UsageError(f"--tree and --{key} do not go together", remedy="give one of them")
    from rootless.cli.images_tree import tree

    rows = [(one, _rows(one, 0, cut=True, with_digests=False)) for one in records]
    chosen = [
        one
        for one, mine in rows
        if not patterns or any(_matches(row, pattern) for row in mine for pattern in patterns)
    ]
    write(tree(ctx, chosen, cut=not values["no_trunc"]))
    return 0


def _given(values: "dict[str, Any]") -> "list[tuple[str, str]]":
    keys = split_filters(values["filter"], _FILTERS)
    return [(key, value) for key, several in keys.items() for value in several]


def _select(ctx: "Context", values: "dict[str, Any]") -> "list[Record]":
    """The records for which the filters hold (reference is looked at per name)."""
    records = _all(ctx)
    for key, value in _given(values):
        if key == "dangling":
            if value not in ("true", "false", "1", "0"):
                raise bad_value(key, value, "it is true or false")
            nameless = value in ("true", "1")
            records = [one for one in records if bool(one["names"]) != nameless]
        elif key == "readonly":
            if value not in ("true", "false", "1", "0"):
                raise bad_value(key, value, "it is true or false")
            asked = value in ("true", "1")
            records = [one for one in records if bool(one.get("read_only")) == asked]
        elif key == "label":
            records = [
                one for one in records if has_label(one["config"].get("Labels") or {}, value)
            ]
        elif key == "label!":
            records = [
                one for one in records if not has_label(one["config"].get("Labels") or {}, value)
            ]
        elif key == "until":
            from rootless.cli.time_option import parse_time as parse_moment

            when = parse_time(parse_moment(value))
            records = [one for one in records if parse_time(str(one.get("created", ""))) < when]
        elif key in ("before", "since"):
            when = parse_time(str(store.resolve(ctx.paths, value).get("created", "")))
            times = [(parse_time(str(one.get("created", ""))), one) for one in records]
            records = [one for at, one in times if (at < when if key == "before" else at > when)]
    return records


def _all(ctx: "Context") -> "list[Record]":
    """One's own images, and those of the shared stores; an adopted one is theirs."""
    own: list[Record] = store.list_images(ctx.paths)
    if not ctx.paths.shared:
        return own
    from rootless.store import shared

    try:
        theirs = shared.list_images(ctx.paths)
    except RlError as e:
        log.warning(e.one_line())
        return own
    listed = {str(one["id"]) for one in theirs}
    own = [one for one in own if one["names"] or one["id"] not in listed]
    return sorted([*own, *theirs], key=lambda one: str(one.get("created", "")), reverse=True)


def _rows(record: "Record", now: float, *, cut: bool, with_digests: bool) -> "list[dict[str, str]]":
    created = parse_time(str(record.get("created", "")))
    identifier = str(record["id"])
    size = human_size(record.get("size", 0))
    common = {
        "Containers": "N/A",
        "CreatedAt": local_time(created) if created else "N/A",
        "CreatedSince": f"{human_duration(now - created)} ago" if created else "N/A",
        "Digest": _NONE,
        "ID": identifier.removeprefix("sha256:")[:12] if cut else identifier,
        "ReadOnly": "true" if record.get("read_only") else "false",
        "Repository": _NONE,
        "SharedSize": "N/A",
        "Size": size,
        "Tag": _NONE,
        "UniqueSize": "N/A",
        "VirtualSize": size,
    }
    digests: dict[str, list[str]] = {}
    for one in record.get("repo_digests", ()):
        repository, _, digest = str(one).partition("@")
        digests.setdefault(familiar(repository), []).append(digest)
    # As docker/cli's formatter: each tag with each digest of its repository; then repositories of
    # which there is a digest alone (pulled by it, or the tag is another image's now).
    rows = []
    tagged = [repository_and_tag(familiar(name)) for name in record["names"]]
    for repository, tag in tagged:
        shown = digests.get(repository) if with_digests else None
        for digest in shown or [_NONE]:
            rows.append({**common, "Repository": repository, "Tag": tag, "Digest": digest})
    for repository, known in digests.items():
        if repository not in {name for name, _ in tagged}:
            for digest in known if with_digests else known[:1]:
                rows.append({**common, "Repository": repository, "Digest": digest})
    return rows or [common]


def _matches(row: "dict[str, str]", pattern: str) -> bool:
    """Docker's reference filter: repository or repository:tag, with * ? [ ] within a component."""
    pattern = familiar(pattern)
    names = [row["Repository"], f"{row['Repository']}:{row['Tag']}"]
    if "@" in pattern:
        names.append(f"{row['Repository']}@{row['Digest']}")
    if not any(c in pattern for c in "*?["):
        return pattern in names
    from fnmatch import fnmatchcase

    # Go's path.Match: a star stops at a slash.
    wanted = pattern.split("/")
    return any(
        len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
        for parts in (name.split("/") for name in names)
    )
