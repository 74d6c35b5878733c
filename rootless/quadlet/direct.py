"""Starting and stopping quadlets without systemd: by commands of rl, in the order they need."""

import os
import subprocess
from collections.abc import Callable

from rootless.context import Context
from rootless.errors import ContainerError, QuadletError
from rootless.quadlet import specifiers, words
from rootless.quadlet.collection import HOLDING, Collection, Quadlet, named_units
from rootless.quadlet.translate import Plan, translate
from rootless.quadlet.units import START_S
from rootless.records import dataclass
from rootless.store import containers, images

# What systemd alone does, and whose lack changes nothing of what the container is.
_SILENT = frozenset(
    "Type Restart RestartSec RemainAfterExit TimeoutStartSec TimeoutStopSec TimeoutSec KillMode "
    "Delegate SyslogIdentifier Environment Slice SuccessExitStatus "
    "StartLimitBurst StartLimitIntervalSec TimeoutAbortSec NotifyAccess".split()
)


@dataclass(frozen=True, slots=True)
class Starter:
    """What starts quadlets: rl as `program`, told to `notify` what is worth a line."""

    ctx: Context
    program: list[str]
    quadlets: Collection
    sources: dict[str, str]  # file -> the path that it was installed from
    notify: Callable[[str], None]

    def start(self, file: str) -> None:
        """Start a quadlet and before it all that it needs.  Raises RlError of what failed."""
        for plan in in_order(self.quadlets, [self._known(file)]):
            self._start_one(plan)

    def stop(self, file: str) -> None:
        """Stop a quadlet, and before it the containers that cannot do without it."""
        for one in [*self._held_by(self._known(file)), self._known(file)]:
            plan = translate(one, self.quadlets, direct=True)
            if plan.stop and self.container(plan) is not None:
                for line in plan.stop:
                    self._run(plan, "stop", line)

    def container(self, plan: Plan) -> "containers.Container | None":
        """The container of a plan; None when there is none."""
        try:
            return containers.find(self.ctx, self.name(plan))
        except ContainerError:
            return None

    def name(self, plan: Plan) -> str:
        """The name of its container, volume or image, as it is here."""
        return self.evaluate(plan, [plan.resource])[0]

    def evaluate(self, plan: Plan, line: list[str]) -> list[str]:
        """The words of a command, as systemd would give them to rl."""
        quadlet = plan.quadlet
        source = self.sources.get(quadlet.file) or f"{quadlet.origin}/{quadlet.file}"
        known = specifiers.of_unit(quadlet.service, source, self.ctx.environ)
        environ = dict(self.ctx.environ)
        for entry in quadlet.unit.all("Service", "Environment"):
            for word in words.split(entry.value):
                key, _, value = words.specifiers(word, known).partition("=")
                environ[key] = value
        return words.expand(line, known, environ)

    def _known(self, file: str) -> Quadlet:
        found = self.quadlets.find(file)
        assert found is not None
        return found

    def _start_one(self, plan: Plan) -> None:
        if plan.quadlet.kind == "container":
            there = self.container(plan)
            if there is not None and there.running:
                return
            self._say_what_is_left_out(plan)
        if plan.quadlet.kind == "image" and images.find(self.ctx.paths, self.name(plan)):
            return
        for line in plan.start:
            self._run(plan, "start", line)
        if plan.ready:
            self._wait_until_ready(plan)

    def _wait_until_ready(self, plan: Plan) -> None:
        """Wait as the unit would; what has ended, or takes too long, is stopped and an error."""
        limit = plan.quadlet.unit.value("Service", "TimeoutStartSec")
        name = self.name(plan)
        try:
            self._run(
                plan,
                "start",
                [*plan.ready[:-1], "--condition=exited", plan.ready[-1]],
                timeout_s=int(limit) if limit.isdecimal() and int(limit) else START_S,
            )
            there = self.container(plan)
            if there is not None and there.running:
                return
            why = "its container ended before it was healthy"
        except subprocess.TimeoutExpired as e:
            why = f"its container was not healthy after {e.timeout:.0f} s"
        self._run(plan, "stop", plan.stop[0])
        raise QuadletError(
            f"cannot start {plan.quadlet.file}: {why}",
            remedy=f"see what it says: rl logs {name}, rl inspect {name}",
            code="RL-QUADLET-UNHEALTHY",
        )

    def _say_what_is_left_out(self, plan: Plan) -> None:
        left = []
        for entry in plan.quadlet.unit.of("Service"):
            if entry.key.startswith("Exec"):
                raise entry.error(
                    f"{entry.key}= needs systemd",
                    "leave it out, or do it in the container",
                    "RL-QUADLET-NO-SYSTEMD",
                )
            if entry.key not in _SILENT:
                left.append(entry.key)
        if left:
            keys = ", ".join(f"{key}=" for key in dict.fromkeys(left))
            self.notify(f"{plan.quadlet.file}: without systemd nobody acts on {keys} of [Service]")

    def _run(self, plan: Plan, verb: str, line: list[str], timeout_s: float | None = None) -> None:
        """One command of rl; its error becomes ours, with its code."""
        done = subprocess.run(
            [*self.program, *self.evaluate(plan, line)],
            env=dict(self.ctx.environ),
            cwd=self.ctx.home if os.path.isdir(self.ctx.home) else "/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
        told = [one for one in done.stderr.splitlines() if one]
        if done.returncode == 0:
            return
        why = told[-1].removeprefix("Error: ") if told else f"status {done.returncode}"
        text, bracket, code = why.rpartition(" [RL-")
        raise QuadletError(
            f"cannot {verb} {plan.quadlet.file}: {text if bracket else why}",
            code=f"RL-{code.removesuffix(']')}" if bracket else "RL-QUADLET-RUN",
        )

    def _held_by(self, quadlet: Quadlet) -> list[Quadlet]:
        """Those that end with `quadlet`, the last ones first."""
        found: list[Quadlet] = []
        for other in self.quadlets.by_file.values():
            if other.template or quadlet.file not in _holders(other) - {other.file}:
                continue
            found += [one for one in self._held_by(other) if one not in found]
            if other not in found:
                found.append(other)
        return found


def _holders(quadlet: Quadlet) -> set[str]:
    return {file for _, file in named_units(quadlet, HOLDING)}


def in_order(quadlets: Collection, wanted: list[Quadlet]) -> list[Plan]:
    """The plans of `wanted` and all that they need, each after what it needs.

    What [Unit] names by After= and Before= is kept where both are started.  Raises QuadletError
    RL-QUADLET-CYCLE.
    """
    plans: dict[str, Plan] = {}
    _collect(quadlets, wanted, plans)
    before: dict[str, set[str]] = {file: set() for file in plans}
    for file, plan in plans.items():
        before[file] |= {one.file for one in plan.needs}
        before[file] |= _named(plan, ("After",)) & set(plans)
        for later in _named(plan, ("Before",)) & set(plans):
            before[later].add(file)
    done: list[str] = []
    for file in plans:
        _place(file, before, done, [])
    return [plans[file] for file in done]


def _collect(quadlets: Collection, wanted: list[Quadlet], plans: dict[str, Plan]) -> None:
    for quadlet in wanted:
        if quadlet.file not in plans:
            plans[quadlet.file] = plan = translate(quadlet, quadlets, direct=True)
            _collect(quadlets, plan.needs, plans)


def _named(plan: Plan, names: tuple[str, ...]) -> set[str]:
    return {file for _, file in named_units(plan.quadlet, names)}


def _place(file: str, before: dict[str, set[str]], done: list[str], path: list[str]) -> None:
    if file in done:
        return
    if file in path:
        circle = " -> ".join([*path[path.index(file) :], file])
        raise QuadletError(
            f"quadlets wait for each other: {circle}",
            remedy="take one of these references away",
            code="RL-QUADLET-CYCLE",
        )
    for other in sorted(before[file]):
        _place(other, before, done, [*path, file])
    done.append(file)


def need_instance(quadlet: Quadlet) -> None:
    """Raise QuadletError for a template where an instance is needed."""
    if quadlet.template:
        raise QuadletError(
            f"{quadlet.file} is a template",
            remedy=f"name an instance: {quadlet.stem}NAME",
            code="RL-QUADLET-TEMPLATE",
        )
