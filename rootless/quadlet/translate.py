"""From a quadlet to the commands of rl that start and stop it.  Pure.

Words are in the language of units (quadlet/words.py): specifiers and variables stay in them.
"""

import os

from rootless.errors import QuadletError
from rootless.quadlet import words
from rootless.quadlet.collection import STARTING, Collection, Quadlet, named_units
from rootless.quadlet.keys import RULES, Rule
from rootless.quadlet.unitfile import Entry, boolean
from rootless.records import dataclass, field

_DRIVERS = ("slirp4netns", "pasta", "netstack", "host", "none")
_RESTARTS = {"no": "no", "always": "always", "on-failure": "on-failure"}
_TYPES = ("forking", "oneshot", "exec", "simple")


@dataclass
class Plan:
    """What a quadlet comes to.

    resource  the name of its container, volume or image; the driver of a network
    start     commands, without the "rl" before them; detached is the last one of a container
    stop      the same, for the end; both in order
    reload    a command, or []
    ready     a command that waits until it is ready, or []
    needs     files of the quadlets that it cannot do without, as referred to by it
    """

    quadlet: Quadlet
    resource: str = ""
    start: list[list[str]] = field(default_factory=list)
    stop: list[list[str]] = field(default_factory=list)
    reload: list[str] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    needs: list[Quadlet] = field(default_factory=list)
    detached: bool = False

    def need(self, other: Quadlet) -> None:
        if other.file not in {one.file for one in self.needs}:
            self.needs.append(other)


def translate(
    quadlet: Quadlet, others: Collection, *, direct: bool = False, journal: bool = False
) -> Plan:
    """The plan of a quadlet among `others`.  Raises QuadletError with file and line.

    `direct`: rl itself starts it, and keeps the restart policy; else a unit of systemd does.
    `journal`: the container writes to the journal when nothing else was said.
    """
    plan = Plan(quadlet)
    plan.resource = resource(quadlet)
    make = {"container": _container, "volume": _volume, "image": _image, "build": _build}.get(
        quadlet.kind
    )
    if make is not None:
        make(plan, others)
    if quadlet.kind == "container":
        _ending(plan, direct=direct, journal=journal)
    for entry, file in named_units(quadlet, STARTING):
        plan.need(others.referred(file, entry, quadlet))
    return plan


def resource(quadlet: Quadlet) -> str:
    """The name that others know it by.  Raises QuadletError without one."""
    unit, section = quadlet.unit, quadlet.section
    if quadlet.kind == "network":
        return _driver(quadlet)
    if quadlet.kind == "image":
        return unit.value(section, "ImageTag") or _required(quadlet, "Image").value
    if quadlet.kind == "build":
        tags = unit.all(section, "ImageTag")
        return tags[0].value if tags else _required(quadlet, "ImageTag").value
    key = "ContainerName" if quadlet.kind == "container" else "VolumeName"
    return unit.value(section, key) or quadlet.default_name


def _required(quadlet: Quadlet, key: str) -> Entry:
    entry = quadlet.unit.last(quadlet.section, key)
    if entry is None:
        where = quadlet.unit.of(quadlet.section)[0]
        raise where.error(f"[{quadlet.section}] needs {key}=", f"add a line {key}=…")
    return entry


def _driver(quadlet: Quadlet) -> str:
    entry = quadlet.unit.last("Network", "Driver")
    if entry is not None and entry.value in _DRIVERS:
        return entry.value
    where = f"{entry.file}:{entry.line}" if entry is not None else quadlet.file
    driver = entry.value if entry is not None else "bridge"
    raise QuadletError(
        f"{where}: cannot make a network of the driver {driver}: rl quadlet makes none",
        remedy="make one with rl network create, and write Network=NAME into the container's "
        f"file; or use Driver= with one of {', '.join(_DRIVERS)}",
        code="RL-NOT-YET",
    )


def _options(plan: Plan, rules: dict[str, Rule]) -> list[str]:
    """The options of the keys that are options, in the order of the table."""
    unit, section = plan.quadlet.unit, plan.quadlet.section
    found: list[str] = []
    for key, (form, flag, prefix) in rules.items():
        entries = unit.all(section, key)
        if form in ("own", "raw") or not entries:
            continue
        if form == "one":
            entries = entries[-1:]
        if form == "bool":
            if boolean(entries[-1]):
                found += [flag, prefix] if prefix else [flag]
            continue
        for entry in entries:
            if form == "words":
                values = split(entry)
            elif form == "files":
                values = [path(plan.quadlet, entry.value)]
            else:
                values = [entry.value]
            found += [f"{flag}={prefix}{value}" for value in values]
    return found


def _raw(plan: Plan) -> list[str]:
    entries = plan.quadlet.unit.all(plan.quadlet.section, "PodmanArgs")
    return [word for entry in entries for word in split(entry)]


def split(entry: Entry) -> list[str]:
    """The words of a value.  Raises QuadletError for a quote without an end."""
    try:
        return words.split(entry.value)
    except ValueError as e:
        raise entry.error(f"{entry.key}=: {e}", 'close it, or write it as \\"') from e


