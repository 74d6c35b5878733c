"""--cap-add, --cap-drop, --security-opt, --device and --user."""

from rootless.errors import UsageError
from rootless.linux import caps
from rootless.runtime.options_text import absolute, closest, parse_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SECURITY_KEYS = (
    "apparmor",
    "label",
    "mask",
    "no-new-privileges",
    "proc-opts",
    "seccomp",
    "systempaths",
    "unmask",
)


def parse_capabilities(names: list[str], option: str) -> list[str]:
    """Full names ("CAP_NET_ADMIN", "ALL") without repetition.  Raises UsageError."""
    found: dict[str, None] = {}
    for name in (word for entry in names for word in entry.split(",")):
        parsed = caps.parse(name)
        if not parsed:
            wanted = name.strip().upper().removeprefix("CAP_")
            hint = closest(wanted, [known.removeprefix("CAP_") for known in caps.NAMES])
            raise UsageError(
                f'unknown capability "{name}" for {option}',
                remedy=hint or "capabilities(7) lists them; ALL means all",
            )
        found[parsed] = None
    return list(found)


def effective_capabilities(add: list[str], drop: list[str], privileged: bool) -> list[str]:
    """The capabilities of a container, by the rule of moby's TweakCapabilities."""
    if privileged:
        return list(caps.NAMES)
    if "ALL" in add:
        return [name for name in caps.NAMES if name not in drop]
    added = [name for name in add if name != "ALL"]
    if "ALL" in drop:
        return added
    kept = [name for name in caps.DEFAULT if name not in drop]
    return kept + [name for name in added if name not in kept]


def parse_security(specs: list[str], cwd: str) -> "dict[str, Any]":
    """--security-opt as a dictionary:

    no_new_privileges  bool
    seccomp            "" (the default profile), "unconfined", or the absolute path of a profile
    system_paths       "unconfined" leaves /proc and /sys as they are; else ""
    mask, unmask       paths to hide, and not to hide ("ALL" among the latter)
    proc_options       mount options for /proc

    `landlock`, the rules of --landlock, is put beside them.
    """
    found: dict[str, Any] = {
        "no_new_privileges": False,
        "seccomp": "",
        "system_paths": "",
        "mask": [],
        "unmask": [],
        "proc_options": [],
    }
    for spec in specs:
        # Docker takes "key:value" as well, from the time before "=".
        separator = "=" if "=" in spec else ":"
        key, given, value = spec.partition(separator)
        if key not in _SECURITY_KEYS or (not value and (given or key != "no-new-privileges")):
            raise UsageError(
                f"invalid --security-opt: {spec!r}",
                remedy=closest(key, _SECURITY_KEYS) or f"known are {', '.join(_SECURITY_KEYS)}",
            )
        _SECURITY[key](found, value, cwd)
    return found


def _no_new_privileges(found: "dict[str, Any]", value: str, cwd: str) -> None:
    parsed = parse_bool(value) if value else True
    if parsed is None:
        raise UsageError(
            f"invalid --security-opt no-new-privileges={value}", remedy="true or false"
        )
    found["no_new_privileges"] = parsed


def _seccomp(found: "dict[str, Any]", value: str, cwd: str) -> None:
    if value in ("builtin", "default"):
        found["seccomp"] = ""
    else:
        found["seccomp"] = value if value == "unconfined" else absolute(value, cwd)


def _apparmor(found: "dict[str, Any]", value: str, cwd: str) -> None:
    if value != "unconfined":
        raise UsageError(
            f"cannot use the AppArmor profile {value}: loading a profile needs root",
            remedy="use apparmor=unconfined, and seccomp=FILE to narrow what it may do",
            code="RL-NEEDS-ROOT",
        )


def _label(found: "dict[str, Any]", value: str, cwd: str) -> None:
    if value not in ("disable", "nested"):
        raise UsageError(
            f"cannot set the SELinux label {value}: without root a process keeps the label that "
            "it has",
            remedy="leave it out, or use label=disable",
            code="RL-NEEDS-ROOT",
        )


def _system_paths(found: "dict[str, Any]", value: str, cwd: str) -> None:
    if value != "unconfined":
        raise UsageError(
            f"invalid --security-opt systempaths={value}", remedy="the one value is unconfined"
        )
    found["system_paths"] = value


def _mask(found: "dict[str, Any]", value: str, cwd: str) -> None:
    found["mask"] += _paths("mask", value)


def _unmask(found: "dict[str, Any]", value: str, cwd: str) -> None:
    found["unmask"] += ["ALL"] if value.upper() == "ALL" else _paths("unmask", value)


