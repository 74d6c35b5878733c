"""system df: what takes space."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.program import Rl


@pytest.fixture
def own(fresh_store: Callable[..., Rl]) -> Rl:
    return fresh_store(busybox=True)


def rows(rl: Rl) -> dict[str, dict[str, str]]:
    lines = rl.out("system", "df", "--format", "json").splitlines()
    return {row["Type"]: row for row in map(json.loads, lines)}


def test_each_kind_has_a_line(own: Rl, tmp_path: Path) -> None:
    before = rows(own)
    assert list(before) == ["Images", "Containers", "Local Volumes", "Build Cache"]
    assert before["Images"]["TotalCount"] == "1"
    assert before["Images"]["Active"] == "0"
    assert before["Images"]["Reclaimable"] == f"{before['Images']['Size']} (100%)"
    assert before["Containers"]["Size"] == "0B"
    script = "head -c 20000 /dev/zero > /own; head -c 3000 /dev/zero > /data/file"
    own.run("run", "--network", "none", "-v", "kept:/data", "busybox", "sh", "-c", script)
    after = rows(own)
    assert after["Images"]["Active"] == "1"
    assert after["Images"]["Reclaimable"] == "0B (0%)"
    assert after["Containers"]["Size"].startswith("20")
    assert after["Containers"]["Reclaimable"].endswith("(100%)")
    assert (after["Local Volumes"]["Size"], after["Local Volumes"]["Active"]) == ("3kB", "1")
    text = own.out("system", "df")
    assert text.splitlines()[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]


def test_verbose_shows_each_thing(own: Rl, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN head -c 5000 /dev/zero > /f\n")
    own.run("build", "-q", "-t", "made", str(tmp_path))
    own.run("tag", "busybox", "again:1")
    own.run("run", "--network", "none", "--name", "mine", "made", "true")
    text = own.out("system", "df", "-v")
    for heading in ("Images space usage", "Containers space usage", "Local Volumes space usage"):
        assert f"{heading}:" in text
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert lines["made"][-1] == "1"
    assert lines["busybox"][-1] == "0" and lines["again"][-1] == "0"
    assert "mine" in text
    assert "regular" in text


def test_an_empty_store(fresh_store: Callable[..., Rl]) -> None:
    assert {row["Size"] for row in rows(fresh_store()).values()} == {"0B"}


def test_verbose_and_format(rl: Rl) -> None:
    found = json.loads(rl.out("system", "df", "-v", "--format", "json"))
    assert set(found) == {"Images", "Containers", "Volumes", "BuildCache"}
    assert "busybox" in [one["Repository"] for one in found["Images"]]
    names = rl.out("system", "df", "-v", "--format", "{{range .Images}}{{.Repository}} {{end}}")
    assert "busybox" in names.split()
