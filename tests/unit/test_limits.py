"""Limits: the values written, the ladder's order, and what is said when no rung holds them."""

import json
import os
import socket
import sys
import threading

import pytest

from rootless.context import Context
from rootless.errors import LimitError, UsageError
from rootless.linux import cgroup, process
from rootless.paths import Paths
from rootless.runtime import limit_groups, limit_values, limits, scope, usage
from rootless.runtime.limit_best_effort import nice_of_weight

V2 = "25 23 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
ID = "0123456789abcdef" * 4


def context(environ=None):
    return Context(
        paths=Paths("/nowhere/store", "/nowhere/run"),
        uid=os.getuid(),
        gid=os.getgid(),
        home="/nowhere",
        environ=environ or {},
        config={},
        debug=False,
    )


def host(tmp_path, mountinfo=V2, own="/job", controllers="cpu cpuset memory pids", **files):
    """A made-up host with our own group delegated to us."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(mountinfo)
    (tmp_path / "proc/self/cgroup").write_text(f"0::{own}\n")
    group = tmp_path / "sys/fs/cgroup" / own.lstrip("/")
    group.mkdir(parents=True)
    for name, text in {
        "cgroup.controllers": controllers,
        "cgroup.subtree_control": controllers,
        "cgroup.procs": "",
        **files,
    }.items():
        (group / name).write_text(text)
    return group


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 512 << 20), ("1.5g", 3 << 29), ("100kb", 102400), ("2GiB", 2 << 30), ("4096", 4096),
     ("10B", 10), ("-1", -1), (77, 77)],
)  # fmt: skip
def test_sizes_are_dockers(text, size):
    assert limit_values.size_in_bytes(text, "memory") == size


@pytest.mark.parametrize(("weight", "level"), [(100, 0), (1000, 0), (39, 5), (80, 1), (1, 19)])
def test_nice_levels_of_weights(weight, level):
    assert nice_of_weight(weight) == level


@pytest.mark.parametrize("text", ["", "m", "12x", "1..5g", "-5m", "1e9", "٣m"])
def test_senseless_sizes(text):
    with pytest.raises(UsageError, match="--memory: "):
        limit_values.size_in_bytes(text, "memory")


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ({"memory": "64m"}, {"memory.max": str(64 << 20), "memory.swap.max": str(64 << 20)}),
        (
            {"memory": "64m", "memory_swap": "100m"},
            {"memory.max": str(64 << 20), "memory.swap.max": str(36 << 20)},
        ),
        (
            {"memory": "64m", "memory_swap": "64m"},
            {"memory.max": str(64 << 20), "memory.swap.max": "0"},
        ),
        (
            {"memory": "64m", "memory_swap": "-1"},
            {"memory.max": str(64 << 20), "memory.swap.max": "max"},
        ),
        ({"cpus": "0.5"}, {"cpu.max": "50000 100000"}),
        ({"cpuset_cpus": "0"}, {"cpuset.cpus": "0"}),
        ({"pids_limit": 20}, {"pids.max": "20"}),
        ({"pids_limit": -1}, {}),
        ({"pids_limit": 0, "memory": "", "cpus": None}, {}),
        ({"memory_swap": "-1"}, {}),
        ({"memory_reservation": 1 << 20}, {"memory.low": str(1 << 20)}),
        ({"cpu_quota": 20000}, {"cpu.max": "20000 100000"}),
        ({"cpu_quota": 20000, "cpu_period": 50000}, {"cpu.max": "20000 50000"}),
        ({"cpu_quota": -1, "cpu_period": 50000}, {"cpu.max": "max 50000"}),
        ({"cpu_shares": 1024}, {"cpu.weight": "39"}),
        ({"cpu_shares": 2}, {"cpu.weight": "1"}),
        ({"cpu_shares": 262144}, {"cpu.weight": "10000"}),
        ({"cpuset_mems": "0-1"}, {"cpuset.mems": "0-1"}),
        ({"blkio_weight": 100}, {"io.weight": "100"}),
        ({"cgroup_conf": {"memory.high": "5"}}, {"memory.high": "5"}),
    ],
)
def test_cgroup_values(asked, written):
    assert limit_values.cgroup_settings(asked) == written


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"memory": "1m"}, "at least 6m"),
        ({"memory_swap": "1g"}, "needs --memory"),
        ({"memory": "1g", "memory_swap": "1m"}, "at least --memory"),
        ({"cpus": "9999"}, "out of range"),
        ({"cpus": "x"}, "not a number"),
        ({"cpuset_cpus": "0-"}, "not a list"),
        ({"cpuset_cpus": "9999"}, "no CPU 9999"),
        ({"pids_limit": "many"}, "whole number"),
    ],
)
def test_senseless_limits(asked, message):
    with pytest.raises(UsageError, match=message):
        limit_values.cgroup_settings(asked)


def test_nothing_asked_costs_nothing(monkeypatch):
    monkeypatch.setattr(cgroup, "hierarchy", None)
    assert limits.prepare(context(), ID, {}) is None
    assert limits.prepare(context(), ID, {"memory": None, "pids_limit": 0}) is None


def test_delegated_group_gets_the_limits(tmp_path):
    group = host(tmp_path)
    # The kernel makes these with the directory.
    made = group / "rl-0123456789ab"
    original = os.mkdir

    def mkdir(path, mode=0o777):
        original(path, mode)
        for name in ("pids.max", "memory.max", "memory.swap.max", "cgroup.procs"):
            open(f"{path}/{name}", "w").close()

    os.mkdir = mkdir
    try:
        got = limits.prepare(context(), ID, {"memory": "64m", "pids_limit": 5}, root=str(tmp_path))
    finally:
        os.mkdir = original
    inner = made / "container"
    assert got is not None and got.path == str(inner)
    # Not mounted with nsdelegate: the group around it has the limits, too.
    for one in (made, inner):
        assert (one / "memory.max").read_text() == str(64 << 20)
        assert (one / "pids.max").read_text() == "5"
    got.enter(4711)
    assert (inner / "cgroup.procs").read_text() == "4711"
    again = limit_groups.from_dict(json.loads(json.dumps(got.to_dict())))
    assert (again.kind, again.path) == ("cgroupfs", str(inner))
    (inner / "memory.events").write_text("oom_kill 3\n")
    (inner / "memory.peak").write_text(f"{63 << 20}\n")
    assert again.oom_killed()
    assert again.end_message() == ("killed: over its memory limit of 64 MiB, peak 63 MiB; raise -m")


def test_group_that_refuses_a_value_leaves_nothing(tmp_path):
    group = host(tmp_path)
    # A plain directory has no memory.max to open, as a group without its controller.
    with pytest.raises(limits.NotDelegated, match=r"memory\.max cannot be set"):
        limits.prepare(context(), ID, {"memory": "64m"}, root=str(tmp_path))
    assert not (group / "rl-0123456789ab").exists()


def test_missing_controller_is_named(tmp_path):
    host(tmp_path, controllers="memory pids")
    with pytest.raises(limits.NotDelegated) as caught:
        limits.prepare(context(), ID, {"cpus": "0.5", "pids_limit": 5}, root=str(tmp_path))
    error = caught.value
    assert error.code == "RL-LIMIT-NOT-DELEGATED"
    assert "--cpus and --pids-limit cannot be enforced here" in error.what
    assert "without the controllers cpu" in error.what
    assert error.remedy is not None and "--limits=best-effort" in error.remedy
    assert "Delegate=cpu cpuset io memory pids" in error.admin


def test_cgroup_v1_host_is_told_to_boot_v2(tmp_path):
    host(tmp_path, "30 23 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
    with pytest.raises(limits.NotDelegated) as caught:
        limits.prepare(context(), ID, {"memory": "64m"}, root=str(tmp_path))
    assert "cgroup v1" in caught.value.what
    assert "systemd.unified_cgroup_hierarchy=1" in (caught.value.remedy or "")


def test_best_effort_says_what_it_does_instead(tmp_path):
    host(tmp_path, "")
    got = limits.prepare(
        context(), ID,
        {"memory": "64m", "pids_limit": 50, "cpus": "0.5", "cpuset_cpus": "0"},
        "best-effort", root=str(tmp_path),
    )  # fmt: skip
    assert got is not None and got.path == ""
    text = "\n".join(got.notes)
    for word in ("RLIMIT_DATA", "PSS", "RLIMIT_NPROC", "affinity", "fractions"):
        assert word in text
    assert got.remove()
    again = limit_groups.from_dict(json.loads(json.dumps(got.to_dict())))
    assert again.notes == got.notes


def test_best_effort_limits_a_real_process(tmp_path):
    host(tmp_path, "")
    got = limits.prepare(
        context(), ID, {"memory": "64m", "cpuset_cpus": "0"}, "best-effort", root=str(tmp_path)
    )
    assert got is not None
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.read(go[0], 1)
            try:
                bytearray(100 << 20)
            except MemoryError:
                status = 10 if os.sched_getaffinity(0) == {0} else 2
        finally:
            os._exit(status)
    got.enter(pid)
    os.write(go[1], b"g")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 10
    for fd in (*ready, *go):
        os.close(fd)


def test_scope_properties_are_what_counts_among_siblings():
    assert scope.properties({"memory.max": "1000", "cpu.weight": "7"}, "batch.slice") == [
        ("Slice", ("s", "batch.slice")),
        ("CPUWeight", ("t", 7)),
    ]


class SystemdOnBus(threading.Thread):
    """A bus with a systemd user manager on it, as far as rl asks; it records what was asked."""

    def __init__(self, path, control_group, result="done"):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.control_group, self.result = control_group, result
        self.asked = []

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                self.serve(connection)

    def serve(self, connection):
        from jeepney import Parser

        data = b""
        while b"BEGIN\r\n" not in data:
            chunk = connection.recv(4096)
            if not chunk:
                return
            data += chunk
            if b"AUTH" in chunk:
                connection.sendall(b"OK 1234deadbeef1234deadbeef1234dead\r\n")
        parser = Parser()
        parser.add_data(data.partition(b"BEGIN\r\n")[2])
        serial = 0
        while True:
            message = parser.get_next_message()
            if message is None:
                chunk = connection.recv(65536)
                if not chunk:
                    return
                parser.add_data(chunk)
                continue
            for answer in self.answers(message):
                serial += 1
                connection.sendall(answer.serialise(serial=serial))

    def answers(self, message):
        from jeepney import DBusAddress, HeaderFields, new_method_return, new_signal

        member = message.header.fields[HeaderFields.member]
        self.asked.append((member, message.body))
        if member == "Hello":
            return [new_method_return(message, "s", (":1.7",))]
        if member == "Get":
            return [new_method_return(message, "v", (("s", self.control_group),))]
        if member != "StartTransientUnit":
            return [new_method_return(message)]
        emitter = DBusAddress(scope.MANAGER[0], interface="org.freedesktop.systemd1.Manager")
        unit = message.body[0]
        jobs = [("/job/6", "other.service", "done"), ("/job/7", unit, self.result)]
        return [
            *(
                new_signal(emitter, "JobRemoved", "uoss", (number, *job))
                for number, job in enumerate(jobs)
            ),
            new_method_return(message, "o", ("/job/7",)),
        ]


@pytest.fixture
def systemd(tmp_path):
    """Start SystemdOnBus for the made-up host below tmp_path."""
    started = []

    def start(controllers="memory pids", result="done"):
        bus = f"{tmp_path}/bus"
        service = "/user.slice/user@1000.service"
        group = tmp_path / f"sys/fs/cgroup{service}"
        group.mkdir(parents=True)
        (group / "cgroup.controllers").write_text(controllers)
        manager = SystemdOnBus(bus, service, result)
        manager.start()
        started.append(manager)
        return manager, context({"DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus}"})

    yield start
    for manager in started:
        manager.listener.close()


def test_scope_that_systemd_cannot_start(tmp_path, systemd):
    host(tmp_path)
    _, ctx = systemd(result="failed")
    got = limits.prepare(ctx, ID, {"pids_limit": 9}, root=str(tmp_path))
    with pytest.raises(LimitError, match=r"could not start rl-0123456789ab\.scope: failed"):
        got.enter(4711)


def test_scope_that_came_without_the_controller(tmp_path, systemd, monkeypatch):
    host(tmp_path)
    _, ctx = systemd()
    monkeypatch.setattr(scope, "scope_of", lambda pid: "/other")
    got = limits.prepare(ctx, ID, {"pids_limit": 9}, root=str(tmp_path))
    with pytest.raises(LimitError, match="without the controllers pids"):
        got.enter(4711)


def test_systemd_without_the_controller_gives_way_to_the_next_rung(tmp_path, systemd):
    host(tmp_path, controllers="memory pids")
    _, ctx = systemd(controllers="memory pids")
    with pytest.raises(limits.NotDelegated, match="systemd gives its users no controller cpu"):
        limits.prepare(ctx, ID, {"cpus": "0.5"}, root=str(tmp_path))


def test_dead_bus_is_a_reason_not_a_crash(tmp_path):
    host(tmp_path, "")
    where = cgroup.Hierarchy("/sys/fs/cgroup", "", frozenset())
    ctx = context({"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/gone"})
    assert "does not answer" in limits.scope_controllers(ctx, where)
    ctx = context({"DBUS_SESSION_BUS_ADDRESS": "tcp:host=x"})
    assert "does not answer" in limits.scope_controllers(ctx, where)


def test_refusing_bus_is_a_reason(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{tmp_path}/bus")
    listener.listen()

    def refuse():
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"REJECTED EXTERNAL\r\n")

    threading.Thread(target=refuse, daemon=True).start()
    where = cgroup.Hierarchy("/sys/fs/cgroup", "", frozenset())
    ctx = context({"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/bus"})
    assert "does not answer" in limits.scope_controllers(ctx, where)
    listener.close()


def test_supervisor_without_site_packages_finds_jeepney():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from rootless.runtime import scope; "
        "scope.find_jeepney(); import jeepney"
    )
    status, said = process.Spawned(
        [sys.executable, "-I", "-S", "-c", code, root], os.environ
    ).finish()
    assert status == 0, said


def test_cpu_lists():
    assert scope.cpu_list("0-2,5") == [0, 1, 2, 5]


def test_pressure_is_read_where_the_kernel_counts_it(tmp_path):
    for name, part in (("cpu", "1.50"), ("memory", "0.00"), ("io", "12.34")):
        (tmp_path / f"{name}.pressure").write_text(
            f"some avg10={part} avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 total=0\n"
        )
    assert usage.pressure(str(tmp_path)) == {"cpu": 1.5, "memory": 0.0, "io": 12.34}
    assert usage.pressure(f"{tmp_path}/none") == {}


def test_controller_that_the_kernel_lacks_is_named_as_such(tmp_path):
    group = host(tmp_path, controllers="memory")
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("memory pids\n")
    del group
    with pytest.raises(limits.NotDelegated) as caught:
        limits.prepare(context(), ID, {"cpuset_mems": "0"}, root=str(tmp_path))
    assert caught.value.what == (
        "--cpuset-mems cannot be enforced here: this kernel has no controller cpuset"
    )
