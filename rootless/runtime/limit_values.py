"""The values of resource flags, as docker reads them, turned into those of cgroup v2.  Pure."""

import os

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PERIOD_US = 100_000  # CPU time is handed out per 100 ms, as the kernel and Docker do by default
BLOCK_NAMES = (
    "blkio_weight", "blkio_weight_device", "device_read_bps", "device_write_bps",
    "device_read_iops", "device_write_iops",
)  # fmt: skip
MEMORY_LEAST = 6 << 20  # Docker's; below, no program starts


def flag(name: str) -> str:
    """The command line's name of a resource."""
    return "--" + name.replace("_", "-")


def size_in_bytes(text: "str | int", name: str) -> int:
    """Docker's sizes: 512m, 1.5g, 100kb, 4096, with units of 1024; -1 stays -1."""
    if isinstance(text, int):
        return text
    lower = text.strip().lower()
    if lower == "-1":
        return -1
    body = lower[:-2] if lower.endswith("ib") else lower[:-1] if lower.endswith("b") else lower
    factor = 1
    if body[-1:] in ("k", "m", "g", "t", "p"):
        factor = 1 << (10 * ("kmgtp".index(body[-1]) + 1))
        body = body[:-1]
    whole, _, part = body.strip().partition(".")
    if not (whole + part).isdecimal() or not (whole + part).isascii():
        raise UsageError(
            f"{flag(name)}: {text!r} is not a size", remedy="write it like 512m, 2g or 104857600"
        )
    return int(float(body) * factor) if part else int(whole) * factor


def cgroup_settings(resources: "Mapping[str, object]") -> dict[str, str]:
    """cgroup v2 file -> value for what was asked for; {} when nothing was.

    Source: cgroup-v2.rst; the meaning of the values is `docker run`'s.  Raises UsageError.
    """
    settings: dict[str, str] = {}
    memory = given(resources, "memory")
    limit = -1 if memory is None else size_in_bytes(memory, "memory")
    if limit > 0:
        if limit < MEMORY_LEAST:
            raise UsageError("--memory: at least 6m is needed for a program to start")
        settings["memory.max"] = str(limit)
        settings["memory.swap.max"] = _swap(given(resources, "memory_swap"), limit)
    elif size_in_bytes(given(resources, "memory_swap") or -1, "memory_swap") > 0:
        raise UsageError("--memory-swap needs --memory: it is the sum of memory and swap")
    reservation = given(resources, "memory_reservation")
    if reservation is not None:
        least = size_in_bytes(reservation, "memory_reservation")
        if 0 < limit < least:
            raise UsageError("--memory-reservation is more than --memory: it is a part of it")
        settings["memory.low"] = str(least)
    settings.update(_cpu(resources))
    pids = given(resources, "pids_limit")
    if pids is not None:
        settings["pids.max"] = str(_whole(pids, "pids_limit"))
    if any(resources.get(name) for name in BLOCK_NAMES):
        from rootless.runtime import limit_devices

        settings.update(limit_devices.settings(resources))
    conf = resources.get("cgroup_conf")
    if isinstance(conf, dict):
        settings.update(conf)
    return settings


def _cpu(resources: "Mapping[str, object]") -> dict[str, str]:
    settings: dict[str, str] = {}
    cpus = given(resources, "cpus")
    quota, period = given(resources, "cpu_quota"), given(resources, "cpu_period")
    if cpus is not None:
        settings["cpu.max"] = f"{round(_cpus(cpus) * PERIOD_US)} {PERIOD_US}"
    elif quota is not None or period is not None:
        settings["cpu.max"] = f"{quota or 'max'} {period or PERIOD_US}"
    shares = given(resources, "cpu_shares")
    if shares is not None:
        settings["cpu.weight"] = str(weight_of_shares(_whole(shares, "cpu_shares")))
    cpuset = given(resources, "cpuset_cpus")
    if cpuset is not None:
        settings["cpuset.cpus"] = str(cpuset)
        allowed_cpus(str(cpuset))
    nodes = given(resources, "cpuset_mems")
    if nodes is not None:
        settings["cpuset.mems"] = str(nodes)
    return settings


def weight_of_shares(shares: int) -> int:
    """cpu.weight, 1 to 10000, of Docker's --cpu-shares, 2 to 262144, as runc has it."""
    return 1 + (min(262144, max(2, shares)) - 2) * 9999 // 262142


def given(resources: "Mapping[str, object]", name: str) -> "str | int | None":
    """What was asked for; None for nothing and for the values that mean unlimited."""
    value = resources.get(name)
    if value is None or value in ("", {}):
        return None
    if not name.startswith("cpuset_") and value in (0, "0"):  # CPU 0 is a CPU
        return None
    if name in ("pids_limit", "cpu_quota") and str(value).startswith("-"):
        return None
    return value if isinstance(value, int) else str(value)


def _swap(text: "str | int | None", memory: int) -> str:
    """memory.swap.max: --memory-swap counts memory and swap; unset it is twice --memory."""
    if text is None:
        return str(memory)
    total = size_in_bytes(text, "memory_swap")
    if total == -1:
        return "max"
    if total < memory:
        raise UsageError("--memory-swap must be at least --memory: it is memory plus swap")
    return str(total - memory)


def _cpus(text: "str | int") -> float:
    available = os.cpu_count() or 1
    try:
        cpus = float(text)
    except ValueError:
        raise UsageError(f"--cpus: {text!r} is not a number") from None
    if not 0.01 <= cpus <= available:
        raise UsageError(
            f"--cpus: {text} is out of range: this host has {available} CPUs, "
            f"so 0.01 to {available} can be given"
        )
    return cpus


def _whole(text: "str | int", name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{flag(name)}: {text!r} is not a whole number") from None


def allowed_cpus(text: str) -> list[int]:
    """The CPUs of --cpuset-cpus, all of which must exist."""
    from rootless.runtime.scope import cpu_list

    try:
        cpus = cpu_list(text)
    except ValueError:
        raise UsageError(
            f"--cpuset-cpus: {text!r} is not a list of CPUs", remedy="write it like 0-2,5"
        ) from None
    missing = [cpu for cpu in cpus if cpu >= (os.cpu_count() or 1)]
    if missing:
        raise UsageError(f"--cpuset-cpus: this host has no CPU {missing[0]}")
    return cpus
