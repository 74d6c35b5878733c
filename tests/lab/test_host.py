"""The lab hosts themselves: what they promise to the other tests."""

import os

import pytest

from rootless.linux import cgroup

# Where their recipe has SESSION=none or container.
WITHOUT_SESSION = ("no-session", "nested")


def test_session_is_an_ordinary_users():
    assert os.getuid() == 1000
    there = os.environ["RL_LAB_HOST"] not in WITHOUT_SESSION
    assert os.path.exists("/run/user/1000/bus") == there
    with open("/proc/1/comm") as file:
        assert (file.read() == "systemd\n") == (os.environ["RL_LAB_HOST"] != "nested")


@pytest.mark.host("no-session")
def test_control_groups_are_read_only():
    with open("/proc/self/mounts") as file:
        options = [line.split()[3] for line in file if line.split()[1] == "/sys/fs/cgroup"]
    assert options[-1].startswith("ro,")


@pytest.mark.host("nested")
def test_container_hides_what_those_of_ci_runners_hide():
    assert not os.path.exists("/dev/net/tun") and not os.path.exists("/dev/fuse")
    with open("/proc/self/mounts") as file:
        below = [line.split()[1] for line in file if line.split()[1].startswith("/proc/")]
    assert "/proc/sys" in below


@pytest.mark.host("systemd")
def test_all_controllers_that_the_kernel_has_are_delegated():
    there = cgroup.controllers("/sys/fs/cgroup")
    group = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
    assert cgroup.controllers(group) == there & {"cpu", "cpuset", "io", "memory", "pids"}
    assert there >= {"cpu", "io", "memory", "pids"}


@pytest.mark.host("default-delegation")
def test_memory_and_pids_alone_are_delegated_and_the_session_is_a_login():
    group = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
    assert cgroup.controllers(group) == {"memory", "pids"}
    assert "/user-1000.slice/session-" in open("/proc/self/cgroup").read()
