"""The table of docs/hosts.md: each lab host has its row, which the lab reads and writes."""

import os

from support.hosts_table import row_in, row_of, update

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOT_HOSTS = {"base", "guest", "story", "qemu"}  # qemu is systemd on another kernel
FOUND = {
    "host": "new",
    "description": "a | b",
    "ok": True,
    "doctor": {"ids": "one ID", "root-filesystem": "copy", "network": None, "limits": "none"},
    "rl": "",
    "podman": "build: Error: in /var/tmp/story-x1/context at 127.0.0.1:4711: " + "0" * 64,
}


def document() -> str:
    with open(f"{ROOT}/docs/hosts.md") as file:
        return file.read()


def test_every_host_has_its_row() -> None:
    for host in set(os.listdir(f"{ROOT}/scripts/labhosts")) - NOT_HOSTS:
        assert len(row_in(document(), host)) == 5, host


def test_row_goes_in_and_out_and_stays() -> None:
    text = update(document(), [FOUND])
    row = row_in(text, "new")
    assert row[1:4] == [r"a \| b", "one ID, copy, no network, no limits", "passes"]
    assert row[4] == "fails at build: `` Error: in DIR/context at 127.0.0.1:PORT: ID ``"
    assert row == row_of(FOUND)
    assert update(text, [FOUND]) == text
    other = update(text, [{**FOUND, "rl": "run: Error: no; do [RL-X]", "podman": None}])
    assert row_in(other, "new")[3:] == ["fails at run: `` Error: no; do [RL-X] ``", row[4]]
