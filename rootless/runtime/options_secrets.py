"""--secret NAME[,type=mount|env][,target=…][,uid=…][,gid=…][,mode=…]: podman's grammar."""

from rootless.errors import UsageError
from rootless.runtime.options_text import absolute, closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DIRECTORY = "/run/secrets"
_KEYS = ("source", "type", "target", "uid", "gid", "mode")


def parse_secrets(specs: list[str]) -> "list[dict[str, Any]]":
    """[{"name", "type" ("mount", "env"), "target" (path or variable), "uid", "gid", "mode"}].

    Raises UsageError.
    """
    found = [_parse(spec) for spec in specs]
    targets = [(one["type"], one["target"]) for one in found]
    for one in found:
        if targets.count((one["type"], one["target"])) > 1:
            raise UsageError(
                f"two secrets for {one['target']}", remedy="give one of them another target="
            )
    return found


def _parse(spec: str) -> "dict[str, Any]":
    first, *rest = spec.split(",")
    fields = {"type": "mount", "target": "", "uid": "0", "gid": "0", "mode": "0444"}
    fields["source"] = "" if "=" in first else first
    for part in [first, *rest] if "=" in first else rest:
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals:
            raise UsageError(
                f"invalid option '{part}' in --secret {spec}",
                remedy=closest(key, _KEYS) or f"known are {', '.join(_KEYS)}",
            )
        fields[key] = value
    name, kind = fields["source"], fields["type"]
    if not name:
        raise UsageError(f"no name in --secret {spec}", remedy="write NAME[,target=PATH]")
    if kind not in ("mount", "env"):
        raise UsageError(f"invalid type '{kind}' in --secret {spec}", remedy="mount or env")
    target = fields["target"] or name
    if kind == "mount":
        target = absolute(target, DIRECTORY)
    elif "=" in target or {"uid", "gid", "mode"} & {part.partition("=")[0] for part in rest}:
        raise UsageError(
            f"--secret {spec}: a variable has no owner, no mode, and no = in its name",
            remedy="write NAME,type=env[,target=VARIABLE]",
        )
    mode = fields["mode"]
    if not mode or not all(c in "01234567" for c in mode) or int(mode, 8) > 0o777:
        raise UsageError(f"invalid mode '{mode}' in --secret {spec}", remedy="octal, as 0400")
    for key in ("uid", "gid"):
        if not (fields[key].isascii() and fields[key].isdecimal() and len(fields[key]) < 11):
            raise UsageError(f"invalid {key} in --secret {spec}", remedy="a number")
    return {
        "name": name, "type": kind, "target": target, "uid": int(fields["uid"]),
        "gid": int(fields["gid"]), "mode": int(mode, 8),
    }  # fmt: skip
