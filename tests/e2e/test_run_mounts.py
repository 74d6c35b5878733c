"""Volumes, bind mounts, tmpfs, --read-only and the root file system."""

import os
import uuid

import pytest
from support.images import Image, busybox_tar, tar
from support.program import Rl
from support.registry import Registry


def sh(rl: Rl, *args: str, script: str, status: int = 0) -> str:
    return rl.out(
        "run", "--rm", "--network", "none", *args, "busybox", "sh", "-c", script, status=status
    )


@pytest.fixture
def shared(tmp_path: object) -> str:
    """A host directory with a file."""
    with open(f"{tmp_path}/file", "w") as f:
        f.write("from host\n")
    return f"{tmp_path}"


def test_bind_mount_both_ways(rl: Rl, shared: str) -> None:
    assert sh(rl, "-v", f"{shared}:/data", script="cat /data/file; echo x >/data/new") == (
        "from host"
    )
    with open(f"{shared}/new") as f:
        assert f.read() == "x\n"


def test_read_only_bind_mount(rl: Rl, shared: str) -> None:
    assert sh(rl, "-v", f"{shared}:/data:ro", script="echo x >/data/new || echo refused") == (
        "refused"
    )
    assert not os.path.exists(f"{shared}/new")


def test_single_file_bind_mount(rl: Rl, shared: str) -> None:
    assert sh(rl, "-v", f"{shared}/file:/etc/motd:ro", script="cat /etc/motd") == "from host"


def test_volume_option_makes_a_missing_host_directory(rl: Rl, shared: str) -> None:
    sh(rl, "-v", f"{shared}/made/here:/data", script="touch /data/x")
    assert os.path.exists(f"{shared}/made/here/x")


def test_mount_option_refuses_a_missing_host_path(rl: Rl, shared: str, no_leftovers: None) -> None:
    rl.fails("run", "--rm", "--mount", f"type=bind,src={shared}/none,dst=/d", "busybox", "true")


def test_mount_option_bind_read_only(rl: Rl, shared: str) -> None:
    out = sh(rl, "--mount", f"type=bind,source={shared},target=/data,readonly",
             script="cat /data/file; touch /data/x 2>/dev/null || echo refused")  # fmt: skip
    assert out.splitlines() == ["from host", "refused"]


def test_relative_bind_path_is_of_the_callers_directory(rl: Rl, shared: str) -> None:
    out = rl.out("run", "--rm", "-v", "./:/data", "busybox", "cat", "/data/file", cwd=shared)
    assert out == "from host"


def test_odd_names_mount(rl: Rl, shared: str) -> None:
    odd = f"{shared}/a,b c\\d"
    os.mkdir(odd)
    sh(rl, "-v", f"{odd}:/data/x y", script="touch '/data/x y/here'")
    assert os.path.exists(f"{odd}/here")


def test_tmpfs(rl: Rl) -> None:
    out = sh(rl, "--tmpfs", "/scratch:size=1m,mode=1777",
             script="stat -c %a /scratch; df -k /scratch | awk 'NR==2 {print $2}';"
             " grep ' /scratch ' /proc/mounts")  # fmt: skip
    lines = out.splitlines()
    assert lines[:2] == ["1777", "1024"]
    assert {"noexec", "nosuid", "nodev"} <= set(lines[2].split()[3].split(","))


def test_mount_option_tmpfs(rl: Rl) -> None:
    out = sh(rl, "--mount", "type=tmpfs,dst=/scratch,tmpfs-size=2m", script="df -k /scratch")
    assert "2048" in out


def test_read_only_root(rl: Rl) -> None:
    out = sh(rl, "--read-only", "--tmpfs", "/tmp",
             script="touch /x 2>/dev/null || echo refused; touch /tmp/x && echo fine;"
             " echo x >/dev/null && echo dev; touch /dev/shm/x && echo shm")  # fmt: skip
    assert out.split() == ["refused", "fine", "dev", "shm"]


def test_named_volume_keeps_its_files(rl: Rl) -> None:
    name = f"v-{uuid.uuid4().hex[:8]}"
    sh(rl, "-v", f"{name}:/data", script="echo kept >/data/file")
    assert sh(rl, "-v", f"{name}:/data", script="cat /data/file") == "kept"
    assert sh(rl, "--mount", f"type=volume,src={name},dst=/d", script="cat /d/file") == "kept"


def test_new_volume_gets_the_images_files(rl: Rl) -> None:
    name = f"v-{uuid.uuid4().hex[:8]}"
    assert "busybox" in sh(rl, "-v", f"{name}:/bin2", "-v", f"{name}x:/bin", script="ls /bin")


def test_anonymous_volume_goes_with_rm(rl: Rl) -> None:
    before = (
        set(os.listdir(f"{rl.store}/volumes")) if os.path.isdir(f"{rl.store}/volumes") else set()
    )
    sh(rl, "-v", "/data", script="touch /data/x")
    assert set(os.listdir(f"{rl.store}/volumes")) == before


def test_container_writes_go_to_its_upper_layer_only(rl: Rl) -> None:
    sh(rl, script="rm /bin/ls; echo x >/etc/new; mkdir -p /a/b")
    assert sh(rl, script="test -e /bin/ls && ! test -e /etc/new && ! test -e /a && echo clean") == (
        "clean"
    )


def test_bind_mounts_are_not_followed_out_of_the_root(rl: Rl, shared: str) -> None:
    """A symlink of the image that a mount point lies behind stays inside the container."""
    os.symlink("/etc", f"{shared}/link")
    out = sh(rl, "-v", f"{shared}:/data", "--tmpfs", "/data/link/rl-test",
             script="ls -d /etc/rl-test")  # fmt: skip
    assert out == "/etc/rl-test"
    assert not os.path.exists("/etc/rl-test")


@pytest.mark.needs("docker-registry")
def test_image_of_150_layers_runs(rl: Rl, registry: Registry, no_leftovers: None) -> None:
    layers = [busybox_tar(), *(tar({f"layer-{n}": str(n)}) for n in range(149))]
    reference = registry.push("test/many", Image(layers, {"Cmd": ["sh"]}))
    rl.run("pull", reference, timeout=120)
    out = rl.out("run", "--rm", reference, "sh", "-c", "ls / | grep -c layer-; cat /layer-148")
    assert out.split() == ["149", "148"]


@pytest.mark.parametrize("driver", ["overlay", "fuse-overlayfs", "copy"])
def test_every_storage_driver_runs_a_container(rl: Rl, no_leftovers: None, driver: str) -> None:
    out = sh(rl, "--storage-driver", driver, script="echo x >/etc/x; rm /bin/ls; cat /etc/x")
    assert out == "x"


def test_unknown_storage_driver_is_an_error(rl: Rl, no_leftovers: None) -> None:
    rl.fails("run", "--rm", "--storage-driver", "floppy", "busybox", "true")
