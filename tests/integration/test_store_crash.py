"""kill -9 at many moments of commands that write the store: it is never corrupt."""

import json
import os
import time
from collections.abc import Callable

import pytest
from support.images import Image, busybox_tar, tar
from support.program import Rl
from support.registry import Registry


def assert_store_whole(rl: Rl) -> None:
    """Every JSON file can be read, every image has its layers, every name its target."""
    for directory, _, names in os.walk(rl.store):
        if "/diff" in directory or "/upper" in directory or directory.endswith("/tmp"):
            continue
        if f"{rl.store}/tmp/" in directory:
            continue
        for name in names:
            path = f"{directory}/{name}"
            if os.path.islink(path):
                assert os.path.exists(path), f"{path} leads nowhere"
            elif name.endswith(".json"):
                with open(path) as f:
                    json.load(f)
    images = f"{rl.store}/images/by-id"
    for name in os.listdir(images) if os.path.isdir(images) else []:
        if not name.endswith(".json"):
            continue
        with open(f"{images}/{name}") as f:
            record = json.load(f)
        for layer in record["layers"]:
            assert os.path.isdir(f"{rl.store}/layers/{layer.partition(':')[2]}/diff"), layer


@pytest.mark.parametrize("delay_ms", [40, 80, 120, 160, 200, 250, 300, 400])
def test_pull_killed_at_any_moment(
    fresh_store: Callable[..., Rl], registry: Registry, delay_ms: int
) -> None:
    rl = fresh_store()
    layers = [busybox_tar(), *(tar({f"x{n}": os.urandom(500_000)}) for n in range(4))]
    reference = registry.push(f"test/crash-{delay_ms}", Image(layers, {"Cmd": ["true"]}))
    child = rl.popen("pull", reference)
    time.sleep(delay_ms / 1000)
    child.kill()
    child.communicate()
    assert_store_whole(rl)
    rl.run("images")
    rl.run("pull", reference)
    assert_store_whole(rl)
    rl.run("run", "--rm", "--network", "none", reference)


@pytest.mark.parametrize("delay_ms", [20, 60, 100, 150, 200])
def test_import_killed_at_any_moment(
    fresh_store: Callable[..., Rl], tmp_path: object, delay_ms: int
) -> None:
    rl = fresh_store()
    path = f"{tmp_path}/rootfs.tar"
    with open(path, "wb") as f:
        f.write(tar({"big": os.urandom(4_000_000)}))
    child = rl.popen("import", path, "crash:1")
    time.sleep(delay_ms / 1000)
    child.kill()
    child.communicate()
    assert_store_whole(rl)
    rl.run("import", path, "crash:1")
    assert_store_whole(rl)
    assert rl.out("images", "-q", "crash:1")


@pytest.mark.parametrize("delay_ms", [10, 30, 50, 80])
def test_rm_killed_at_any_moment(rl: Rl, delay_ms: int) -> None:
    name = rl.name()
    rl.start("--name", name)
    child = rl.popen("rm", "-f", name)
    time.sleep(delay_ms / 1000)
    child.kill()
    child.communicate()
    assert_store_whole(rl)
    rl.run("ps", "-a")
    rl.run("rm", "-f", name)
    assert rl.out("ps", "-aq") == ""
    rl.run("run", "--rm", "--network", "none", "busybox")  # sweeps what the killed one was at


@pytest.mark.parametrize("delay_ms", [20, 50, 80, 120])
def test_rmi_killed_at_any_moment(
    fresh_store: Callable[..., Rl], delay_ms: int, registry: Registry
) -> None:
    rl = fresh_store()
    reference = registry.push("test/rmi", Image([busybox_tar()], {"Cmd": ["true"]}))
    rl.run("pull", reference)
    child = rl.popen("rmi", reference)
    time.sleep(delay_ms / 1000)
    child.kill()
    child.communicate()
    assert_store_whole(rl)
    rl.run("pull", reference)
    rl.run("run", "--rm", "--network", "none", reference)
