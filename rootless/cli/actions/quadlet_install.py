"""`rl quadlet install`."""

from rootless import log
from rootless.cli import quadlets
from rootless.cli._table import TABLE
from rootless.cli.output import write
from rootless.cli.parse import OFF, ON, parse
from rootless.context import Context
from rootless.errors import QuadletError, RlError, UsageError
from rootless.quadlet import place
from rootless.quadlet.collection import Collection
from rootless.quadlet.direct import in_order
from rootless.quadlet.translate import Plan, translate
from rootless.quadlet.unitfile import near
from rootless.runtime import user_systemd


def main(ctx: Context, values: dict[str, object]) -> int:
    """Read, check and keep quadlet files, all or none of them."""
    given = values["files"]
    assert isinstance(given, list)
    new = [place.read_file(path) for path in place.find_files([str(one) for one in given])]
    installed = quadlets.Installed(ctx)
    for source in new:
        file = source.quadlet.file
        if file in installed.sources and not values.get("replace"):
            raise QuadletError(
                f"{file} is installed already",
                remedy="use --replace, or remove it first: rl quadlet rm",
                code="RL-QUADLET-EXISTS",
            )
    installed.replace({**installed.sources, **{one.quadlet.file: one for one in new}})
    for source in installed.sources.values():
        _check(ctx, installed, source)
    _check_names(installed.quadlets)
    if installed.systemd:
        for source in new:
            installed.check_unit_is_ours(source.quadlet)
    try:
        place.keep(installed.place, new)
    except OSError as e:
        from rootless.store import atomic

        raise atomic.store_error(e, f"write below {installed.place}") from e
    write("".join(f"{source.quadlet.file}\n" for source in new))
    if installed.systemd:
        installed.write_units()
        _enable(ctx, new)
    return 0


def _check(ctx: Context, installed: "quadlets.Installed", source: place.Source) -> None:
    """Raise what is wrong with a quadlet among the others, before anything is kept."""
    quadlet = source.quadlet
    translate(quadlet, installed.quadlets)
    if quadlet.template:
        return
    for plan in in_order(installed.quadlets, [quadlet]):
        if plan.quadlet.file == quadlet.file:
            _check_commands(ctx, installed, plan)


def _check_commands(ctx: Context, installed: "quadlets.Installed", plan: Plan) -> None:
    """Let rl's own parsers look at what the unit would run."""
    from rootless.runtime.options import RunOptions

    for line in plan.start:
        words = installed.starter().evaluate(plan, line)
        command, rest = words[0], words[1:]
        if words[0] == "volume":
            command, rest = " ".join(words[:2]), words[2:]
        try:
            values = parse(TABLE[command], rest)
            if values is None:
                raise _not_understood(command, rest)
            if command == "run":
                values["env_file"] = []  # read at each start
                RunOptions.from_values(values, environ=ctx.environ, cwd=ctx.home, home=ctx.home)
        except RlError as e:
            raise QuadletError(
                f"{installed.source_of(plan.quadlet)}: {e.what}", remedy=e.remedy, code=e.code
            ) from e


def _not_understood(command: str, words: list[str]) -> UsageError:
    """Why the parser did not take these words: an option of PodmanArgs= that rl does not have."""
    from rootless.cli import refused

    options = TABLE[command][2]
    words = list(words)
    while words and words[0].startswith("-"):
        flag, equals, _ = words.pop(0).partition("=")
        if flag not in options and flag.startswith("--"):
            hint = near(flag, list(options))
            return refused.find(command, flag) or UsageError(
                f"rl {command} has no option {flag}{hint}", remedy=f"see rl {command} --help"
            )
        if not equals and words and options.get(flag, ("", ON))[1] > OFF:
            words.pop(0)
    return UsageError(
        f"rl {command} does not understand what PodmanArgs= has", remedy=f"see rl {command} --help"
    )


def _check_names(all_of_them: Collection) -> None:
    """Two files that become one unit would hide each other."""
    services: dict[str, str] = {}
    for file, quadlet in all_of_them.by_file.items():
        other = services.setdefault(quadlet.service, file)
        if other != file:
            raise QuadletError(
                f"{file} and {other} both become {quadlet.service}",
                remedy="rename one, or give it another ServiceName=",
            )


def _enable(ctx: Context, new: list[place.Source]) -> None:
    """As podman's generator: what has an [Install] section starts at boot."""
    wanted = [one.quadlet for one in new if one.quadlet.unit.of("Install")]
    wanted = [
        one for one in wanted if not one.template or one.unit.last("Install", "DefaultInstance")
    ]
    if not wanted:
        return
    user_systemd.systemctl(ctx, "--quiet", "reenable", *(one.service for one in wanted))
    if not user_systemd.lingers(ctx):
        log.note(
            "these start with your first login, not at boot: rl system autostart enable changes "
            "that, where the host allows it"
        )
