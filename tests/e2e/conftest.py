"""Fixtures of the end-to-end tests."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from support.builds import Project
from support.images import Image, busybox_tar
from support.needs import SEARCH_PATH, strict
from support.program import Rl
from support.registry import Registry


@pytest.fixture(scope="session")
def ann_image(shared_rl: Rl, test_dir: str) -> str:
    """busybox with a user ann (1000:1000, also in staff), imported from a tar file."""
    archive = f"{test_dir}/ann.tar"
    with open(archive, "wb") as f:
        f.write(busybox_tar())
    shared_rl.run("import", archive, "ann:latest")
    os.unlink(archive)
    return "ann:latest"


@pytest.fixture(scope="session")
def entry_image(shared_rl: Rl, registry: Registry) -> str:
    """An image with every field that `run` reads from an image's config."""
    config = {
        "Entrypoint": ["/bin/echo", "entry"],
        "Cmd": ["from", "image"],
        "Env": ["PATH=/bin", "FROM_IMAGE=yes", "BOTH=image"],
        "WorkingDir": "/home",
        "User": "ann",
        "Labels": {"kind": "test", "both": "image"},
        "ExposedPorts": {"8000/tcp": {}, "9000/udp": {}},
        "StopSignal": "SIGUSR1",
    }
    reference = registry.push("test/entry", Image([busybox_tar()], config))
    shared_rl.run("pull", reference)
    return reference


@pytest.fixture
def project(rl: Rl, tmp_path: object) -> Project:
    """An empty build context."""
    return Project(rl, f"{tmp_path}/context")


@pytest.fixture
def one_id_rl(fresh_store: Callable[..., Rl], tmp_path: object) -> Rl:
    """rl with busybox for a user without subordinate IDs: getsubids knows of no range."""
    rl = fresh_store(busybox=True)
    with open(f"{tmp_path}/getsubids", "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(f"{tmp_path}/getsubids", 0o755)
    for name in os.listdir(f"{rl.store}/cache"):  # what is known of the IDs
        os.unlink(f"{rl.store}/cache/{name}")
    rl.env["PATH"] = f"{tmp_path}:{SEARCH_PATH}"
    return rl


@pytest.fixture
def small_store(test_dir: str) -> str:
    """A directory on a file system of a few MiB; scripts/test as root makes it."""
    directory = os.environ.get("RL_TEST_SMALL_DIR", "")
    if not directory:
        (pytest.fail if strict() else pytest.skip)("no RL_TEST_SMALL_DIR: run scripts/test as root")
    return f"{directory}/{os.path.basename(test_dir)}"


@pytest.fixture
def small_rl(rl: Rl, small_store: str) -> Iterator[tuple[Rl, str]]:
    """rl with busybox in a store on such a file system, and the place of that store."""
    place = f"{small_store}-full"
    rl.env["RL_STORE"] = place
    try:
        rl.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
        yield rl, place
        rl.run("rm", "-f", *rl.run("ps", "-aq").stdout.split(), check=False)
    finally:
        rl.env["RL_STORE"] = rl.store
        shutil.rmtree(place, ignore_errors=True)
