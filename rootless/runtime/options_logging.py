"""--log-driver and --log-opt."""

from rootless.errors import UsageError
from rootless.runtime.options_text import closest, parse_bool, parse_size


def parse_logging(driver: str, specs: list[str]) -> tuple[str, dict[str, str]]:
    """The driver and its options.  Raises UsageError."""
    driver = driver or "json-file"
    if driver not in ("json-file", "local", "none"):
        raise UsageError(
            f"cannot use the log driver {driver}: rl writes a container's log to a file",
            remedy="use json-file, local or none",
        )
    return driver, _log_options(specs, driver)


def _log_options(specs: list[str], driver: str) -> dict[str, str]:
    known = (
        "compress",
        "env",
        "env-regex",
        "labels",
        "labels-regex",
        "max-file",
        "max-size",
        "tag",
    )
    found = {}
    for spec in specs:
        key, equals, value = spec.partition("=")
        if driver == "none" or key not in known or not equals:
            raise UsageError(
                f"unknown log opt '{spec}' for the {driver} log driver",
                remedy=closest(key, known) or "as max-size=10m and max-file=3",
            )
        if key == "max-size" and value != "-1" and parse_size(value, "--log-opt max-size") < 1:
            raise UsageError(f"invalid --log-opt {spec}", remedy="a size, as 10m")
        if key == "max-file" and not (value.isdecimal() and int(value) >= 1):
            raise UsageError(f"invalid --log-opt {spec}", remedy="a number from 1")
        if key == "compress" and parse_bool(value) is None:
            raise UsageError(f"invalid --log-opt {spec}", remedy="true or false")
        found[key] = value
    if int(found.get("max-file", "1")) > 1 and "max-size" not in found and driver == "json-file":
        raise UsageError(
            "max-file cannot be without max-size in --log-opt", remedy="add --log-opt max-size=10m"
        )
    return found
