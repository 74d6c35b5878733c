"""Threads that wait for the disk share the waits (rootless/store/syncing.py)."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.traces import wait_until

from rootless.errors import StoreError
from rootless.store import syncing
from rootless.store.syncing import Shared


def test_those_who_come_during_a_call_share_the_next() -> None:
    entered, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def work() -> None:
        entered.release()
        go_on.acquire()

    shared = Shared(work)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(shared.call)
        entered.acquire()
        rest = [pool.submit(shared.call) for _ in range(5)]
        wait_until(lambda: shared.waiting == 6, 10)
        go_on.release()
        first.result(10)
        entered.acquire()  # the second call, which began after all of them had come
        assert not any(one.done() for one in rest)
        go_on.release()
        for one in rest:
            one.result(10)
        assert not entered.acquire(blocking=False)


def test_a_failure_is_everybodys() -> None:
    def work() -> None:
        raise StoreError("no", remedy="none", code="RL-STORE-FULL")

    shared = Shared(work)
    for _ in range(2):
        with pytest.raises(StoreError):
            shared.call()


@pytest.mark.parametrize("wait", [syncing.file_system, syncing.directory])
def test_a_directory_that_is_gone_is_an_error(
    tmp_path: object, wait: Callable[[str], None]
) -> None:
    wait(str(tmp_path))
    with pytest.raises(StoreError):
        wait(f"{tmp_path}/none")
