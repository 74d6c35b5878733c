"""The table of docs/hosts.md, made of what tests/lab/test_story.py has found on the lab hosts.

    python3 tests/support/hosts_table.py DIRECTORY docs/hosts.md

writes the rows of the hosts that DIRECTORY has results of (HOST.json); status 1 if one changed.
"""

import json
import os
import re
import sys
from typing import Any

HEAD = ("host", "what it is", "what `rl` takes there", "`rl`", "podman")
BEGIN, END = "<!-- made by scripts/lab run all -->\n", "<!-- end -->\n"
LONGEST = 400  # characters of an outcome: podman says the path of each function
# Shorter than doctor's names.
RUNGS = {
    "newuidmap and newgidmap over subordinate IDs": "all IDs",
    "systemd user scope": "limits by systemd",
    "delegated control group": "limits by its own control group",
    "none": "no limits",
    "None": "no network",
}


def row_of(found: dict[str, Any]) -> list[str]:
    """The cells of a host's row."""
    doctor = found.get("doctor", {})
    rungs = [doctor.get("ids"), doctor.get("root-filesystem"), doctor.get("network")]
    names = [RUNGS.get(str(rung), str(rung)) for rung in (*rungs, doctor.get("limits"))]
    taken = ", ".join(names) if found.get("ok") else "nothing"
    outcomes = [_outcome(found.get(name)) for name in ("rl", "podman")]
    return [f"`{found['host']}`", _cell(found["description"]), taken, *outcomes]


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _outcome(text: str | None) -> str:
    if text is None:
        return "?"
    if not text:
        return "passes"
    step, _, line = text.partition(": ")
    for pattern, replacement in (
        (r"/var/tmp/story-[^/ ]*", "DIR"),
        (r"/tmp/[^ :]*", "/tmp/…"),
        (r"\b[0-9a-f]{12,64}\b", "ID"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"storage-run-\d+/\S*|podman-?\d{3,}|\b\d{6,}\b", "N"),
        (r"write /usr/\S+: no space", "write FILE: no space"),
        (r'^time="[^"]*" ', ""),
    ):
        line = re.sub(pattern, replacement, line)
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
    return f"fails at {step}: `` {_cell(line)} ``"


def row_in(text: str, host: str) -> list[str]:
    """The cells that the document has for `host`; [] without any."""
    for line in text.splitlines():
        if line.startswith(f"| `{host}` |"):
            return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    return []


def update(text: str, results: list[dict[str, Any]]) -> str:
    """The document with the rows of these hosts, in place of older ones or after the last."""
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    rows = [line for line in text[begin:end].splitlines() if line.startswith("| `")]
    for found in results:
        cells = row_of(found)
        if found.get("podman") is None and row_in(text, found["host"]):
            cells[-1] = row_in(text, found["host"])[-1]
        line = _line(cells)
        at = [i for i, row in enumerate(rows) if row.startswith(f"| `{found['host']}` |")]
        if at:
            rows[at[0]] = line
        else:
            rows.append(line)
    table = [_line(list(HEAD)), "|" + "---|" * len(HEAD), *rows]
    return text[:begin] + "\n".join(table) + "\n" + text[end:]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main(directory: str, document: str) -> int:
    results = []
    for name in sorted(os.listdir(directory)):
        with open(f"{directory}/{name}") as file:
            text = file.read()
        if text:  # else the host did not come so far
            results.append(json.loads(text))
    with open(document) as file:
        before = file.read()
    after = update(before, results)
    if after == before:
        return 0
    with open(document, "w") as file:
        file.write(after)
    print(f"{document}: the table has changed")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
