"""Fixtures of all tests.

`rl` runs the program in a store that the worker's tests share; `fresh_store` gives one of its
own.  `registry` is a real registry on loopback.  Each test must leave nothing behind: `rl` checks
that after it has removed the test's containers, `no_leftovers` before.

RL_TEST_DIR names the directory for stores (scripts/test makes one on a fast file system).
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import pytest
from support import traces
from support.images import Image
from support.needs import missing, strict
from support.ports import is_free, port_numbers
from support.program import Rl, program
from support.registry import Registry
from support.stores import remove_tree


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            reason = missing(name)
            if reason and strict():
                pytest.fail(f"this test needs {name}: {reason}", pytrace=False)
            elif reason:
                pytest.skip(reason)


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    """gw0, gw1, …; "main" without xdist (as pytest-xdist's fixture of this name)."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def test_dir(worker_id: str) -> Iterator[str]:
    """The worker's directory on the file system for stores.  Short: sockets go below it."""
    parent = os.environ.get("RL_TEST_DIR") or "/var/tmp"
    directory = tempfile.mkdtemp(prefix=f"t-{worker_id}-", dir=parent)
    yield directory
    remove_tree(directory)


@pytest.fixture(scope="session")
def shared_rl(test_dir: str, worker_id: str) -> Iterator[Rl]:
    """The worker's rl, with the image busybox:latest in its store."""
    reason = missing("user") or (None if os.path.exists(program()) else f"no {program()}")
    if reason:
        pytest.fail(reason, pytrace=False)
    rl = Rl(f"{test_dir}/rl", f"{worker_id}-{os.getpid()}")
    rl.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
    yield rl
    rl.remove_containers()


@pytest.fixture
def rl(shared_rl: Rl) -> Iterator[Rl]:
    """rl with busybox:latest.  Removes the test's containers and then finds nothing left."""
    yield from _cleaned(shared_rl)


def _cleaned(rl: Rl) -> Iterator[Rl]:
    before = traces.snapshot(rl.root, rl.store)
    yield rl
    rl.remove_containers()
    _assert_nothing_left(rl, before, "after its containers were removed")


def _assert_nothing_left(rl: Rl, before: dict[str, set[str]], when: str) -> None:
    left: list[str] = []

    def gone() -> bool:
        left[:] = traces.leftovers(rl.worker, rl.root, rl.store, before)
        return not left

    try:
        traces.wait_until(gone, 5)
    except AssertionError:
        for pid in traces.processes(rl.worker, rl.root):  # the next test starts clean
            os.kill(pid, 9)
        pytest.fail(f"left behind {when}: " + "; ".join(left), pytrace=False)


@pytest.fixture
def no_leftovers(rl: Rl) -> Iterator[None]:
    """The test itself must leave no process, mount, directory or helper; nobody helps it."""
    before = traces.snapshot(rl.root, rl.store)
    yield
    _assert_nothing_left(rl, before, "by the test itself")


@pytest.fixture
def fresh_store(test_dir: str, worker_id: str) -> Iterator[Callable[..., Rl]]:
    """Makes an rl with an empty store (or with busybox in it: `busybox=True`)."""
    made: list[Rl] = []

    def make(*, busybox: bool = False) -> Rl:
        root = tempfile.mkdtemp(prefix="s", dir=test_dir)
        rl = Rl(root, f"{worker_id}-{os.getpid()}-{os.path.basename(root)}")
        made.append(rl)
        if busybox:
            rl.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
        return rl

    yield make
    for rl in made:
        rl.remove_containers()
        kept = {f"{rl.store}/containers": {"by-name", "lock"}}
        _assert_nothing_left(rl, kept, "after its containers were removed")
        remove_tree(rl.root)


@pytest.fixture(scope="session")
def _ports(worker_id: str) -> Iterator[int]:
    return port_numbers(worker_id)


@pytest.fixture
def free_port(_ports: Iterator[int]) -> Callable[[], int]:
    """Gives loopback ports that are free, each call another one."""

    def take() -> int:
        for _ in range(1000):
            port = next(_ports)
            if is_free(port):
                return port
        raise AssertionError("no free port")

    return take


@pytest.fixture(scope="session")
def registry(test_dir: str, _ports: Iterator[int]) -> Iterator[Registry]:
    """Debian's docker-registry on a loopback port, empty.  One per worker: it takes 50 ms."""
    reason = missing("docker-registry")
    if reason:
        (pytest.fail if strict() else pytest.skip)(reason)
    port = next(port for port in _ports if is_free(port))
    running = Registry(f"{test_dir}/registry", port)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def private_registry(test_dir: str, _ports: Iterator[int]) -> Iterator[Registry]:
    """A registry that wants the user and password of support/registry.py."""
    reason = missing("docker-registry")
    if reason:
        (pytest.fail if strict() else pytest.skip)(reason)
    port = next(port for port in _ports if is_free(port))
    running = Registry(f"{test_dir}/private-registry", port, private=True)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def busybox_image(shared_rl: Rl) -> Image:
    """The bootstrapped busybox as an image to push: its files as one layer."""
    from support.bootstrapped import image_of

    return image_of(shared_rl, "busybox:latest")


@pytest.fixture(scope="session")
def busybox_reference(registry: Registry, busybox_image: Image) -> str:
    """The bootstrapped busybox in the registry."""
    return registry.push("library/busybox", busybox_image)


@pytest.fixture
def podman(tmp_path: object) -> Iterator[list[str]]:
    """podman with a store of its own.  Its --runroot may have 50 characters."""
    with tempfile.TemporaryDirectory(prefix="rl-", dir="/tmp") as short:
        command = ["podman", "--root", f"{tmp_path}/podman", "--runroot", f"{short}/r"]
        yield command
        subprocess.run([*command, "system", "reset", "-f"], capture_output=True)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes by their number: gzip puts the time into its data, and pytest-xdist's workers must
    come to the same names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
