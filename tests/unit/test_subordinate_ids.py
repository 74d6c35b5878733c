"""The look-up of subordinate IDs: getsubids, which knows LDAP, and how long it is believed."""

import os
from pathlib import Path

import pytest

from rootless.linux import idmap


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a getsubids that counts how often it is asked."""
    program = tmp_path / "getsubids"
    program.write_text(
        f"#!/bin/sh\necho asked >>{tmp_path}/asked\n[ -e {tmp_path}/none ] || echo 0: $1 7000 50\n"
    )
    program.chmod(0o755)
    return tmp_path


def look_up(directory: Path) -> "tuple[list[idmap.Range], int]":
    """The UIDs, and how often getsubids has been asked for them or the GIDs so far."""
    environ = {"PATH": f"{directory}:{os.environ['PATH']}"}
    uids, _ = idmap.subordinate_ranges(lambda: "ann", 5, environ, f"{directory}/cache")
    return uids, len((directory / "asked").read_text().split())


def age(directory: Path, seconds: int) -> None:
    status = os.stat(directory / "cache")
    os.utime(directory / "cache", (status.st_mtime - seconds,) * 2)


def test_an_answer_is_kept_for_a_day(directory: Path) -> None:
    assert look_up(directory) == ([(7000, 50)], 2)
    age(directory, 3600)
    assert look_up(directory) == ([(7000, 50)], 2)
    age(directory, 25 * 3600)
    assert look_up(directory) == ([(7000, 50)], 4)


def test_that_there_is_none_is_soon_asked_again(directory: Path) -> None:
    (directory / "none").touch()
    assert look_up(directory) == ([], 2)
    assert look_up(directory) == ([], 2)
    (directory / "none").unlink()
    age(directory, 600)
    assert look_up(directory) == ([(7000, 50)], 4), "LDAP has changed, and no file here"
