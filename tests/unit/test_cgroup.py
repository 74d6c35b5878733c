"""Control groups read and written in made-up trees (plain files behave enough like them)."""

import errno
import os

import pytest

from rootless.errors import KernelError
from rootless.linux import cgroup

V2 = "25 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
OWN = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-7.scope"


@pytest.fixture
def tree(tmp_path):
    """A made-up host whose groups below user@1000.service are ours."""

    class Tree:
        root = str(tmp_path)
        mount = f"{tmp_path}/sys/fs/cgroup"

        def proc(self, mountinfo=V2, own=f"0::{OWN}\n"):
            (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
            (tmp_path / "proc/self/mountinfo").write_text(mountinfo)
            (tmp_path / "proc/self/cgroup").write_text(own)
            return cgroup.hierarchy(self.root)

        def group(self, path, *, controllers="", handed_out="", procs="", ours=True):
            directory = f"{self.mount}{path}"
            os.makedirs(directory, exist_ok=True)
            for name, text in (
                ("cgroup.controllers", controllers),
                ("cgroup.subtree_control", handed_out),
                ("cgroup.procs", procs),
            ):
                with open(f"{directory}/{name}", "w") as file:
                    file.write(text + "\n")
                os.chmod(f"{directory}/{name}", 0o644 if ours else 0o444)
            return directory

    return Tree()


def test_unified_hierarchy(tree):
    where = tree.proc()
    assert where.mount == tree.mount
    assert where.own == tree.mount + OWN
    assert where.legacy == frozenset()


def test_hybrid_host_names_the_controllers_bound_to_v1(tree):
    where = tree.proc(
        "30 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "31 23 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 23 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        "4:memory:/x\n0::/\n",
    )
    assert {"memory", "cpu"} <= where.legacy
    assert where.mount == where.own == f"{tree.mount}/unified"


def test_a_mounted_subtree_is_taken_off_the_path(tree):
    where = tree.proc("25 23 0:22 /docker/abc /sys/fs/cgroup rw - cgroup2 c rw\n",
                      "0::/docker/abc/job\n")  # fmt: skip
    assert where.own == f"{tree.mount}/job"


def test_own_group_out_of_sight(tree):
    assert tree.proc("25 23 0:22 /docker/abc /sys/fs/cgroup rw - cgroup2 c rw\n").own == ""
    assert tree.proc("", "").mount == ""


def delegate(tree, **app):
    tree.group("/user.slice/user-1000.slice", controllers="cpu memory pids", ours=False)
    service = "/user.slice/user-1000.slice/user@1000.service"
    tree.group(service, controllers="memory pids", handed_out="memory pids")
    tree.group(f"{service}/app.slice", controllers="memory pids", **app)
    tree.group(OWN, controllers="memory pids", procs="1 2")


def test_place_is_the_nearest_that_hands_out_already(tree):
    delegate(tree, handed_out="memory pids")
    where = tree.proc()
    assert cgroup.place_for(where, ["memory"]) == os.path.dirname(where.own)


def test_place_is_our_own_group_when_none_hands_out(tree):
    delegate(tree)
    tree.group("/user.slice/user-1000.slice/user@1000.service", controllers="memory pids")
    where = tree.proc()
    assert cgroup.place_for(where, ["memory"]) == where.own
    assert cgroup.place_for(where, ["cpu"]) is None


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everything")
def test_groups_of_others_are_not_ours(tree):
    tree.group(OWN, controllers="memory", ours=False)
    assert cgroup.delegated(tree.proc()) == []


def test_hand_out_moves_processes_to_a_leaf_when_the_kernel_says_busy(tree, monkeypatch):
    directory = tree.group("/a", controllers="memory pids", procs="11\n12")
    written = []

    def write(path, text):
        written.append((os.path.relpath(path, directory), text))
        if path.endswith("subtree_control") and len(written) == 1:
            raise KernelError("write", errno.EBUSY, path)
        if path.endswith(f"{cgroup.LEAF}/cgroup.procs") and text == "12":
            with open(f"{directory}/cgroup.procs", "w"):
                pass

    monkeypatch.setattr(cgroup, "_write", write)
    cgroup.hand_out(directory, ["pids", "memory"])
    assert written == [
        ("cgroup.subtree_control", "+memory +pids"),
        ("rl-leaf/cgroup.procs", "11"),
        ("rl-leaf/cgroup.procs", "12"),
        ("cgroup.subtree_control", "+memory +pids"),
    ]


def test_hand_out_writes_nothing_when_it_is_done_already(tree, monkeypatch):
    directory = tree.group("/a", handed_out="memory pids")
    monkeypatch.setattr(cgroup, "_write", None)
    cgroup.hand_out(directory, ["pids"])


def test_group_reads_events_and_goes_away(tree):
    path = tree.group("/a/rl-1")
    with open(f"{path}/memory.events", "w") as file:
        file.write("low 0\noom 2\noom_kill 1\n")
    group = cgroup.Group(path)
    assert group.events("memory.events")["oom_kill"] == 1
    assert group.events("none") == {}
    for name in os.listdir(path):
        os.unlink(f"{path}/{name}")
    os.mkdir(f"{path}/child")
    assert group.remove() and not os.path.exists(path)
    assert group.remove()


def test_group_in_use_stays(tree):
    assert not cgroup.Group(tree.group("/a/rl-1")).remove(wait_s=0)
