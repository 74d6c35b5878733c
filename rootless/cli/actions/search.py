"""`rl search`: images of a registry, found by a word."""

from typing import Any

from rootless.cli.output import familiar, table, write
from rootless.cli.ps_filters import bad_value, split_filters
from rootless.context import Context
from rootless.errors import UsageError
from rootless.registry import pull, search
from rootless.registry.search import Found

HEADINGS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
    "IsAutomated": "AUTOMATED",
}
_COLUMNS = ("Name", "Description", "StarCount", "IsOfficial")
_TAG_HEADINGS = {"Name": "NAME", "Tag": "TAG"}
_LIMIT = 25  # as Docker
_DESCRIPTION_MAX = 45
_FILTERS = ("is-automated", "is-official", "stars")
_YES, _NO = ("true", "1", "t"), ("false", "0", "f")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """A line per repository, or per tag of the repository with `list_tags`."""
    given = values["limit"]
    limit = _LIMIT if given is None else int(given)
    if not 1 <= limit <= search.LIMIT_MAX:
        raise UsageError(
            f"--limit {limit} is out of range", remedy=f"it is 1 to {search.LIMIT_MAX}"
        )
    filters = split_filters([str(one) for one in values["filter"] or ()], _FILTERS)
    _check(filters)
    tls_verify = values["tls_verify"] is not False
    text = str(values["term"])
    if values["list_tags"]:
        if filters:
            raise UsageError("tags have no filters", remedy="leave --filter out")
        name = search.repository(text)
        tags = pull.list_tags(ctx, text, tls_verify=tls_verify)
        shown = tags if given is None else tags[:limit]
        _show(values, [{"Name": familiar(name), "Tag": tag} for tag in shown], _TAG_HEADINGS)
        return 0
    domain, term = search.target(text)
    found = search.search(ctx, domain, term, limit=limit, tls_verify=tls_verify)
    cut = not values["no_trunc"]
    rows = [_row(one, cut=cut) for one in found if _is_wanted(one, filters)]
    _show(values, rows, HEADINGS)
    return 0


def _check(filters: dict[str, list[str]]) -> None:
    for key in ("is-automated", "is-official"):
        for value in filters.get(key, ()):
            if value not in (*_YES, *_NO):
                raise bad_value(key, value, "it is true or false")
    for value in filters.get("stars", ()):
        if not (value.isascii() and value.isdecimal() and len(value) < 10):
            raise bad_value("stars", value, "it is a number")


def _is_wanted(one: Found, filters: dict[str, list[str]]) -> bool:
    for key, is_so in (("is-automated", one.automated), ("is-official", one.official)):
        if key in filters and not any((value in _YES) == is_so for value in filters[key]):
            return False
    return all(one.stars >= int(value) for value in filters.get("stars", ()))


def _row(one: Found, *, cut: bool) -> dict[str, str]:
    description = " ".join(one.description.split())
    if cut and len(description) > _DESCRIPTION_MAX:
        description = description[: _DESCRIPTION_MAX - 1] + "…"
    return {
        "Name": one.name,
        "Description": description,
        "StarCount": str(one.stars),
        "IsOfficial": "[OK]" if one.official else "",
        "IsAutomated": "[OK]" if one.automated else "",
    }


def _show(values: dict[str, Any], rows: list[dict[str, str]], headings: dict[str, str]) -> None:
    form = str(values["format"] or "")
    if form not in ("", "table"):
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, headings))
        return
    columns = list(_COLUMNS if "StarCount" in headings else headings)
    lines = [[headings[name] for name in columns]]
    write(table(lines + [[row[name] for name in columns] for row in rows]))
