"""commit, snapshot and rollback, killed or with a full disk at any of their steps.

The container is as it was or as it should be, running or not.  RL_TEST_FULL=1 takes every step.
"""

import os
import random
from collections.abc import Callable, Iterator

import pytest
from support import faults, traces
from support.program import Rl

FULL = bool(os.environ.get("RL_TEST_FULL"))
STEPS = 5  # of each command, where not all are taken
MAKE = (
    "echo one >/root/f; chown 33:44 /root/f; rm /etc/group; mkdir -m 711 /srv; "
    "head -c 300000 /dev/urandom >/root/big; md5sum /root/big >/root/sum; echo >/made; "
)
LATER = "rm /root/big; echo two >/root/g; echo two >/root/f; chmod 700 /srv"
# Of the first and of the later content: what is in it must be whole.
FIRST = "one:33:711:/root/big: OK"
SECOND = "two:33:700:two"
LOOK = (
    "echo $(cat /root/f):$(stat -c %u /root/f):$(stat -c %a /srv):"
    "$(if [ -e /root/g ]; then cat /root/g; else md5sum -c /root/sum; fi)"
)


class Box:
    """A container with the first content, as the snapshot `one`, and the later one."""

    def __init__(self, rl: Rl, *, running: bool) -> None:
        self.rl, self.running = rl, running
        do = "[ -e /go ] && . /go; "
        if running:
            do = "trap exit TERM; while :; do sleep 0.01; done"
        self.name = rl.start("-v", "/vol", command=f"[ -e /made ] || {{ {MAKE}}}; {do}")
        if running:
            made = ("exec", self.name, "test", "-e", "/made")
            traces.wait_until(lambda: rl.run(*made, check=False).returncode == 0)
        else:
            rl.run("wait", self.name)
        rl.run("snapshot", self.name, "one")
        self.change()

    def _inside(self, script: str) -> str:
        """What a script says in the container, which stays as it was, running or stopped."""
        if self.running:
            return self.rl.out("exec", self.name, "sh", "-c", script)
        path = f"{self.rl.root}/tmp/go"
        with open(path, "w") as file:
            file.write(script)
        self.rl.run("cp", "-q", path, f"{self.name}:/go")
        os.unlink(path)
        return self.rl.out("start", "-a", self.name)

    def change(self) -> None:
        """Give it the later content."""
        self._inside(LATER)

    def check(self, *allowed: str) -> str:
        """The content is one of those, seen from outside too; and the store is tidy."""
        # It waits for who lets the container go on, or does that itself: he is killed too.
        shown = sorted(self.rl.out("diff", self.name).splitlines())
        said = self._inside(f"ls /proc/self/exe /vol /dev/null >/dev/null && {LOOK}")
        assert said in allowed, said
        assert ("A /root/g" in shown) == (said == SECOND), shown
        assert "D /etc/group" in shown and not [one for one in shown if "new" in one]
        return said


@pytest.fixture
def own_rl(fresh_store: Callable[..., Rl]) -> Iterator[Rl]:
    rl = fresh_store(busybox=True)
    yield rl
    rl.remove_containers()
    rl.run("run", "--rm", "--network", "none", "busybox", "true")  # sweeps what was cut off
    rl.run("image", "prune", "-f")
    assert not os.listdir(f"{rl.store}/tmp")
    assert traces.entries(f"{rl.store}/frozen") <= {".lock"}


def some(points: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """`count` of the points, others each time; or all."""
    return points if FULL else random.sample(points, min(count, len(points)))


@pytest.mark.needs("strace")
@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("command", ["snapshot", "rollback", "commit", "fork"])
def test_a_kill(own_rl: Rl, command: str, running: bool) -> None:
    rl = own_rl
    box = Box(rl, running=running)
    words = [command, box.name] + ["one"] * (command == "rollback")
    points = faults.points(rl, *words)
    assert len(points) > STEPS
    states = set()
    for point in some(points, STEPS):
        faults.killed_at(rl, point, *words)
        states.add(box.check(*(FIRST, SECOND) if command == "rollback" else (SECOND,)))
        box.change()
    rl.run("rollback", box.name, "one")
    assert box.check(FIRST, SECOND) == FIRST
    assert not FULL or command != "rollback" or states == {FIRST, SECOND}


@pytest.mark.needs("strace")
@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
@pytest.mark.parametrize("command", ["snapshot", "rollback", "commit"])
def test_a_disk_that_is_full_at_a_step(own_rl: Rl, command: str, running: bool) -> None:
    rl = own_rl
    box = Box(rl, running=running)
    words = [command, box.name] + ["one"] * (command == "rollback")
    names = ("rename", "mkdir", "move_mount", "pivot_root")
    points = [point for point in faults.points(rl, *words) if point[0] in names]
    for point in some(points, STEPS // 2):
        faults.failing_at(rl, point, "ENOSPC", *words)
        box.check(*(FIRST, SECOND) if command == "rollback" else (SECOND,))
        box.change()
        assert not rl.inspect(box.name)["State"]["Paused"]


def fill(place: str, left: int) -> None:
    """Fill the file system, but for `left` pages."""
    with open(f"{place}/filler", "wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass
        end = file.seek(0, 1) - left * 4096
        file.truncate(max(end, 0))


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_a_full_disk_at_any_moment(small_rl: tuple[Rl, str], running: bool) -> None:
    """Every page that the disk still has is one step more that a command comes to."""
    rl, place = small_rl
    box = Box(rl, running=running)
    for words in (["snapshot", box.name], ["rollback", box.name, "one"], ["commit", box.name],
                  ["fork", box.name], ["cp", f"{box.name}:/root", f"{place}/out"],
                  ["cp", __file__, f"{box.name}:/root/g"]):  # fmt: skip
        for left in (0, 1, 2, 3, 5, 9, 40) if FULL else (random.choice((0, 1, 2, 3, 5, 9)),):
            fill(place, left)
            done = rl.run(*words, check=False)
            said = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
            assert done.returncode == 0 or len(said) == 1, done.stderr
            os.unlink(f"{place}/filler")
            if words[0] == "cp":
                box.change()
            box.check(*(FIRST, SECOND) if words[0] == "rollback" else (SECOND,))
            box.change()


@pytest.mark.needs("strace")
def test_a_restart_after_a_kill(own_rl: Rl) -> None:
    """Killed when it has a new root and the store does not say so yet, and started by a policy."""
    rl = own_rl
    script = "echo x >>/root/f; while :; do sleep 0.01; done"
    name = rl.start("--restart", "always", command=script)

    def look(count: int) -> None:
        traces.wait_until(lambda: rl.run("exec", name, "cat", "/root/f", check=False).stdout
                          == "x\n" * count, what=f"{count} lines")  # fmt: skip

    look(1)
    rl.run("snapshot", name)
    points = faults.points(rl, "snapshot", name)
    renames = [point for point in points if point[0] == "rename"]
    for count, point in enumerate(some(renames, 2), 2):
        faults.killed_at(rl, point, "snapshot", name)
        rl.run("diff", name)  # as check()
        assert not rl.inspect(name)["State"]["Paused"]
        os.kill(rl.inspect(name)["State"]["Pid"], 9)
        look(count)
    rl.run("rm", "-f", name)
