"""`rl network ls`."""

from typing import Any

from rootless.cli.inspect_network import everything
from rootless.cli.output import table, write
from rootless.cli.ps_filters import bad_value, has_label, split_filters
from rootless.context import Context
from rootless.network.bridge.definition import PREDEFINED
from rootless.store import networks

HEADINGS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED",
}
_FILTERS = ("dangling", "driver", "id", "internal", "label", "name", "scope", "type")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """One line per network, by name."""
    found = _select(ctx, values)
    shown = 64 if values["no_trunc"] else 12
    if values["quiet"]:
        write("".join(f"{one['id'][:shown]}\n" for one in found))
        return 0
    rows = [_row(one, shown) for one in found]
    form = str(values["format"] or "")
    if form in ("", "table"):
        columns = ("ID", "Name", "Driver", "Scope")
        lines = [[HEADINGS[name] for name in columns]]
        write(table(lines + [[row[name] for name in columns] for row in rows]))
    else:
        from rootless.cli.template import render_rows

        write(render_rows(form, rows, HEADINGS))
    return 0


def _select(ctx: Context, values: dict[str, Any]) -> list[dict[str, Any]]:
    found = everything(ctx)
    for key, several in split_filters(values["filter"], _FILTERS).items():
        if key == "label":
            found = [one for one in found if all(has_label(one["labels"], v) for v in several)]
        elif key in ("dangling", "internal"):
            found = [one for one in found if _flag(ctx, key, one) in _booleans(key, several)]
        else:
            if key == "type" and not set(several) <= {"builtin", "custom"}:
                raise bad_value("type", several[0], "it is custom or builtin")
            found = [one for one in found if any(_has(one, key, value) for value in several)]
    return found


def _has(document: dict[str, Any], key: str, value: str) -> bool:
    if key == "name":
        return value in document["name"]
    if key == "id":
        return bool(document["id"].startswith(value))
    if key == "type":
        return (value == "builtin") == (document["name"] in PREDEFINED)
    return bool(value == (document["driver"] if key == "driver" else "local"))


def _booleans(key: str, several: list[str]) -> list[bool]:
    for value in several:
        if value not in ("true", "1", "false", "0"):
            raise bad_value(key, value, "it is true or false")
    return [value in ("true", "1") for value in several]


def _flag(ctx: Context, key: str, document: dict[str, Any]) -> bool:
    if key == "internal":
        return bool(document["internal"])
    used = document["name"] in networks.users(ctx.paths)
    return not used and document["name"] not in PREDEFINED


def _row(document: dict[str, Any], shown: int) -> dict[str, str]:
    return {
        "CreatedAt": document["created"],
        "Driver": document["driver"],
        "ID": document["id"][:shown],
        "IPv4": str(document["ipv4"]).lower(),
        "IPv6": str(document["ipv6"]).lower(),
        "Internal": str(document["internal"]).lower(),
        "Labels": ",".join(f"{key}={value}" for key, value in document["labels"].items()),
        "Name": document["name"],
        "Scope": "local",
    }
