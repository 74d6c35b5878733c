"""--log-driver and --log-opt.  Warm."""

from rootless.errors import UsageError
from rootless.runtime.options_text import closest, parse_bool, parse_size

_FILE = ("max-size", "max-file", "compress")
_ATTRIBUTES = ("env", "env-regex", "labels", "labels-regex", "tag")
_KNOWN = {
    "json-file": (*_FILE, *_ATTRIBUTES),
    "local": _FILE,
    "journald": _ATTRIBUTES,
    "none": (),
}
# Docker's other drivers send to a service on the network, which needs its own client.
_OTHERS = ("awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "splunk", "syslog")


def parse_logging(driver: str, specs: list[str]) -> tuple[str, dict[str, str]]:
    """The driver and its options.  Raises UsageError."""
    driver = {"": "json-file", "k8s-file": "json-file"}.get(driver, driver)
    if driver not in _KNOWN:
        why = (
            "it needs a client of its service in each container's parent"
            if driver in _OTHERS
            else "there is none of this name"
        )
        raise UsageError(
            f"cannot use the log driver {driver}: {why}",
            remedy=closest(driver, _KNOWN) or "use json-file, local, journald or none",
        )
    return driver, _log_options(specs, driver)


def _log_options(specs: list[str], driver: str) -> dict[str, str]:
    known = _KNOWN[driver]
    found = {}
    for spec in specs:
        key, equals, value = spec.partition("=")
        if key == "mode" and value == "blocking":
            continue  # as it is: the container waits for its log
        if key not in known or not equals:
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
    if found.keys() & {"tag", "labels-regex", "env-regex"}:
        from rootless.runtime import log_attributes

        log_attributes.check(found)
    return found