def _proc_options(found: "dict[str, Any]", value: str, cwd: str) -> None:
    for word in value.split(","):
        key = word.partition("=")[0]
        if key not in ("hidepid", "gid", "subset", "nosuid", "nodev", "noexec", "ro", "rw"):
            raise UsageError(
                f"invalid option '{word}' in --security-opt proc-opts={value}",
                remedy="proc(5) has hidepid=, gid= and subset=",
            )
        found["proc_options"].append(word)


def _paths(key: str, value: str) -> list[str]:
    paths = value.split(":")
    for path in paths:
        if not path.startswith("/"):
            raise UsageError(
                f"invalid --security-opt {key}={value}: {path or 'an empty path'} is not absolute",
                remedy="separate absolute paths with colons",
            )
    return paths


_SECURITY = {
    "apparmor": _apparmor,
    "label": _label,
    "mask": _mask,
    "no-new-privileges": _no_new_privileges,
    "proc-opts": _proc_options,
    "seccomp": _seccomp,
    "systempaths": _system_paths,
    "unmask": _unmask,
}


def parse_landlock(specs: list[str]) -> "list[dict[str, str | int]]":
    """--landlock as rules of linux/landlock: ro=PATH, rw=PATH, connect=PORT, bind=PORT.

    Separated by commas, and repeatable; PATH is absolute and in the container.
    """
    rules: list[dict[str, str | int]] = []
    for rule in (rule for spec in specs for rule in spec.split(",")):
        access, _, value = rule.partition("=")
        if access in ("ro", "rw") and value.startswith("/"):
            rules.append({"access": access, "path": value})
        elif access in ("connect", "bind") and value.isdecimal() and int(value) <= 65535:
            rules.append({"access": access, "port": int(value)})
        else:
            raise UsageError(
                f"invalid --landlock {rule!r}",
                remedy="write ro=PATH, rw=PATH (absolute paths), connect=PORT or bind=PORT",
            )
    return rules


def parse_devices(specs: list[str]) -> list[dict[str, str]]:
    """[{"source", "target", "permissions"}, ...] of HOST-PATH[:CONTAINER-PATH][:PERMISSIONS].

    Permissions are kept for inspect: what a process may do with a node is up to the node's mode,
    as no device cgroup can be set without root.
    """
    found = []
    for spec in specs:
        parts = spec.split(":")
        form = "write /dev/X[:/dev/Y][:rwm]"
        if len(parts) > 3 or not parts[0].startswith("/"):
            raise UsageError(f"invalid device specification: {spec}", remedy=form)
        source = target = absolute(parts[0], "/")
        permissions = "rwm"
        if len(parts) == 3:
            permissions = parts[2]
            target = parts[1] or source
        elif len(parts) == 2 and is_device_mode(parts[1]):
            permissions = parts[1]
        elif len(parts) == 2:
            target = parts[1]
        if not is_device_mode(permissions):
            raise UsageError(f"invalid device mode in {spec}: {permissions}", remedy=form)
        if not target.startswith("/") or absolute(target, "/") == "/":
            raise UsageError(f"{target} is not an absolute path (--device {spec})", remedy=form)
        found.append(
            {"source": source, "target": absolute(target, "/"), "permissions": permissions}
        )
    return found


def split_cdi(specs: list[str]) -> tuple[list[str], list[str]]:
    """(paths, CDI devices VENDOR/CLASS=NAME) of --device.  Raises UsageError."""
    paths, names = [], []
    for spec in specs:
        kind, equals, name = spec.partition("=")
        if not equals or spec.startswith("/"):
            paths.append(spec)
            continue
        vendor, slash, group = kind.partition("/")
        if not (slash and vendor and group and name) or "/" in group:
            raise UsageError(
                f"invalid device specification: {spec}",
                remedy="a CDI device is VENDOR/CLASS=NAME, as nvidia.com/gpu=all",
            )
        names.append(spec)
    return paths, names


def is_device_mode(text: str) -> bool:
    """Some of "rwm", each once."""
    return bool(text) and all(text.count(c) == 1 and c in "rwm" for c in text)


def check_user(value: str, option: str = "--user") -> str:
    """user[:group], each a name or a number; looked up in the container later."""
    user, colon, group = value.partition(":")
    bad = any(c.isspace() or c == "\0" for c in value) or ":" in group or (colon and not group)
    numbers = [n for n in (user, group) if n.isdecimal()]
    if bad or any(int(n) > 2**32 - 2 for n in numbers) or user.startswith("-"):
        raise UsageError(
            f'invalid {option} "{value}"', remedy="write USER[:GROUP], each a name or a number"
        )
    return value
