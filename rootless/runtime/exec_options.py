"""What `rl exec` was asked for, as the process object of runtime-spec.  Pure but for env files."""

from rootless.errors import UsageError
from rootless.linux import caps
from rootless.runtime.options_environment import environment, read_file
from rootless.runtime.options_security import check_user
from rootless.runtime.options_text import absolute, flag, parse_detach_keys, text, texts
from rootless.runtime.spec_process import capability_sets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def process_for_exec(
    values: "Mapping[str, object]",
    config: "Mapping[str, Any]",
    *,
    environ: "Mapping[str, str]",
    cwd: str,
    read: "Callable[[str], bytes]" = read_file,
) -> "dict[str, Any]":
    """The process that `values` ask for in the container of `config` (its config.json).

    The object "rl" in it: user ("name:group", "" for root), groups, detach, interactive,
    detach_keys, privileged, and seccomp (path of the program, "" for none).  Raises UsageError.
    """
    args = texts(values, "args")
    if not args:
        raise UsageError(
            "no command specified", remedy="rl exec CONTAINER COMMAND", code="RL-NO-COMMAND"
        )
    detach, interactive = flag(values, "detach"), flag(values, "interactive")
    terminal, privileged = flag(values, "tty"), flag(values, "privileged")
    workdir = text(values, "workdir")
    if workdir and not workdir.startswith("/"):
        raise UsageError(
            f"the working directory '{workdir}' is invalid, it needs to be an absolute path",
            remedy=f"write /{workdir}",
        )
    keys = text(values, "detach_keys")
    if keys:
        parse_detach_keys(keys)
    files = [absolute(path, cwd) for path in texts(values, "env_file")]
    given = environment(texts(values, "env"), files, environ, read)
    own = config["process"]
    user = check_user(text(values, "user"))
    extension = config["rl"]
    return {
        "terminal": terminal,
        "user": own["user"],
        "args": args,
        "env": _environment(own["env"], given, terminal=terminal),
        "cwd": absolute(workdir or own["cwd"], "/"),
        "capabilities": capability_sets(caps.NAMES) if privileged else own["capabilities"],
        "rlimits": own["rlimits"],
        "noNewPrivileges": own["noNewPrivileges"] and not privileged,
        "oomScoreAdj": own.get("oomScoreAdj"),
        "landlock": () if privileged else own.get("landlock", ()),
        "rl": {
            "user": user or extension["user"],
            # As Docker: --group-add is for the container's own user.
            "groups": [] if user else extension["groups"],
            "detach": detach,
            "interactive": interactive and not detach,
            "detach_keys": keys,
            "privileged": privileged,
            "seccomp": "" if privileged else extension["seccomp"],
        },
    }


def _environment(own: list[str], given: list[str], *, terminal: bool) -> list[str]:
    """The container's variables, changed by what is given; TERM is there with a terminal."""
    found = dict(entry.partition("=")[::2] for entry in own)
    if terminal:
        found.setdefault("TERM", "xterm")
    for entry in given:
        name, equals, value = entry.partition("=")
        if equals:
            found[name] = value
        else:
            found.pop(name, None)
    return [f"{name}={value}" for name, value in found.items()]