def path(quadlet: Quadlet, value: str) -> str:
    """A path, from the quadlet's origin when it is relative; one that begins with % is not."""
    if value.startswith(("/", "%")):
        return value
    return os.path.normpath(f"{words.literal(quadlet.origin)}/{value}")


def _container(plan: Plan, others: Collection) -> None:
    quadlet = plan.quadlet
    unit = quadlet.unit
    image, rootfs = unit.last("Container", "Image"), unit.last("Container", "Rootfs")
    if image is not None and rootfs is not None:
        raise rootfs.error("Rootfs= and Image= are two root file systems", "leave one out")
    line = [f"--name={plan.resource}", *_options(plan, RULES["Container"])]
    line += _own_options(plan)
    line += _mounts(plan, others)
    line += _network(plan, others)
    line += _raw(plan)
    entry = unit.last("Container", "Entrypoint")
    entrypoint = _program(entry) if entry is not None else []
    if entry is not None:
        line.append(f"--entrypoint={entrypoint[0] if entrypoint else ''}")
    if rootfs is not None:
        line += ["--rootfs", path(quadlet, rootfs.value)]
    else:
        line.append(_image_name(plan, others, image or _required(quadlet, "Image")))
    line += entrypoint[1:]
    command = unit.last("Container", "Exec")
    if command is not None:
        line += split(command)
    plan.start.append(line)


def _program(entry: Entry) -> list[str]:
    """Entrypoint=: one program, or a JSON list of it and its first arguments."""
    if not entry.value.startswith("["):
        return [entry.value]
    import json

    try:
        found = json.loads(entry.value)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise entry.error("Entrypoint= is no list of strings", 'write it as ["/bin/sh", "-c"]')
    return found


def _image_name(plan: Plan, others: Collection, entry: Entry) -> str:
    if not entry.value.endswith((".image", ".build")):
        return entry.value
    other = others.referred(entry.value, entry, plan.quadlet)
    plan.need(other)
    return resource(other)


def _own_options(plan: Plan) -> list[str]:
    """The keys that are more than an option."""
    unit = plan.quadlet.unit
    found: list[str] = []
    user, group = unit.last("Container", "User"), unit.last("Container", "Group")
    if group is not None and user is None:
        raise group.error("Group= needs User=", "add User=")
    if user is not None:
        found.append(f"--user={user.value}{f':{group.value}' if group is not None else ''}")
    for entry in unit.all("Container", "AddDevice"):
        device = entry.value.removeprefix("-")
        if device == entry.value or os.path.exists(device.partition(":")[0]):
            found.append(f"--device={device}")
    read_only = unit.flag("Container", "ReadOnly")
    if unit.flag("Container", "ReadOnlyTmpfs", read_only) and read_only:
        taken = {e.value.partition(":")[0] for e in unit.all("Container", "Tmpfs")}
        found += [f"--tmpfs={d}" for d in ("/run", "/tmp", "/var/tmp") if d not in taken]
    return found


def _mounts(plan: Plan, others: Collection) -> list[str]:
    found = []
    for entry in plan.quadlet.unit.all("Container", "Volume"):
        source, colon, rest = entry.value.partition(":")
        if colon:
            source = _source(plan, others, entry, source)
        found.append(f"--volume={source}{colon}{rest}")
    for entry in plan.quadlet.unit.all("Container", "Mount"):
        parts = []
        for part in entry.value.split(","):
            key, equals, value = part.partition("=")
            if key in ("source", "src"):
                value = _source(plan, others, entry, value)
            parts.append(f"{key}{equals}{value}")
        found.append(f"--mount={','.join(parts)}")
    return found


def _source(plan: Plan, others: Collection, entry: Entry, source: str) -> str:
    """What is mounted: another quadlet's volume or image, a path from the origin, or as it is."""
    if source.endswith((".volume", ".image", ".build")) and "/" not in source:
        other = others.referred(source, entry, plan.quadlet)
        plan.need(other)
        return resource(other)
    return path(plan.quadlet, source) if source.startswith(".") else source


def _network(plan: Plan, others: Collection) -> list[str]:
    found = []
    for entry in plan.quadlet.unit.all("Container", "Network"):
        name, colon, rest = entry.value.partition(":")
        if name.endswith(".container"):
            other = others.referred(name, entry, plan.quadlet)
            plan.need(other)
            name, colon, rest = "container", ":", resource(other)
        if name.endswith(".network"):
            other = others.referred(name, entry, plan.quadlet)
            plan.need(other)
            name = resource(other)
        found.append(f"--network={name}{colon}{rest}")
    return found


