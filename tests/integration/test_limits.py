"""Limits on the host as it is: held by a real group where one is ours, refused otherwise."""

import os

import pytest

from rootless.context import Context
from rootless.linux import cgroup
from rootless.paths import Paths
from rootless.runtime import limits
from rootless.runtime.limit_best_effort import BestEffort


@pytest.fixture
def ctx():
    return Context(
        paths=Paths("/nowhere/store", "/nowhere/run"),
        uid=os.getuid(),
        gid=os.getgid(),
        home="/nowhere",
        environ=dict(os.environ),
        config={},
        debug=False,
    )


def test_pids_limit_is_held_or_refused_with_its_remedy(ctx):
    """Whichever rung this host has: a fork beyond the limit fails, or the error says why."""
    try:
        group = limits.prepare(ctx, "ab" * 32, {"pids_limit": 1})
    except limits.NotDelegated as e:
        where = cgroup.hierarchy()
        assert cgroup.place_for(where, ["pids"]) is None
        assert "--pids-limit cannot be enforced here: " in e.what
        assert e.remedy and e.admin
        return
    assert group is not None
    go, pid = os.pipe(), os.fork()
    if pid == 0:
        os.read(go[0], 1)
        try:
            os.fork()
            os._exit(1)
        except BlockingIOError:
            os._exit(10)
    try:
        group.enter(pid)
        os.write(go[1], b"g")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 10
    finally:
        assert group.remove()
        for fd in go:
            os.close(fd)


def test_best_effort_process_limit_counts_in_a_user_namespace(ctx, tmp_path):
    """RLIMIT_NPROC set from outside holds for the caller's ID inside a new user namespace."""
    from rootless.linux.idmap import IdMap
    from rootless.linux.namespaces import run_in_user_namespace

    group = BestEffort({"pids.max": "3"})

    def fork_until_refused():
        group.enter(os.getpid())
        children, started = [], 0
        go = os.pipe()
        try:
            while started < 10:
                pid = os.fork()
                if pid == 0:
                    os.close(go[1])
                    os.read(go[0], 1)
                    os._exit(0)
                children.append(pid)
                started += 1
        except BlockingIOError:
            pass
        os.close(go[1])
        for pid in children:
            os.waitpid(pid, 0)
        return started

    idmap = IdMap([(0, os.getuid(), 1)], [(0, os.getgid(), 1)])
    started = run_in_user_namespace(idmap, dict(os.environ), fork_until_refused)
    assert started < 3


def test_own_group_of_this_host_is_found():
    where = cgroup.hierarchy()
    if not where.mount:
        assert not any(" cgroup2 " in line for line in open("/proc/self/mountinfo"))
    else:
        assert os.path.isdir(where.own)
        assert str(os.getpid()) in open(f"{where.own}/cgroup.procs").read().split()
