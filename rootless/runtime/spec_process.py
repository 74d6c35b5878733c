"""The program of a container: its command line, environment, user and limits.  Pure."""

from rootless.errors import UsageError
from rootless.linux import rlimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rootless.runtime.options import RunOptions

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command_line(
    options: "RunOptions", image_config: "Mapping[str, Any]"
) -> tuple[list[str], list[str]]:
    """(entrypoint, command) of the container: what is given replaces what the image has.

    A given entrypoint, empty or not, drops the image's CMD too.  Raises UsageError when nothing
    is left to run.
    """
    if options.entrypoint is None:
        entrypoint = strings(image_config.get("Entrypoint"))
        command = options.args or strings(image_config.get("Cmd"))
    else:
        entrypoint, command = options.entrypoint, options.args
    if not entrypoint and not command:
        raise UsageError(
            f"no command specified, and {options.image or 'the image'} has none",
            remedy="name the program after the image: rl run IMAGE COMMAND",
            code="RL-NO-COMMAND",
        )
    return list(entrypoint), list(command)


def environment(
    given: "Sequence[str]", image: "Sequence[str]", *, hostname: str, terminal: bool
) -> list[str]:
    """The variables in Docker's order: defaults, what is given, what only the image has.

    A given NAME without a value removes the variable.  HOME is the stage's: it knows the user.
    """
    found = {"PATH": PATH, "HOSTNAME": hostname}
    if terminal:
        found["TERM"] = "xterm"
    for entry in given_first(given, image):
        name, equals, value = entry.partition("=")
        if equals:
            found[name] = value
        else:
            found.pop(name, None)
    return [f"{name}={value}" for name, value in found.items()]


def merge(environment: "Sequence[str]", merges: "Sequence[str]") -> list[str]:
    """`environment` with the entries of --env-merge, whose ${NAME} stand for its variables."""
    if not merges:
        return list(environment)
    found = dict(entry.partition("=")[::2] for entry in environment)
    for entry in merges:
        name, _, text = entry.partition("=")
        found[name] = _expand(text, found)
    return [f"{name}={value}" for name, value in found.items()]


def _expand(text: str, values: "Mapping[str, str]") -> str:
    """$NAME and ${NAME}; what is not set is empty (Go's os.Expand)."""
    parts, position = [], 0
    while (dollar := text.find("$", position)) >= 0:
        parts.append(text[position:dollar])
        if text.startswith("{", dollar + 1) and (end := text.find("}", dollar)) > 0:
            parts.append(values.get(text[dollar + 2 : end], ""))
            position = end + 1
            continue
        end = dollar + 1
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        parts.append(values.get(text[dollar + 1 : end], "") if end > dollar + 1 else "$")
        position = end
    return "".join(parts) + text[position:]


def given_first(given: "Sequence[str]", image: "Sequence[str]") -> list[str]:
    """`given`, then those entries of `image` whose names are not among them."""
    names = {entry.partition("=")[0] for entry in given}
    return [*given, *(entry for entry in image if entry.partition("=")[0] not in names)]


def capability_sets(names: "Sequence[str]") -> dict[str, list[str]]:
    """The sets of runtime-spec.  None is inheritable or ambient: CVE-2022-24769."""
    return {
        "bounding": list(names),
        "effective": list(names),
        "permitted": list(names),
        "inheritable": [],
        "ambient": [],
    }


def rlimits(
    asked: "Sequence[Mapping[str, Any]]", host: "dict[str, tuple[int, int]] | None"
) -> "list[dict[str, Any]]":
    """The limits that are set: rl's defaults within those of the host, then what is asked for."""
    found = {
        f"RLIMIT_{name.upper()}": limits for name, limits in rlimit.defaults(host or {}).items()
    }
    for limit in asked:
        found[limit["type"]] = (limit["soft"], limit["hard"])
    return [
        {"type": name, "soft": soft & rlimit.INFINITY, "hard": hard & rlimit.INFINITY}
        for name, (soft, hard) in found.items()
    ]


def strings(value: object) -> list[str]:
    """A list of strings of an image config, in which nothing can be taken for granted."""
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []


def keys(value: object) -> list[str]:
    """The keys of Docker's sets ({"80/tcp": {}}), or a list's items."""
    if isinstance(value, (dict, list)):
        return [str(item) for item in value]
    return []
