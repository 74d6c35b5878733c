"""The text of systemd units: of quadlets, of containers, and of what starts them at boot.  Pure.

A container's unit is of Type=forking: `rl run -d` and `rl start` return when the program really
runs, and what stays behind is one child of systemd's, the container's supervisor, which ends with
the container's exit code.  systemd finds it by itself, as the one process of the unit whose parent
it is.  KillMode=mixed: only the supervisor gets SIGTERM, and passes it on.
"""

from collections.abc import Mapping

from rootless.quadlet import words
from rootless.quadlet.collection import NAMING, Collection, Quadlet, is_quadlet
from rootless.quadlet.translate import Plan
from rootless.records import dataclass, field

# Exit by the stop signal is what was asked for.
_SUCCESS = "143"
START_S = 900  # an image may have to come first
_STOP_S = 10
_GRACE_S = 60


@dataclass(frozen=True, slots=True)
class Program:
    """How a unit calls rl: the words of the program, and the variables that it needs."""

    words: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def line(self, command: list[str]) -> str:
        """A command line of `command`, in the language of units."""
        return words.command_line([*map(words.literal, self.words), *command])

    def assignments(self) -> list[tuple[str, str]]:
        """Environment= for each variable.  $ has no meaning there."""
        return [
            ("Environment", words.quote(f"{name}={value}".replace("%", "%%")))
            for name, value in sorted(self.environment.items())
        ]


Rows = list[tuple[str, str]]


def text(header: str, sections: dict[str, Rows]) -> str:
    """A unit file of sections of assignments."""
    lines = [f"# {line}" for line in header.splitlines()]
    for name, rows in sections.items():
        if rows:
            lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in rows)]
    return "\n".join(lines).lstrip("\n") + "\n"


def of_quadlet(plan: Plan, others: Collection, program: Program, source: str) -> str:
    """The unit of a quadlet; `source` is its file, for the header."""
    quadlet = plan.quadlet
    unit = _unit_section(plan, others)
    service = _service_section(plan, program)
    install: Rows = [(entry.key, entry.value) for entry in quadlet.unit.of("Install")]
    header = f"Made by rl quadlet install of {source}: change that, and install it again."
    return text(header, {"Unit": unit, "Service": service, "Install": install})


def _unit_section(plan: Plan, others: Collection) -> Rows:
    quadlet = plan.quadlet
    rows: Rows = []
    for entry in quadlet.unit.of("Unit"):
        value = entry.value
        if entry.key in NAMING:
            value = " ".join(_service_of(word, entry, quadlet, others) for word in value.split())
        rows.append((entry.key, value))
    if not any(key == "Description" for key, _ in rows):
        rows.insert(0, ("Description", quadlet.file.replace("%", "%%")))
    for need in plan.needs:
        service = _instance_of_mine(need)
        if service not in _named(rows, "Requires", "Wants", "BindsTo", "Requisite"):
            rows.append(("Requires", service))
        if service not in _named(rows, "After"):
            rows.append(("After", service))
    return rows


def _named(rows: Rows, *keys: str) -> set[str]:
    return {word for key, value in rows if key in keys for word in value.split()}


def _instance_of_mine(other: Quadlet) -> str:
    """The service of a template is its instance of the same name: x-volume@%i.service."""
    return other.service.replace("@.", "@%i.") if other.template else other.service


def _service_of(word: str, entry: object, quadlet: Quadlet, others: Collection) -> str:
    from rootless.quadlet.unitfile import Entry

    assert isinstance(entry, Entry)
    if not is_quadlet(word):
        return word
    return _instance_of_mine(others.referred(word, entry, quadlet))