def _ending(plan: Plan, *, direct: bool, journal: bool) -> None:
    """How a container runs, and what is done when it has to reload and to end."""
    unit = plan.quadlet.unit
    kind = _service_type(plan.quadlet)
    first = ["run", "--replace"]
    plan.detached = kind == "forking" or (direct and kind != "oneshot")
    if plan.detached:
        first.append("--detach")
    if not direct:
        first.append("--rm")
    elif plan.detached:
        first.append(f"--restart={_restart(plan.quadlet)}")
    driver = unit.value("Container", "LogDriver") or ("journald" if journal else "")
    if driver:
        first.append(f"--log-driver={driver}")
    plan.start[-1] = [*first, *plan.start[-1]]
    plan.stop = [["stop", plan.resource], ["rm", "--force", "--volumes", plan.resource]]
    command, signal = unit.last("Container", "ReloadCmd"), unit.last("Container", "ReloadSignal")
    if command is not None and signal is not None:
        raise command.error("ReloadCmd= and ReloadSignal= exclude each other", "leave one out")
    if command is not None:
        plan.reload = ["exec", plan.resource, *split(command)]
    elif signal is not None:
        plan.reload = ["kill", f"--signal={signal.value}", plan.resource]
    notify = unit.last("Container", "Notify")
    if notify is not None and notify.value == "healthy":
        plan.ready = ["wait", "--condition=healthy", plan.resource]
    elif notify is not None and boolean(notify):
        raise notify.error(
            "cannot take Notify=true: no notification is passed on from a container",
            "leave it out: the unit is started when the program runs; or use Notify=healthy",
            "RL-NOT-YET",
        )


def _service_type(quadlet: Quadlet) -> str:
    entry = quadlet.unit.last("Service", "Type")
    if entry is None or entry.value in _TYPES:
        return entry.value if entry is not None else _TYPES[0]
    raise entry.error(
        f"cannot take Type={entry.value}: rl does not speak to systemd",
        "leave it out: the unit is started when the container's program runs; or use oneshot",
    )


def _restart(quadlet: Quadlet) -> str:
    entry = quadlet.unit.last("Service", "Restart")
    if entry is None:
        return "no"
    if entry.value in _RESTARTS:
        return _RESTARTS[entry.value]
    raise entry.error(
        f"Restart={entry.value} needs systemd",
        "without it there are no, always and on-failure",
        "RL-QUADLET-NO-SYSTEMD",
    )


def _volume(plan: Plan, _: Collection) -> None:
    unit = plan.quadlet.unit
    line = ["volume", "create", "--ignore", *_options(plan, RULES["Volume"])]
    options = ",".join(entry.value for entry in unit.all("Volume", "Options"))
    if not options and unit.last("Volume", "Type") and unit.value("Volume", "Type") == "bind":
        options = "bind"
    if options:
        line.append(f"--opt=o={options}")
    plan.start.append([*line, *_raw(plan), plan.resource])


def _platform(plan: Plan) -> list[str]:
    """Arch=, OS= and Variant= are one option of rl."""
    unit, section = plan.quadlet.unit, plan.quadlet.section
    arch, variant = unit.last(section, "Arch"), unit.last(section, "Variant")
    system = unit.last(section, "OS")
    if arch is None:
        lone = variant or system
        if lone is not None:
            raise lone.error(f"{lone.key}= needs Arch=", "add Arch=, as amd64 or arm64")
        return []
    parts = [system.value if system else "linux", arch.value, *([variant.value] if variant else [])]
    return [f"--platform={'/'.join(parts)}"]


def _image(plan: Plan, _: Collection) -> None:
    image = _required(plan.quadlet, "Image")
    unit = plan.quadlet.unit
    line = ["pull", "--quiet", *_options(plan, RULES["Image"]), *_platform(plan)]
    verify = unit.last("Image", "TLSVerify")
    if verify is not None:
        line.append("--tls-verify" if boolean(verify) else "--no-tls-verify")
    plan.start.append([*line, *_raw(plan), image.value])
    if unit.value("Image", "ImageTag") not in ("", image.value):
        plan.start.append(["tag", image.value, plan.resource])


def _build(plan: Plan, _: Collection) -> None:
    quadlet = plan.quadlet
    unit = quadlet.unit
    line = ["build", "--quiet", *_options(plan, RULES["Build"]), *_platform(plan)]
    network = unit.last("Build", "Network")
    if network is not None:
        line.append(f"--network={network.value}")
    pull = unit.last("Build", "Pull")
    if pull is not None:
        line += ["--pull"] if _is_pulled(pull) else []
    file = unit.last("Build", "File")
    context = _context(quadlet, file)
    if file is not None:
        remote = "://" in file.value
        line.append(f"--file={file.value if remote else path(quadlet, file.value)}")
    plan.start.append([*line, *_raw(plan), context])


def _is_pulled(entry: Entry) -> bool:
    """Pull= of a build: podman's policies, or a boolean."""
    word = entry.value.lower()
    return word in ("always", "newer") or (word != "missing" and boolean(entry))


def _context(quadlet: Quadlet, file: Entry | None) -> str:
    """SetWorkingDirectory=: file, unit, a path or a URL; the file's directory by default."""
    entry = quadlet.unit.last("Build", "SetWorkingDirectory")
    asked = entry.value if entry is not None else "file" if file is not None else "unit"
    if asked == "unit":
        return words.literal(quadlet.origin)
    if asked == "file":
        if file is None:
            assert entry is not None
            raise entry.error("SetWorkingDirectory=file needs File=", "add File=")
        return os.path.dirname(path(quadlet, file.value))
    return asked if "://" in asked or asked.startswith("git@") else path(quadlet, asked)
