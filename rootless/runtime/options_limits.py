"""--ulimit, --sysctl, --memory, --cpus and the other numbers."""

from rootless.errors import UsageError
from rootless.linux import rlimit
from rootless.runtime.options_text import closest, number, parse_size, text, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb", "misc", "rdma")
MEMORY_MIN = 6 << 20  # Docker's: less does not start anything

_KERNEL_SYSCTLS = (
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
)
_UTS_SYSCTLS = ("kernel.domainname", "kernel.hostname")


def parse_ulimits(specs: list[str]) -> "list[dict[str, Any]]":
    """[{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}, ...]; -1 is no limit."""
    found: dict[str, dict[str, Any]] = {}
    for spec in specs:
        name, equals, limits = spec.partition("=")
        form = "write NAME=SOFT[:HARD], as nofile=1024:4096"
        if not equals or not limits:
            raise UsageError(f"invalid ulimit argument: {spec}", remedy=form)
        if name not in rlimit.NUMBERS:
            raise UsageError(
                f"invalid ulimit type: {name}",
                remedy=closest(name, rlimit.NUMBERS) or f"one of {', '.join(rlimit.NUMBERS)}",
            )
        soft_text, colon, hard_text = limits.partition(":")
        soft = _limit(soft_text, spec, form)
        hard = _limit(hard_text, spec, form) if colon else soft
        if not rlimit.within(soft, hard):
            raise UsageError(
                f"ulimit soft limit must be less than or equal to hard limit: {spec}",
                remedy="swap them, or raise the second",
            )
        found[name] = {"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard}
    return list(found.values())


def check_ulimits(ulimits: "list[dict[str, Any]]", host: "dict[str, tuple[int, int]]") -> None:
    """Refuse what is above the caller's own hard limits: raising those takes host root."""
    for limit in ulimits:
        name = limit["type"].removeprefix("RLIMIT_").lower()
        ceiling = host.get(name, (rlimit.UNLIMITED, rlimit.UNLIMITED))[1]
        if not rlimit.within(limit["hard"], ceiling):
            wanted = "unlimited" if limit["hard"] == rlimit.UNLIMITED else limit["hard"]
            raise UsageError(
                f"cannot set --ulimit {name} to {wanted}: your own hard limit is {ceiling}",
                remedy=f"ask for at most {ceiling}, or ask the admin to raise {name} for you in "
                "/etc/security/limits.conf",
                code="RL-ULIMIT",
            )


def _limit(text: str, spec: str, form: str) -> int:
    if text in ("-1", "unlimited"):
        return rlimit.UNLIMITED
    if not text.isascii() or not text.isdecimal() or int(text) >= 1 << 63:
        raise UsageError(f"invalid ulimit argument: {spec}", remedy=form)
    return int(text)


def parse_sysctls(specs: list[str]) -> dict[str, str]:
    """The sysctls of the container's own namespaces.  Raises UsageError for the host's."""
    found = {}
    for spec in specs:
        name, equals, value = spec.partition("=")
        if not equals or not name:
            raise UsageError(f"invalid sysctl '{spec}'", remedy="write NAME=VALUE")
        if any(c.isspace() or c == "\0" for c in name) or ".." in name or "\0" in value:
            raise UsageError(f"invalid sysctl name '{name}'", remedy="as net.core.somaxconn=512")
        if "/" in name and "." not in name:
            name = name.replace("/", ".")
        if not (name.startswith(("net.", "fs.mqueue.")) or name in _KERNEL_SYSCTLS + _UTS_SYSCTLS):
            raise UsageError(
                f"sysctl '{name}' is not allowed: it belongs to the whole host, not to a container",
                remedy="net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem are allowed",
                code="RL-NEEDS-ROOT",
            )
        found[name] = value
    return found


def check_sysctls(sysctls: dict[str, str], *, network: str, ipc: str, uts: str) -> None:
    """Refuse a sysctl of a namespace that the container shares with the host."""
    for name in sysctls:
        shared = ""
        if name.startswith("net.") and network == "host":
            shared = "--network host"
        elif ipc == "host" and (name in _KERNEL_SYSCTLS or name.startswith("fs.mqueue.")):
            shared = "--ipc host"
        elif uts == "host" and name in _UTS_SYSCTLS:
            shared = "--uts host"
        if shared:
            raise UsageError(
                f"sysctl '{name}' is not allowed with {shared}: it would change the host",
                remedy="leave one of the two out",
            )


def parse_resources(fields: "dict[str, Any]", values: "Mapping[str, object]") -> None:
    """Everything that a control group holds: the names of limits.NAMES.  Raises UsageError."""
    fields["memory"], fields["memory_swap"] = parse_memory(
        text(values, "memory"), text(values, "memory_swap")
    )
    fields["memory_reservation"] = parse_reservation(
        text(values, "memory_reservation"), fields["memory"]
    )
    fields["cpus"] = parse_cpus(text(values, "cpus"))
    parse_cpu_time(fields, values)
    fields["cpuset_cpus"] = parse_cpuset(text(values, "cpuset_cpus"))
    fields["cpuset_mems"] = parse_cpuset(text(values, "cpuset_mems"), "--cpuset-mems")
    fields["pids_limit"] = parse_pids_limit(number(values, "pids_limit"))
    parse_devices(fields, values)
    parse_cgroup(fields, values)


def parse_memory(memory: str, swap: str) -> tuple[int, int]:
    """(memory, memory and swap) in bytes; 0 is not asked for, a swap of -1 is unlimited."""
    limit = parse_size(memory, "--memory") if memory else 0
    if limit and limit < MEMORY_MIN:
        raise UsageError(
            f"invalid --memory {memory}: the minimum is 6m", remedy="give 6 MiB or more"
        )
    if not swap:
        return limit, 0
    total = -1 if swap == "-1" else parse_size(swap, "--memory-swap")
    if total and not limit:
        raise UsageError(
            "--memory-swap without --memory", remedy="set --memory too: swap counts on top of it"
        )
    if 0 < total < limit:
        raise UsageError(
            f"invalid --memory-swap {swap}: less than --memory {memory}",
            remedy="it is the sum of memory and swap; equal to --memory means no swap",
        )
    return limit, total


def parse_cpus(text: str) -> int:
    """Nano CPUs of "1.5"; 0 is not asked for."""
    if not text:
        return 0
    whole, dot, fraction = text.partition(".")
    decimal = (whole + fraction).isascii() and (whole + fraction).isdecimal()
    if not decimal or (dot and not fraction) or len(fraction.rstrip("0")) > 9:
        raise UsageError(f'invalid --cpus "{text}"', remedy="give a number of CPUs, as 1.5")
    nano = int(whole or "0") * 10**9 + int((fraction + "0" * 9)[:9])
    if 0 < nano < 10**7:
        raise UsageError(f'invalid --cpus "{text}"', remedy="the least is 0.01")
    return nano


def parse_cpuset(text: str, option: str = "--cpuset-cpus") -> str:
    """A list of CPUs or of memory nodes: "0-3,5"."""
    for part in text.split(",") if text else []:
        first, dash, last = part.partition("-")
        numbers = (first, last) if dash else (first,)
        if not all(n.isascii() and n.isdecimal() and len(n) < 6 for n in numbers) or (
            dash and int(last) < int(first)
        ):
            raise UsageError(f'invalid {option} "{text}"', remedy="write a list as 0-3 or 0,2")
    return text


def parse_pids_limit(limit: int | None) -> int:
    """Processes and threads at most; 0 is not asked for, -1 is no limit."""
    if limit is not None and limit < -1:
        raise UsageError(f"invalid --pids-limit {limit}", remedy="a number, or -1 for no limit")
    return limit or 0


def parse_cpu_time(fields: "dict[str, Any]", values: "Mapping[str, object]") -> None:
    """--cpu-quota, --cpu-period (µs) and --cpu-shares; 0 is not asked for, a quota of -1 no limit.

    The bounds are the kernel's (cgroup-v2.rst, cpu.max) and Docker's.
    """
    quota, period = number(values, "cpu_quota") or 0, number(values, "cpu_period") or 0
    if fields.get("cpus") and (quota or period):
        raise UsageError(
            "conflicting options: --cpus cannot go with --cpu-quota and --cpu-period",
            remedy="--cpus 0.5 is --cpu-quota 50000 with a period of 100000",
        )
    if quota < -1 or 0 < quota < 1000:
        raise UsageError(f"invalid --cpu-quota {quota}", remedy="1000 µs or more, or -1")
    if period and not 1000 <= period <= 1_000_000:
        raise UsageError(f"invalid --cpu-period {period}", remedy="1000 to 1000000 µs")
    shares = number(values, "cpu_shares") or 0
    if shares and not 2 <= shares <= 262144:
        raise UsageError(f"invalid --cpu-shares {shares}", remedy="2 to 262144; default 1024")
    fields["cpu_quota"], fields["cpu_period"], fields["cpu_shares"] = quota, period, shares


def parse_reservation(value: str, memory: int) -> int:
    """--memory-reservation in bytes; 0 is not asked for."""
    found = parse_size(value, "--memory-reservation") if value else 0
    if 0 < memory < found:
        raise UsageError(
            f"invalid --memory-reservation {value}: more than --memory",
            remedy="it is the part of --memory that is kept for it",
        )
    return found


def parse_devices(fields: "dict[str, Any]", values: "Mapping[str, object]") -> None:
    """--blkio-weight and the options of single devices: {"/dev/sda": bytes or operations}."""
    weight = number(values, "blkio_weight") or 0
    if weight and not 10 <= weight <= 1000:
        raise UsageError(f"invalid --blkio-weight {weight}", remedy="10 to 1000; default 100")
    fields["blkio_weight"] = weight
    for name in (
        "blkio_weight_device", "device_read_bps", "device_write_bps", "device_read_iops",
        "device_write_iops",
    ):  # fmt: skip
        option = "--" + name.replace("_", "-")
        found: dict[str, int] = {}
        for spec in texts(values, name):
            path, colon, value = spec.rpartition(":")
            if not colon or not path.startswith("/dev/"):
                raise UsageError(f"invalid {option} {spec}", remedy="write /dev/NAME:NUMBER")
            if name.endswith("bps"):
                found[path] = parse_size(value, option)
            elif value.isascii() and value.isdecimal():
                found[path] = int(value)
            else:
                raise UsageError(f"invalid {option} {spec}", remedy="write /dev/NAME:NUMBER")
            if name == "blkio_weight_device" and not 10 <= found[path] <= 1000:
                raise UsageError(f"invalid {option} {spec}", remedy="the weight is 10 to 1000")
        fields[name] = found


def parse_cgroup(fields: "dict[str, Any]", values: "Mapping[str, object]") -> None:
    """--cgroup-parent, and --cgroup-conf as {"memory.high": "1073741824"}."""
    parent = text(values, "cgroup_parent")
    if parent and (".." in parent.split("/") or "\0" in parent):
        raise UsageError(f"invalid --cgroup-parent {parent}", remedy="as batch.slice")
    fields["cgroup_parent"] = parent
    found = {}
    for spec in texts(values, "cgroup_conf"):
        name, equals, value = spec.partition("=")
        plain = all(c.islower() or c.isdigit() or c in "._" for c in name)
        if not equals or not plain or name.partition(".")[0] not in _CONTROLLERS:
            raise UsageError(
                f"invalid --cgroup-conf {spec}",
                remedy="write FILE=VALUE with a file of cgroup v2, as memory.high=1073741824",
            )
        found[name] = value
    fields["cgroup_conf"] = found
