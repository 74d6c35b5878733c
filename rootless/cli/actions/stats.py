"""`rl stats`: a table of what containers use, once or live."""

import sys
import time

from rootless import log
from rootless.cli.actions import several
from rootless.cli.output import human_size, table, write
from rootless.cli.template import render_rows
from rootless.runtime import usage
from rootless.store import containers as store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.runtime.usage import Usage
    from rootless.store.containers import Container

HEADINGS = {
    "Container": "CONTAINER ID",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
    "Pressure": "PRESSURE",
    "Source": "SOURCE",
}
_COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_FIRST_INTERVAL_S = 0.2  # CPU time is the difference of two looks
_INTERVAL_S = 1.0


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """Look, wait, look again, and print what happened in between."""
    names = [str(name) for name in values["containers"] or ()]
    earlier = _look(ctx, names, bool(values["all"]))
    _say_source(earlier)
    time.sleep(_FIRST_INTERVAL_S)
    clear = sys.stdout is not None and sys.stdout.isatty() and not values["no_stream"]
    while True:
        now = _look(ctx, names, bool(values["all"]))
        rows = [
            _row(container, found, earlier.get(container.id, (None, None))[1], values)
            for container, found in now.values()
        ]
        text = _render(rows, str(values["format"] or ""))
        # Home, each line to its end, and what was below: nothing flickers (console_codes(4)).
        write("\033[H" + text.replace("\n", "\033[K\n") + "\033[J" if clear else text)
        if values["no_stream"]:
            return 0
        earlier = now
        time.sleep(_INTERVAL_S)


def _look(
    ctx: "Context", names: list[str], everyone: bool
) -> "dict[str, tuple[Container, Usage | None]]":
    """ID -> the container and what it uses (None when it does not run)."""
    if names:
        chosen = [several.find(ctx, name) for name in names]
    else:
        chosen = [one for one in store.list_all(ctx) if everyone or one.running]
    found = {one.id: (one, usage.measure(one)) for one in chosen}
    if names or everyone:
        return found
    return {key: pair for key, pair in found.items() if pair[1] is not None}


def _say_source(found: "dict[str, tuple[Container, Usage | None]]") -> None:
    names = [one.name for one, used in found.values() if used is not None and used.source == "proc"]
    if names:
        log.note(
            f"measured from /proc: {', '.join(names)} (no control group counts them; CPU time and "
            "I/O of processes that have ended may be missing)"
        )


def _row(
    container: "Container", now: "Usage | None", before: "Usage | None", values: "dict[str, Any]"
) -> "dict[str, Any]":
    shown = container.id if values["no_trunc"] else container.id[:12]
    asked = [str(name) for name in values["containers"] or ()]
    row: dict[str, Any] = {
        "BlockIO": "0B / 0B",
        "CPUPerc": "0.00%",
        "Container": next((name for name in asked if _means(name, container)), shown),
        "ID": shown,
        "MemPerc": "0.00%",
        "MemUsage": "0B / 0B",
        "Name": container.name,
        "NetIO": "0B / 0B",
        "PIDs": "0",
        "Pressure": "--",
        "Source": "",
    }
    if now is not None:
        row |= {
            "BlockIO": f"{human_size(now.read)} / {human_size(now.written)}",
            "CPUPerc": f"{_cpu(now, before):.2f}%",
            "MemPerc": f"{now.memory / now.limit * 100:.2f}%",
            "MemUsage": f"{_binary_size(now.memory)} / {_binary_size(now.limit)}",
            "NetIO": f"{human_size(now.received)} / {human_size(now.sent)}",
            "PIDs": str(now.processes),
            "Pressure": " ".join(f"{name} {part:.2f}%" for name, part in now.pressure.items())
            or "--",
            "Source": now.source,
        }
    return row


def _means(name: str, container: "Container") -> bool:
    return name.lstrip("/") == container.name or container.id.startswith(name)


def _cpu(now: "Usage", before: "Usage | None") -> float:
    """Percent of one CPU since the look before."""
    if before is None or before.source != now.source or now.when_ns <= before.when_ns:
        return 0.0
    return max(0.0, (now.cpu_ns - before.cpu_ns) / (now.when_ns - before.when_ns) * 100)


def _binary_size(size: int) -> str:
    """Docker's BytesSize: 1.5MiB, four significant digits."""
    value, units = float(size), ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    unit = 0
    while value >= 1024 and unit < len(units) - 1:
        value /= 1024
        unit += 1
    return f"{value:.4g}{units[unit]}"


def _render(rows: "list[dict[str, Any]]", form: str) -> str:
    if form in ("", "table"):
        lines = [[HEADINGS[name] for name in _COLUMNS]]
        lines += [[row[name] for name in _COLUMNS] for row in rows]
        return table(lines)
    return render_rows(form, rows, HEADINGS)
