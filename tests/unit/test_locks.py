"""flock as a context manager, between processes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rootless.errors import StoreError
from rootless.store.locks import Locked

ROOT = str(Path(__file__).parents[2])


@contextmanager
def held_elsewhere(path: str, *, shared: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from rootless.store.locks import Locked\n"
        f"with Locked({path!r}, shared={shared}):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_busy_lock_is_refused_at_once_and_named(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    with (
        held_elsewhere(path),
        pytest.raises(StoreError, match="container web is in use") as caught,
        Locked(path, wait_s=0, what="container web"),
    ):
        pass
    assert caught.value.code == "RL-STORE-BUSY"
    assert caught.value.remedy


def test_waiting_ends_after_its_time(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    with held_elsewhere(path):
        started = time.monotonic()
        with pytest.raises(StoreError), Locked(path, wait_s=0.1):
            pass
        assert 0.1 <= time.monotonic() - started < 5


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    with held_elsewhere(path) as child:
        child.kill()
        child.wait()
        with Locked(path, wait_s=0):
            pass


def test_shared_locks_go_together_and_exclude_an_exclusive_one(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    with held_elsewhere(path, shared=True):
        with Locked(path, shared=True, wait_s=0):
            pass
        with pytest.raises(StoreError), Locked(path, wait_s=0):
            pass


def test_lock_file_that_was_removed_while_we_waited_is_no_lock(tmp_path: Path) -> None:
    path = f"{tmp_path}/lock"
    with Locked(path) as first:
        os.unlink(path)
        with Locked(path, wait_s=0) as second:
            assert os.fstat(second.fileno()).st_ino == os.stat(path).st_ino
            assert os.fstat(first.fileno()).st_nlink == 0


def test_lock_is_not_inherited_by_programs(tmp_path: Path) -> None:
    with Locked(f"{tmp_path}/lock") as lock:
        assert not os.get_inheritable(lock.fileno())
    assert lock.fileno() == -1


def test_lock_in_a_directory_that_is_gone_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), Locked(f"{tmp_path}/gone/lock"):
        pass
