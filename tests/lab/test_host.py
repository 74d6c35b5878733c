"""The lab hosts themselves: what they promise to the other tests."""

import os

import pytest

from rootless.linux import cgroup


def test_session_is_an_ordinary_users():
    assert os.getuid() == 1000
    assert os.path.exists("/run/user/1000/bus")
    with open("/proc/1/comm") as file:
        assert file.read() == "systemd\n"


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
