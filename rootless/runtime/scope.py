"""A systemd scope of the user's own manager, asked for over D-Bus (jeepney, blocking).

Cold: imported when a limit was asked for and a user bus is there.
Source: org.freedesktop.systemd1(5), systemd.resource-control(5).
"""

import math
import os
import sys
import time
from collections import deque

from rootless.errors import LimitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jeepney import Message  # type: ignore[import-untyped]  # has no annotations

MANAGER = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1")
TIMEOUT_S = 5.0


class BusError(Exception):
    """The user's systemd could not be asked, or said no; the text says why."""


def bus_address(environ: "Mapping[str, str]", uid: int, root: str = "/") -> str:
    """Address of the caller's session bus, "" when none is in sight (sd_bus_open_user(3))."""
    if environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return environ["DBUS_SESSION_BUS_ADDRESS"]
    for directory in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"):
        if directory.startswith("/") and os.path.exists(f"{root.rstrip('/')}{directory}/bus"):
            return f"unix:path={directory}/bus"
    return ""


def properties(settings: "Mapping[str, str]") -> list[tuple[str, tuple[str, object]]]:
    """Scope properties that mean the same as these cgroup files' values."""
    found: list[tuple[str, tuple[str, object]]] = []
    for name, unit_property in (
        ("memory.max", "MemoryMax"),
        ("memory.swap.max", "MemorySwapMax"),
        ("pids.max", "TasksMax"),
    ):
        value = settings.get(name)
        if value is not None:
            # systemd writes infinity as the largest 64-bit number.
            found.append((unit_property, ("t", 2**64 - 1 if value == "max" else int(value))))
    if "cpu.max" in settings:
        quota, period = (int(word) for word in settings["cpu.max"].split())
        found.append(("CPUQuotaPerSecUSec", ("t", math.ceil(quota * 1_000_000 / period))))
        found.append(("CPUQuotaPeriodUSec", ("t", period)))
    if "cpuset.cpus" in settings:
        found.append(("AllowedCPUs", ("ay", cpu_mask(cpu_list(settings["cpuset.cpus"])))))
    return found


def cpu_list(text: str) -> list[int]:
    """The CPUs of a list such as "0-2,5"; ValueError when it is none."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(text)
        cpus.update(range(int(first), int(last if dash else first) + 1))
    if not cpus:
        raise ValueError(text)
    return sorted(cpus)


def cpu_mask(cpus: list[int]) -> bytes:
    """A bit for each CPU, least significant byte first, as AllowedCPUs= is on the bus."""
    return sum(1 << cpu for cpu in cpus).to_bytes(max(cpus) // 8 + 1, "little")


def find_jeepney() -> None:
    """Make jeepney importable in the supervisor, which runs without site-packages (-I -S)."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    environment = os.path.dirname(os.path.dirname(sys.executable))
    for directory in (
        *sys.path,
        here,  # a wheel: jeepney is installed beside rootless
        f"{environment}/lib/{version}/site-packages",
        os.path.expanduser(f"~/.local/lib/{version}/site-packages"),
        "/usr/lib/python3/dist-packages",
    ):
        if os.path.isfile(f"{directory}/jeepney/__init__.py"):
            if directory not in sys.path:
                sys.path.append(directory)
            return


class UserManager:
    """A connection to the user's systemd; a context manager."""

    def __init__(self, address: str) -> None:
        find_jeepney()
        from jeepney.io.blocking import (  # type: ignore[import-untyped]
            open_dbus_connection,
        )

        try:
            self._connection = open_dbus_connection(address)
        # ValueError: jeepney's AuthenticationError, and addresses that are none.
        except (OSError, RuntimeError, ValueError, StopIteration) as e:
            raise BusError(f"the user's D-Bus ({address}) does not answer: {e}") from e

    def __enter__(self) -> "UserManager":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _call(self, message: "Message", what: str) -> tuple[object, ...]:
        from jeepney import MessageType

        try:
            reply = self._connection.send_and_get_reply(message, timeout=TIMEOUT_S)
        except (OSError, TimeoutError) as e:
            raise BusError(f"the user's systemd does not answer {what}: {e}") from e
        if reply.header.message_type is MessageType.error:
            text = reply.body[0] if reply.body else "no reason given"
            raise BusError(f"the user's systemd refuses {what}: {text}")
        body: tuple[object, ...] = reply.body
        return body

    def _manager_call(self, method: str, signature: str, body: tuple[object, ...]) -> object:
        from jeepney import DBusAddress, new_method_call

        address = DBusAddress(MANAGER[0], MANAGER[1], "org.freedesktop.systemd1.Manager")
        answer = self._call(new_method_call(address, method, signature or None, body), method)
        return answer[0] if answer else None

    def control_group(self) -> str:
        """The manager's own group, below which its scopes are: /user.slice/…/user@1000.service."""
        from jeepney import DBusAddress, Properties

        address = DBusAddress(MANAGER[0], MANAGER[1], "org.freedesktop.systemd1.Manager")
        answer = self._call(Properties(address).get("ControlGroup"), "Get(ControlGroup)")
        value = answer[0]
        return str(value[1]) if isinstance(value, tuple) else ""

    def start_scope(self, name: str, description: str, pid: int, limits: object) -> None:
        """Move `pid` into a new scope with Delegate=yes, and wait until systemd has done it."""
        from jeepney import MatchRule
        from jeepney.bus_messages import message_bus  # type: ignore[import-untyped]

        rule = MatchRule(
            type="signal", interface="org.freedesktop.systemd1.Manager", member="JobRemoved"
        )
        assert isinstance(limits, list)
        unit_properties = [
            ("Description", ("s", description)),
            ("Delegate", ("b", True)),
            ("PIDs", ("au", [pid])),
            ("CollectMode", ("s", "inactive-or-failed")),
            *limits,
        ]
        self._call(message_bus.AddMatch(rule), "AddMatch")
        self._manager_call("Subscribe", "", ())
        # A queue without an end: jeepney's own keeps one message, and other jobs end, too.
        ended: deque[Message] = deque()
        with self._connection.filter(rule, queue=ended):
            job = self._manager_call(
                "StartTransientUnit", "ssa(sv)a(sa(sv))", (name, "fail", unit_properties, [])
            )
            self._wait(job, ended)

    def _wait(self, job: object, ended: "deque[Message]") -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                message = self._connection.recv_until_filtered(
                    ended, timeout=max(0.0, deadline - time.monotonic())
                )
            except (OSError, TimeoutError) as e:
                raise BusError("the user's systemd did not start the scope in time") from e
            _, path, unit, result = message.body  # uoss
            if path == job:
                if result != "done":
                    raise BusError(f"the user's systemd could not start {unit}: {result}")
                return


def scope_of(pid: int) -> str:
    """The group of `pid` in the unified hierarchy, as /proc says."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].rstrip("\n")
    raise LimitError(f"process {pid} is in no unified control group")
