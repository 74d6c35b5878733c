"""--restart, --health-*, --timeout and --pidfile: what the container's parent does.  Warm."""

from rootless.errors import UsageError
from rootless.runtime.options_text import absolute, closest, flag, number, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

POLICIES = ("no", "on-failure", "always", "unless-stopped")
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_UNITS["µs"] = _UNITS["us"]
_HEALTH_TIMES = ("interval", "timeout", "start_period", "start_interval")


def life(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """The section of options_sections.

    restart    {"name": of POLICIES, "retries": int, 0 for no end}
    health     {} for the image's own, {"test": ["NONE"]}, or of "test" (as the image's),
               "interval", "timeout", "start_period", "start_interval" (ns), "retries"
    timeout    seconds until the container is killed, 0 for never
    pidfile    a path, or ""
    """
    fields["restart"] = parse_restart(text(values, "restart"))
    if fields["rm"] and fields["restart"]["name"] != "no":
        raise UsageError("conflicting options: --restart and --rm", remedy="leave one out")
    fields["health"] = _health(values)
    fields["timeout"] = number(values, "timeout") or 0
    if fields["timeout"] < 0:
        raise UsageError("invalid --timeout", remedy="seconds, or 0 for no end")
    pidfile = text(values, "pidfile")
    fields["pidfile"] = absolute(pidfile, cwd) if pidfile else ""


def parse_restart(asked: str) -> "dict[str, Any]":
    """Docker's --restart: "", no, always, unless-stopped, on-failure[:N].  Raises UsageError."""
    name, colon, count = asked.partition(":")
    if name not in POLICIES and (name or colon):
        raise UsageError(
            f"invalid restart policy: unknown policy '{name}'",
            remedy=closest(name, POLICIES) or f"use one of {', '.join(POLICIES)}",
        )
    if colon and name != "on-failure":
        raise UsageError(
            "invalid restart policy: a maximum retry count goes with on-failure alone",
            remedy="write on-failure:N, or leave the number out",
        )
    if colon and not (count.isascii() and count.isdecimal()):
        raise UsageError(
            "invalid restart policy: the maximum retry count is a number from 0",
            remedy="as on-failure:3",
        )
    return {"name": name or "no", "retries": int(count or 0)}


def parse_duration(asked: str, option: str) -> int:
    """Go's durations in nanoseconds: "1m30s", "1.5h", "0".  Raises UsageError."""
    total, rest = 0.0, asked.strip()
    if rest == "0":
        return 0
    wrong = UsageError(f"invalid {option} {asked}", remedy="a duration, as 30s or 1m30s")
    if not rest or rest.startswith("-"):
        raise wrong
    while rest:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(digits) :]
        unit = rest[:2] if rest[:2] in _UNITS else rest[:1]
        if unit not in _UNITS or not digits.replace(".", "", 1).isdecimal():
            raise wrong
        total += float(digits) * _UNITS[unit]
        rest = rest[len(unit) :]
    return int(total)


def _health(values: "Mapping[str, object]") -> "dict[str, Any]":
    found: dict[str, Any] = {}
    command = text(values, "health_cmd")
    if command:
        found["test"] = ["NONE"] if command == "none" else ["CMD-SHELL", command]
    for name in _HEALTH_TIMES:
        asked = text(values, f"health_{name}")
        if asked:
            option = f"--health-{name.replace('_', '-')}"
            found[name] = parse_duration(asked, option)
            if 0 < found[name] < 10**6:
                raise UsageError(f"{option} cannot be less than 1ms", remedy="as 30s")
    retries = number(values, "health_retries") or 0
    if retries < 0:
        raise UsageError("--health-retries cannot be negative", remedy="a number from 1")
    if retries:
        found["retries"] = retries
    if flag(values, "no_healthcheck"):
        if found:
            raise UsageError(
                "--no-healthcheck conflicts with --health-* options", remedy="leave one out"
            )
        return {"test": ["NONE"]}
    return found


_DOCKERS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
    "retries": "Retries",
}


def health_check(asked: "Mapping[str, Any]", image: "Mapping[str, Any]") -> "dict[str, Any]":
    """The health check of a container, in the form of an image's config: {} for none.

    As Docker: what the options do not say is the image's, also when they bring a new command.
    """
    if asked.get("test") == ["NONE"]:
        return {"Test": ["NONE"]}
    inherited = image.get("Healthcheck") or {}
    test = asked.get("test") or inherited.get("Test") or []
    found: dict[str, Any] = {"Test": list(test)} if test else {}
    for name, field in _DOCKERS.items():
        value = asked.get(name) or inherited.get(field)
        if value:
            found[field] = int(value)
    return found
