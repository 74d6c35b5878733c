"""Quadlet files that belong together: their names, and who refers to whom.  Pure."""

from rootless.errors import QuadletError
from rootless.quadlet import keys
from rootless.quadlet.unitfile import Entry, UnitFile, near, parse
from rootless.records import dataclass

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\")
# The assignments of [Unit] that name other units, and those that make them start first.
STARTING = ("Requires", "Requisite", "BindsTo", "Wants")
HOLDING = ("Requires", "Requisite", "BindsTo", "PartOf")
NAMING = (*STARTING, "PartOf", "Upholds", "Conflicts", "Before", "After")


@dataclass(frozen=True, slots=True)
class Quadlet:
    """One file with its drop-ins.

    `file` is its name ("web.container", "web@.container", "web@1.container"), `origin` the
    directory that relative paths in it begin at.
    """

    file: str
    origin: str
    unit: UnitFile

    @property
    def kind(self) -> str:
        return self.file.rpartition(".")[2]

    @property
    def section(self) -> str:
        return keys.KINDS[self.kind][0]

    @property
    def stem(self) -> str:
        return self.file.rpartition(".")[0]

    @property
    def template(self) -> bool:
        """Whether it is a template, with no instance in its name."""
        return self.stem.endswith("@")

    @property
    def service(self) -> str:
        """The unit that it becomes: "web.service", "data-volume.service", "web@.service"."""
        prefix, at, instance = self.stem.partition("@")
        named = self.unit.value(self.section, "ServiceName")
        return f"{named or prefix + keys.KINDS[self.kind][1]}{at}{instance}.service"

    @property
    def default_name(self) -> str:
        """The name of its container or volume, as podman's: systemd-web, systemd-web_%i."""
        prefix, at, instance = self.service.removesuffix(".service").partition("@")
        if self.kind != "container":
            prefix = self.stem.partition("@")[0]
        separator = "_" if self.kind == "container" else "-"
        return f"systemd-{prefix}{separator}{instance or '%i'}" if at else f"systemd-{prefix}"

    def instance(self, instance: str) -> "Quadlet":
        """The template's instance of that name."""
        return Quadlet(f"{self.stem}{instance}.{self.kind}", self.origin, self.unit)


def read(file: str, text: str, drop_ins: list[tuple[str, str]], shown: str, origin: str) -> Quadlet:
    """The quadlet of a file called `file`; `drop_ins` are (name shown, text) in their order.

    Raises QuadletError for what it cannot be, with file and line.
    """
    check_name(file, shown)
    entries = parse(text, shown)
    for name, more in drop_ins:
        entries += parse(more, name)
    quadlet = Quadlet(file, origin, UnitFile(entries))
    for entry in entries:
        keys.check(entry, quadlet.section)
    if not any(entry.section == quadlet.section for entry in entries) and quadlet.kind in (
        "container", "image", "build"
    ):  # fmt: skip
        raise QuadletError(
            f"{shown}: there is no section [{quadlet.section}]",
            remedy=f"a .{quadlet.kind} file says in it what it is",
        )
    return quadlet


def check_name(file: str, shown: str) -> None:
    """Raise QuadletError for the name of a file that is no quadlet."""
    stem, _, kind = file.rpartition(".")
    if kind in keys.NOT_KINDS:
        raise QuadletError(
            f"{shown}: cannot read a .{kind} file: {keys.NOT_KINDS[kind]}",
            remedy="describe each container in a .container file",
            code="RL-NOT-HERE",
        )
    if kind not in keys.KINDS:
        raise QuadletError(
            f"{shown} is no quadlet: its name ends with none of "
            f"{', '.join(f'.{one}' for one in keys.KINDS)}{near(kind, list(keys.KINDS))}",
            remedy="rename it",
        )
    prefix, _, instance = stem.partition("@")
    if not prefix or set(prefix + instance) - _NAME or prefix.startswith("."):
        raise QuadletError(
            f"{shown}: {stem!r} cannot be the name of a unit",
            remedy="use letters, digits and : - _ . in it, and one @ for a template",
        )


def drop_in_directories(file: str) -> list[str]:
    """The directories of a file's drop-ins, the most general first (systemd.unit(5)).

    container.d, web-.container.d, web-app@.container.d, web-app@1.container.d
    """
    stem, _, kind = file.rpartition(".")
    prefix, at, instance = stem.partition("@")
    found = [f"{kind}.d"]
    parts = prefix.split("-")
    found += [f"{'-'.join(parts[:n])}-.{kind}.d" for n in range(1, len(parts))]
    if at and instance:
        found.append(f"{prefix}@.{kind}.d")
    return [*found, f"{stem}.{kind}.d"]


class Collection:
    """Quadlets by the names of their files."""

    def __init__(self, quadlets: list[Quadlet]) -> None:
        self.by_file = {one.file: one for one in quadlets}

    def find(self, file: str) -> Quadlet | None:
        """The quadlet, or the instance of its template."""
        found = self.by_file.get(file)
        stem, _, kind = file.rpartition(".")
        prefix, at, instance = stem.partition("@")
        if found is None and at and instance:
            template = self.by_file.get(f"{prefix}@.{kind}")
            return None if template is None else template.instance(instance)
        return found

    def referred(self, file: str, entry: Entry, by: Quadlet) -> Quadlet:
        """What an assignment of `by` names; a template's own instance for a template's instance.

        Raises QuadletError when there is none.
        """
        found = self.find(file)
        if found is None:
            hint = near(file, list(self.by_file))
            raise entry.error(
                f"{entry.key}= names {file}, which there is not{hint}",
                "install it too: rl quadlet install takes several files, and directories",
                "RL-QUADLET-REFERENCE",
            )
        if found.template:
            instance = by.stem.partition("@")[2]
            return found.instance(instance) if instance else found
        return found


def named_units(quadlet: Quadlet, names: tuple[str, ...]) -> list[tuple[Entry, str]]:
    """The quadlet files that [Unit] names by these keys: (assignment, file)."""
    found = []
    for key in names:
        for entry in quadlet.unit.all("Unit", key):
            found += [(entry, word) for word in entry.value.split() if is_quadlet(word)]
    return found


def is_quadlet(word: str) -> bool:
    return word.rpartition(".")[2] in keys.KINDS