def _service_section(plan: Plan, program: Program) -> Rows:
    quadlet = plan.quadlet
    given: Rows = [(entry.key, entry.value) for entry in quadlet.unit.of("Service")]
    rows = [*program.assignments(), *given]
    if quadlet.kind == "container":
        timeout = quadlet.unit.value("Container", "StopTimeout")
        stop_s = int(timeout) if timeout.isdecimal() else _STOP_S
        kind = "forking"
        usual = [
            ("KillMode", "mixed"),
            ("Delegate", "yes"),
            ("SuccessExitStatus", _SUCCESS),
            ("TimeoutStartSec", str(START_S)),
            ("TimeoutStopSec", str(stop_s + _GRACE_S)),
            ("SyslogIdentifier", "%N"),
        ]
    else:
        kind = "oneshot"
        usual = [("RemainAfterExit", "yes"), ("SyslogIdentifier", "%N")]
    keys = {key for key, _ in given}
    rows += [(key, value) for key, value in [("Type", kind), *usual] if key not in keys]
    rows += [("ExecStart", program.line(line)) for line in plan.start] or [("ExecStart", "true")]
    if plan.ready:
        rows.append(("ExecStartPost", program.line(plan.ready)))
    if plan.reload:
        rows.append(("ExecReload", program.line(plan.reload)))
    if plan.stop:
        # When the container has ended by itself there is nothing to stop; after any end nothing
        # is to be left of it.
        rows.append(("ExecStop", f"-{program.line(plan.stop[0])}"))
        rows.append(("ExecStopPost", f"-{program.line(plan.stop[1])}"))
    return rows


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `generate systemd` was asked for.  Times in seconds, None for the usual."""

    restart: str = "on-failure"
    restart_s: int | None = None
    start_s: int | None = None
    stop_s: int = _STOP_S
    wants: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    header: bool = True
    directory: str = ""


def of_container(
    name: str, unit: str, program: Program, wanted: Wanted, *, create: list[str] | None = None
) -> str:
    """The unit `unit` of a container that is there; with `create`, the command that makes it anew
    (in the language of units).
    """
    target = [words.literal(name)]
    description = [("Description", f"rl container {name}".replace("%", "%%"))]
    for key, units in (
        ("Wants", wanted.wants), ("After", wanted.after), ("Requires", wanted.requires)
    ):  # fmt: skip
        description += [(key, one) for one in units]
    start = create if create is not None else ["start", *target]
    service = [
        *program.assignments(),
        *(("Environment", words.quote(one)) for one in wanted.environment),
        *([("WorkingDirectory", wanted.directory.replace("%", "%%"))] if create else []),
        ("Type", "forking"),
        ("Restart", wanted.restart),
        *([("RestartSec", str(wanted.restart_s))] if wanted.restart_s is not None else []),
        ("TimeoutStartSec", str(START_S if wanted.start_s is None else wanted.start_s)),
        ("TimeoutStopSec", str(wanted.stop_s + _GRACE_S)),
        ("KillMode", "mixed"),
        ("Delegate", "yes"),
        ("SuccessExitStatus", _SUCCESS),
        ("ExecStart", program.line(start)),
        ("ExecStop", f"-{program.line(['stop', '--time', str(wanted.stop_s), *target])}"),
    ]
    if create is not None:
        service.append(("ExecStopPost", f"-{program.line(['rm', '--force', *target])}"))
    header = f"{unit}: made by rl system generate systemd" if wanted.header else ""
    return text(
        header,
        {"Unit": description, "Service": service, "Install": [("WantedBy", "default.target")]},
    )


def of_autostart(program: Program) -> str:
    """The unit that starts, at boot, what --restart promises, and stops it when systemd ends."""
    service = [
        *program.assignments(),
        ("Type", "oneshot"),
        ("RemainAfterExit", "yes"),
        ("KillMode", "mixed"),
        ("Delegate", "yes"),
        ("TimeoutStartSec", str(START_S)),
        ("ExecStart", program.line(["system", "autostart", "start"])),
        # One that could not be started: systemd would end the others with a unit that failed.
        ("SuccessExitStatus", "1"),
        ("ExecStop", f"-{program.line(['system', 'autostart', 'stop'])}"),
    ]
    return text(
        "Made by rl system autostart enable; rl system autostart disable takes it away.",
        {
            "Unit": [("Description", "Containers of rl with --restart=always or unless-stopped")],
            "Service": service,
            "Install": [("WantedBy", "default.target")],
        },
    )
