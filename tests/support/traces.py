"""What a container leaves on the host: processes, mounts, directories.  Read from /proc."""

import os
import subprocess
import time
from collections.abc import Callable

MARKER = "RL_TEST_WORKER"  # in the environment of every rl that the tests start
# How many times longer than usual to wait: an emulated machine is slow (scripts/lab).
PATIENCE = float(os.environ.get("RL_TEST_PATIENCE", "1"))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""  # the process has ended, or belongs to somebody else


def processes(worker: str, root: str) -> dict[int, str]:
    """PID and command line of each process that rl has started for this worker.

    Found by the marker in its environment (rl, the supervisor, helpers), or by the worker's
    directory `root` among its mounts (the container's own processes) or arguments.
    """
    found = {}
    marker = f"{MARKER}={worker}".encode()
    inside = (root + "/").encode()
    ours = _read("/proc/self/mountinfo")
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        proc = f"/proc/{entry}"
        arguments = _read(f"{proc}/cmdline")
        if b"pytest" in arguments or b"execnet" in arguments or b"docker-registry" in arguments:
            continue
        mounts = _read(f"{proc}/mountinfo")
        if (
            marker in _read(f"{proc}/environ").split(b"\0")
            or inside in arguments
            or (mounts != ours and inside in mounts)
        ):
            state = _read(f"{proc}/stat").rpartition(b")")[2].split()
            if state and state[0] not in (b"Z", b"X"):
                found[int(entry)] = arguments.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def mounts(root: str) -> list[str]:
    """Mount points below `root` in the mount namespace of the tests."""
    lines = _read("/proc/self/mountinfo").decode(errors="replace").splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(root + "/")]


def entries(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except FileNotFoundError:
        return set()


def wait_until(condition: Callable[[], object], timeout_s: float = 10, what: str = "") -> object:
    """Wait until `condition()` is true and return its value."""
    timeout_s *= PATIENCE
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what or condition!r}")
        time.sleep(0.02)


def leftovers(worker: str, root: str, store: str, before: dict[str, set[str]]) -> list[str]:
    """Sentences about what is there now and was not `before` (see `snapshot`)."""
    found = [f"process {pid}: {line}" for pid, line in processes(worker, root).items()]
    found += [f"mount {path}" for path in mounts(root)]
    for directory, names in snapshot(root, store).items():
        found += [f"{directory}/{name}" for name in sorted(names - before.get(directory, set()))]
    return found


def snapshot(root: str, store: str) -> dict[str, set[str]]:
    """The entries of the directories that a container comes and goes in."""
    places = [f"{store}/{name}" for name in ("containers", "containers/by-name", "tmp")]
    places += [f"{root}/run/rl", f"{root}/tmp"]
    return {place: entries(place) for place in places}


def size_of(directory: str) -> int:
    """Bytes that files below `directory` take on the disk, whoever owns them: du(1) counts."""
    command = ["unshare", "--user", "--map-auto", "--map-root-user", "du", "-s", "-B1", directory]
    return int(subprocess.run(command, capture_output=True, text=True).stdout.split()[0])
