"""The command that makes a container anew, from what it was asked for."""

from rootless.cli._table import TABLE
from rootless.cli.parse import LIST, OFF, ON
from rootless.errors import ContainerError
from rootless.store.containers import Container

# The unit says itself how it runs.
_LEFT_OUT = ("attach", "cidfile", "detach", "detach_keys", "name", "replace", "restart", "rm",
             "sig_proxy", "trace")  # fmt: skip


def words(container: Container) -> list[str]:
    """`run …` of the container, detached and removed at its end.

    Raises ContainerError RL-BOOT-CONTAINER for one that an older rl has made.
    """
    asked = container.config.get("asked")
    if not asked:
        raise ContainerError(
            f"it is not known how {container.name} was made",
            remedy="it is a fork, or of an older rl: make it anew with rl run, or leave --new out",
            code="RL-BOOT-CONTAINER",
        )
    values = {name: value for name, value in asked["values"].items() if name not in _LEFT_OUT}
    usual = ["run", "--detach", "--rm", "--replace", f"--name={container.name}"]
    return [*usual, *write("run", values)]


def directory(container: Container) -> str:
    """Where it was asked for: relative paths in words() begin there."""
    return str((container.config.get("asked") or {}).get("directory", ""))


def write(command: str, values: dict[str, object]) -> list[str]:
    """Words that parse() reads as `values`; what is as usual is not said."""
    _, _, options, arguments, defaults = TABLE[command]
    flags: dict[str, tuple[str, int]] = {}
    for flag, (name, kind) in options.items():
        if flag.startswith("--") and kind != OFF:
            flags.setdefault(name, (flag, kind))
    found: list[str] = []
    for name, (flag, kind) in flags.items():
        value = values.get(name, defaults.get(name))
        if value == defaults.get(name):
            continue
        if kind == ON:
            found.append(flag if value else f"{flag}=false")
        elif kind == LIST:
            assert isinstance(value, list)
            found += [f"{flag}={one}" for one in value]
        else:
            found.append(f"{flag}={value}")
    rest: list[str] = []
    for name, _ in arguments:
        value = values.get(name)
        rest += [str(one) for one in value] if isinstance(value, list) else [str(value)]
    return [*found, *(["--"] if rest and rest[0].startswith("-") else []), *rest]
