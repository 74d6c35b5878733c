"""A systemd scope of the user's own manager, asked for over D-Bus (jeepney, blocking).

Cold: imported when a limit was asked for and a user bus is there.
Source: org.freedesktop.systemd1(5), systemd.resource-control(5).
"""

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
TIMEOUT_S = 25.0  # D-Bus's own


class BusError(Exception):
    """The user's systemd could not be asked, or said no; the text says why."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name  # of a D-Bus error


def bus_address(environ: "Mapping[str, str]", uid: int, root: str = "/") -> str:
    """Address of the caller's session bus, "" when none is in sight (sd_bus_open_user(3))."""
    if environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return environ["DBUS_SESSION_BUS_ADDRESS"]
    for directory in (environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{uid}"):
        if directory.startswith("/") and os.path.exists(f"{root.rstrip('/')}{directory}/bus"):
            return f"unix:path={directory}/bus"
    return ""


def properties(settings: "Mapping[str, str]", slice_: str) -> list[tuple[str, tuple[str, object]]]:
    """Scope properties: what counts among the scope's siblings, in `slice_` if that is given.

    systemd sets these again when its units are loaded anew; the limits themselves are in a group
    below the scope, which it leaves alone (Delegate=).
    """
    found: list[tuple[str, tuple[str, object]]] = [("Slice", ("s", slice_))] if slice_ else []
    for name, unit_property in (
        ("cpu.weight", "CPUWeight"), ("io.weight", "IOWeight"), ("memory.low", "MemoryLow"),
    ):  # fmt: skip
        if name in settings:
            found.append((unit_property, ("t", int(settings[name]))))
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
            # Its own default of a second is too short where the machine is busy.
            self._connection = open_dbus_connection(address, auth_timeout=TIMEOUT_S)
        # ValueError: jeepney's AuthenticationError, and addresses that are none.
        except (OSError, RuntimeError, ValueError, StopIteration) as e:
            raise BusError(f"the user's D-Bus ({address}) does not answer: {e}") from e

    def __enter__(self) -> "UserManager":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _call(self, message: "Message", what: str) -> tuple[object, ...]:
        from jeepney import HeaderFields, MessageType

        try:
            reply = self._connection.send_and_get_reply(message, timeout=TIMEOUT_S)
        except (OSError, TimeoutError) as e:
            raise BusError(f"the user's systemd does not answer {what}: {e}") from e
        if reply.header.message_type is MessageType.error:
            text = reply.body[0] if reply.body else "no reason given"
            name = str(reply.header.fields.get(HeaderFields.error_name, ""))
            raise BusError(f"the user's systemd refuses {what}: {text}", name)
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

    def start_scope(self, name: str, description: str, pids: list[int], limits: object) -> None:
        """Move `pids` into a new scope with Delegate=yes, and wait until systemd has done it."""
        from jeepney import MatchRule
        from jeepney.bus_messages import message_bus  # type: ignore[import-untyped]

        rule = MatchRule(
            type="signal", interface="org.freedesktop.systemd1.Manager", member="JobRemoved"
        )
        assert isinstance(limits, list)
        unit_properties = [
            ("Description", ("s", description)),
            ("Delegate", ("b", True)),
            ("PIDs", ("au", pids)),
            ("CollectMode", ("s", "inactive-or-failed")),
            # Also where no limit is of that kind: for `rl stats`.
            *((f"{kind}Accounting", ("b", True)) for kind in ("CPU", "IO", "Memory", "Tasks")),
            *limits,
        ]
        self._call(message_bus.AddMatch(rule), "AddMatch")
        self._manager_call("Subscribe", "", ())
        # A queue without an end: jeepney's own keeps one message, and other jobs end, too.
        ended: deque[Message] = deque()
        with self._connection.filter(rule, queue=ended):
            deadline = time.monotonic() + TIMEOUT_S
            while True:
                try:
                    job = self._manager_call(
                        "StartTransientUnit", "ssa(sv)a(sa(sv))",
                        (name, "fail", unit_properties, []),
                    )  # fmt: skip
                    break
                except BusError as e:
                    # The one of the container's last run: systemd removes it when it gets to it.
                    gone = not e.name.endswith(".UnitExists") or time.monotonic() > deadline
                    if gone:
                        raise
                    time.sleep(0.02)
            self._wait(job, ended)

    def attach(self, name: str, group: str, pid: int) -> None:
        """Move `pid`, a process of ours, into `group` below the scope, from wherever it is."""
        self._manager_call("AttachProcessesToUnit", "ssau", (name, f"/{group}", [pid]))

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
