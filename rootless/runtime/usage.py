"""What a container uses: from its control group, and from /proc what the group does not count.

cgroup-v2.rst (cpu.stat, memory.current, memory.stat, io.stat, pids.current) · proc(5) (stat, io,
smaps_rollup, net/dev).  A group counts what has ended too; /proc, only what lives and what its
living ancestors have waited for.
"""

import os
import time

from rootless.linux import pidtree, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.linux.pidtree import Process
    from rootless.store.containers import Container


class Usage:
    """One look.  Times in nanoseconds, sizes in bytes, counted since the container's start.

    source      "cgroup"; "proc" where any of the figures had to come from there
    limit       most memory; the machine's where there is no limit
    pressure    "cpu", "memory", "io" -> percent of the last 10 s in which something waited for it
    processes   with their threads, as the kernel counts for --pids-limit
    """

    __slots__ = (
        "cpu_ns", "limit", "memory", "pressure", "processes", "read", "received", "sent", "source",
        "when_ns", "written",
    )  # fmt: skip

    def __init__(self) -> None:
        self.when_ns = time.monotonic_ns()
        self.source = "cgroup"
        self.cpu_ns = self.memory = self.processes = 0
        self.read = self.written = self.received = self.sent = 0
        self.pressure: dict[str, float] = {}
        self.limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def measure(container: "Container") -> Usage | None:
    """What a running container uses now; None when it does not run."""
    init = int(container.state.get("pid", 0)) if container.running else 0
    if init <= 0:
        return None
    found = Usage()
    group = str((container.state.get("cgroup") or {}).get("path", ""))
    lacking = _from_group(found, group) if group else {"cpu", "memory", "io", "pids"}
    if lacking:
        processes = pidtree.members(init)
        if not processes:
            return None
        found.source = "proc"
        _from_processes(found, processes, lacking)
    if int(container.state.get("namespaces", 0)) & syscalls.CLONE_NEWNET:
        found.received, found.sent = _network(init)
    return found


def _from_group(found: Usage, group: str) -> set[str]:
    """Fill in what the group counts; the names of what it does not (a controller is not its)."""
    lacking = set()
    cpu = _table(f"{group}/cpu.stat")
    if "usage_usec" in cpu:
        found.cpu_ns = cpu["usage_usec"] * 1000
    else:
        lacking.add("cpu")
    memory = _number(f"{group}/memory.current")
    if memory is None:
        lacking.add("memory")
    else:
        # As Docker: the page cache that can go at once is not use.
        found.memory = max(0, memory - _table(f"{group}/memory.stat").get("inactive_file", 0))
        limit = _number(f"{group}/memory.max")
        found.limit = found.limit if limit is None else min(limit, found.limit)
    pids = _number(f"{group}/pids.current")
    if pids is None:
        lacking.add("pids")
    else:
        found.processes = pids
    io = _text(f"{group}/io.stat")
    if io is None:
        lacking.add("io")
    else:
        for word in io.split():
            key, _, value = word.partition("=")
            if key == "rbytes":
                found.read += int(value)
            elif key == "wbytes":
                found.written += int(value)
    found.pressure = pressure(group)
    return lacking


def pressure(group: str) -> dict[str, float]:
    """What waited for "cpu", "memory" and "io"; {} where the kernel does not say (PSI)."""
    found = {}
    for name in ("cpu", "memory", "io"):
        for word in (_text(f"{group}/{name}.pressure") or "").split("\n")[0].split():
            key, _, value = word.partition("=")
            if key == "avg10":
                found[name] = float(value)
    return found


def memory_of(init: int) -> int:
    """The memory of a container's processes, in bytes: the sum of their PSS."""
    return sum(map(_proportional, pidtree.members(init)))


def _from_processes(found: Usage, processes: "list[Process]", wanted: set[str]) -> None:
    for one in processes:
        if "cpu" in wanted:
            found.cpu_ns += (one.ticks + one.child_ticks) * (10**9 // pidtree.TICKS)
        if "memory" in wanted:
            found.memory += _proportional(one)
        if "pids" in wanted:
            found.processes += one.threads if one.state not in ("Z", "X") else 0
        if "io" in wanted:
            counts = _table(f"/proc/{one.pid}/io")
            found.read += counts.get("read_bytes:", 0)
            found.written += counts.get("write_bytes:", 0)


def _proportional(one: "Process") -> int:
    """PSS: what processes share is counted once in their sum; else the resident size."""
    for line in (_text(f"/proc/{one.pid}/smaps_rollup") or "").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    return one.resident


def _network(init: int) -> tuple[int, int]:
    """Bytes received and sent by the interfaces of the container, without lo."""
    received = sent = 0
    for line in (_text(f"/proc/{init}/net/dev") or "").splitlines()[2:]:
        name, _, counts = line.partition(":")
        fields = counts.split()
        if name.strip() != "lo" and len(fields) > 8:
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent


def _text(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


def _number(path: str) -> int | None:
    """A file with one number; None for none and for "max"."""
    text = (_text(path) or "").strip()
    return int(text) if text.isdecimal() else None


def _table(path: str) -> dict[str, int]:
    rows = (line.split() for line in (_text(path) or "").splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}
