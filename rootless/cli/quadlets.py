"""What the commands of `rl quadlet` share: the installed files, and who runs them."""

import os
from collections.abc import Callable

from rootless import log
from rootless.context import Context
from rootless.errors import QuadletError, RlError, UsageError
from rootless.quadlet import collection, place, units
from rootless.quadlet.collection import Quadlet
from rootless.quadlet.direct import Starter, need_instance
from rootless.quadlet.keys import KINDS
from rootless.quadlet.translate import Plan, translate
from rootless.quadlet.unitfile import near
from rootless.runtime import user_systemd

JOURNAL = "/run/systemd/journal/socket"
_MARK = "# Made by rl quadlet install of "


class Installed:
    """The installed quadlets of a user, and what runs them here."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.place = place.directory(user_systemd.config_home(ctx))
        self.sources = place.load(self.place)
        self.quadlets = place.as_collection(self.sources)
        self._no_systemd: RlError | None = None
        self._asked = False

    @property
    def systemd(self) -> bool:
        """Whether the user's systemd runs them; else rl does."""
        if not self._asked:
            self._no_systemd = user_systemd.missing(self.ctx)
            self._asked = True
        return self._no_systemd is None

    def replace(self, sources: dict[str, place.Source]) -> None:
        """Take these for the installed ones from now on."""
        self.sources = sources
        self.quadlets = place.as_collection(sources)

    def find(self, name: str) -> Quadlet:
        """What "web", "web.container", "web.service" or "web@1" names.

        Raises QuadletError RL-QUADLET-NOT-FOUND.
        """
        candidates = [name] if collection.is_quadlet(name) else []
        stem = name.removesuffix(".service")
        candidates += [f"{stem}.{kind}" for kind in KINDS]
        for kind, (_, suffix) in KINDS.items():
            if suffix and stem.endswith(suffix):
                candidates.append(f"{stem.removesuffix(suffix)}.{kind}")
        for one in candidates:
            found = self.quadlets.find(one)
            if found is not None:
                return found
        raise QuadletError(
            f"no quadlet {name} is installed{near(name, list(self.sources))}",
            remedy="see rl quadlet list, and install it with: rl quadlet install FILE",
            code="RL-QUADLET-NOT-FOUND",
        )

    def source_of(self, quadlet: Quadlet) -> str:
        """The path that it was installed from; an instance's is its template's."""
        source = self.sources.get(quadlet.file)
        if source is None:
            stem, _, kind = quadlet.file.rpartition(".")
            source = self.sources.get(f"{stem.partition('@')[0]}@.{kind}")
        return source.path if source is not None else ""

    def starter(self) -> Starter:
        """What runs them where there is no systemd."""
        paths = {file: source.path for file, source in self.sources.items()}
        program = user_systemd.program(self.ctx)
        return Starter(self.ctx, program, self.quadlets, paths, log.note)

    def unit_text(self, quadlet: Quadlet) -> str:
        """The unit of systemd that a quadlet becomes."""
        ctx = self.ctx
        plan = translate(quadlet, self.quadlets, journal=os.path.exists(JOURNAL))
        program = units.Program(user_systemd.program(ctx), user_systemd.environment(ctx))
        return units.of_quadlet(plan, self.quadlets, program, self.source_of(quadlet))

    def check_unit_is_ours(self, quadlet: Quadlet) -> None:
        """Raise QuadletError when another unit has the name, which would be overwritten."""
        path = f"{user_systemd.units(self.ctx)}/{quadlet.service}"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                ours = file.readline().startswith(_MARK)
        except FileNotFoundError:
            return
        if not ours:
            raise QuadletError(
                f"there is another unit {path}",
                remedy=f"remove it, or rename {quadlet.file}",
                code="RL-QUADLET-UNIT-TAKEN",
            )

    def write_units(self) -> None:
        """Make the units of all installed quadlets, and let systemd read them."""
        for source in self.sources.values():
            text = self.unit_text(source.quadlet)
            user_systemd.write_unit(self.ctx, source.quadlet.service, text)
        user_systemd.systemctl(self.ctx, "daemon-reload")

    def status(self, quadlet: Quadlet) -> str:
        """One word: as systemd says it, or what rl sees of it."""
        if quadlet.template:
            return "template"
        if self.systemd:
            found = user_systemd.property_of(self.ctx, quadlet.service, "ActiveState")
            return found or "not loaded"
        plan = translate(quadlet, self.quadlets, direct=True)
        return self._seen(plan)

    def _seen(self, plan: Plan) -> str:
        from rootless.store import images, volumes

        starter = self.starter()
        if plan.quadlet.kind == "container":
            there = starter.container(plan)
            return str(there.state.get("status", "created")) if there is not None else "inactive"
        if plan.quadlet.kind == "network":
            return "active"
        name = starter.name(plan)
        if plan.quadlet.kind == "volume":
            return "active" if volumes.read(self.ctx.paths, name) is not None else "inactive"
        return "active" if images.find(self.ctx.paths, name) is not None else "inactive"


def names(values: dict[str, object], command: str) -> list[str]:
    """The quadlets that were named.  Raises UsageError for none."""
    given = values["names"]
    assert isinstance(given, list)
    if not given and not values.get("all"):
        raise UsageError(
            f"rl quadlet {command} needs a name", remedy=f"see: rl quadlet {command} --help"
        )
    return [str(one) for one in given]


def for_each(found: list[Quadlet], act: Callable[[Quadlet], None]) -> int:
    """Call `act` for each and print its name; one that fails makes the status 1."""
    status = 0
    for quadlet in found:
        try:
            act(quadlet)
            print(quadlet.file, flush=True)
        except RlError as e:
            log.error(e.one_line())
            status = 1
    return status


def startable(installed: Installed, values: dict[str, object], command: str) -> list[Quadlet]:
    """The quadlets named for start and stop: with --all, every container that is no template."""
    found = [installed.find(name) for name in names(values, command)]
    for quadlet in found:
        need_instance(quadlet)
    if values.get("all"):
        found = [
            one.quadlet
            for one in installed.sources.values()
            if one.quadlet.kind == "container" and not one.quadlet.template
        ]
    return found
