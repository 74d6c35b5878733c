"""Managers of control groups inside a container: it has a delegated group of its own to divide."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import Rl
from support.traces import wait_until

pytestmark = pytest.mark.host("systemd", "qemu")

NO_NET = ("--network", "none")


@pytest.fixture(scope="module")
def image(shared_rl: Rl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image for containers with the programs of the host: -v /usr:/usr:ro."""
    context = tmp_path_factory.mktemp("inside")
    root = context / "root"
    for name in ("etc", "usr", "proc", "sys", "dev", "tmp", "run", "var/tmp", "inner/bin"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/machine-id").write_text("")
    shutil.copy("/usr/bin/busybox", root / "inner/bin/busybox")
    (root / "inner/bin/cat").symlink_to("busybox")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    shared_rl.run("build", "-q", "-t", "inside", str(context))
    yield "inside"
    shared_rl.run("rmi", "-f", "inside")


def test_systemd_runs_in_a_container(rl: Rl, image: str) -> None:
    name = rl.out(
        "run", "-d", *NO_NET, "--pids-limit", "200", "-m", "256m", "-v", "/usr:/usr:ro",
        "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "-e", "container=oci", image,
        "/usr/lib/systemd/systemd", "--unit=basic.target",
    )  # fmt: skip

    def up() -> bool:
        done = rl.run("exec", name, "systemctl", "is-active", "basic.target", check=False)
        return done.stdout == "active\n"

    wait_until(up, 30, "systemd's basic.target in the container")
    service = ("systemd-run", "--wait", "--pipe", "-q", "-p", "TasksMax=7", "-p", "MemoryMax=32M")
    shown = rl.out(
        "exec", name, *service, "sh", "-c",
        'cat /proc/self/cgroup; cd /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup);'
        "cat pids.max memory.max",
    ).split()  # fmt: skip
    assert shown[0].startswith("0::/system.slice/run-") and shown[1:] == ["7", str(32 << 20)]
    rl.run("stop", "-t", "20", name)


def test_podman_runs_in_a_container(rl: Rl, image: str) -> None:
    shown = rl.out(
        "run", "--rm", *NO_NET, "--privileged", "--pids-limit", "200", "-v", "/usr:/usr:ro",
        "-v", "/etc/containers:/etc/containers:ro", "--tmpfs", "/run", "--tmpfs", "/tmp", image,
        "podman", "--cgroup-manager=cgroupfs", "--storage-driver=vfs", "run", "--rm", *NO_NET,
        "-m", "64m", "--pids-limit", "50", "--rootfs", "/inner", "cat",
        "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max",
    )  # fmt: skip
    assert shown.split() == [str(64 << 20), "50"]


def test_podman_beside_rl_has_its_limits(tmp_path: Path) -> None:
    """The host is one on which others hold limits, too."""
    (tmp_path / "bin").mkdir()
    shutil.copy("/usr/bin/busybox", tmp_path / "bin/cat")
    done = subprocess.run(
        ["podman", "run", "--rm", *NO_NET, "-m", "64m", "--pids-limit", "50", "--rootfs",
         str(tmp_path), "cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids.max"],
        env={**os.environ, "XDG_RUNTIME_DIR": "/run/user/1000"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(64 << 20), "50"], done.stderr
