"""rl ps --filter: values of one key are alternatives (but of label: all hold), keys are together.

The meaning of each key is Docker's.
"""

from rootless.cli import container_words as words
from rootless.errors import ImageError, UsageError
from rootless.store import containers as store
from rootless.store import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

STATES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
HEALTH = ("starting", "healthy", "unhealthy", "none")


def split_filters(given: "list[str]", known: "tuple[str, ...]") -> "dict[str, list[str]]":
    """key -> values.  Raises UsageError RL-FILTER."""
    found: dict[str, list[str]] = {}
    for one in given:
        key, equals, value = one.partition("=")
        key = key.strip().lower()
        if not equals:
            raise UsageError(
                f"bad filter {one!r}", remedy="write it as key=value", code="RL-FILTER"
            )
        if key not in known:
            from difflib import get_close_matches

            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
            raise UsageError(f"there is no filter {key!r}", remedy=hint, code="RL-FILTER")
        found.setdefault(key, []).append(value.strip())
    return found


def bad_value(key: str, value: str, why: str) -> UsageError:
    return UsageError(f"bad value {value!r} of the filter {key}", remedy=why, code="RL-FILTER")


def has_label(labels: "dict[str, str]", wanted: str) -> bool:
    """label=name or label=name=value."""
    name, equals, value = wanted.partition("=")
    return name in labels and (not equals or labels[name] == value)


class Filters:
    """All filters of a command line, looked up once and then asked per container."""

    def __init__(self, ctx: "Context", given: "list[str]", everyone: "list[Container]") -> None:
        self._ctx = ctx
        self._everyone = everyone
        self._tests: list[tuple[Callable[..., bool], list[Any], bool]] = []
        keys = split_filters(given, tuple(_KEYS))
        # A status that does not run is asked for: -a goes without saying.
        self.any_state = "status" in keys
        for key, values in keys.items():
            prepare, test = _KEYS[key]
            prepared = [prepare(self, value) for value in values] if prepare else values
            self._tests.append((test, prepared, key == "label"))

    def match(self, container: "Container") -> bool:
        return all(
            (all if every else any)(test(container, value) for value in values)
            for test, values, every in self._tests
        )

    def state(self, value: str) -> str:
        if value not in STATES:
            raise bad_value("status", value, f"known are {', '.join(STATES)}")
        return value

    def health(self, value: str) -> str:
        if value not in HEALTH:
            raise bad_value("health", value, f"known are {', '.join(HEALTH)}")
        return value

    def no_swarm(self, value: str) -> str:
        raise UsageError(
            "there is no filter is-task: tasks are of a swarm, and rl has none",
            remedy="leave it out",
            code="RL-FILTER",
        )

    def exit_code(self, value: str) -> int:
        if not value.isascii() or not value.isdecimal():
            raise bad_value("exited", value, "it is an exit code")
        return int(value)

    def container(self, value: str) -> str:
        """The time when the container was made."""
        return str(store.find(self._ctx, value).config["created"])

    def pattern(self, value: str) -> "Any":
        import re

        try:
            return re.compile(value)
        except re.error as e:
            raise bad_value("name", value, f"it is a regular expression: {e}") from e

    def image(self, value: str) -> "set[str]":
        """The IDs of an image and of those made from it."""
        try:
            record = images.resolve(self._ctx.paths, value)
        except ImageError:
            return {value}
        layers = record["layers"]
        assert isinstance(layers, list)
        return {str(record["id"])} | {
            str(one["id"])
            for one in images.list_images(self._ctx.paths)
            if isinstance(one["layers"], list) and one["layers"][: len(layers)] == layers
        }

    def port(self, value: str) -> "set[str]":
        """80, 80/udp, 8000-8010/tcp as {"80/tcp"}."""
        numbers, _, protocol = value.partition("/")
        first, _, last = numbers.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or int(last or first) > 65535:
            raise bad_value("publish", value, "write PORT, PORT/PROTO or FIRST-LAST/PROTO")
        return {f"{n}/{protocol or 'tcp'}" for n in range(int(first), int(last or first) + 1)}


def _name(container: "Container", pattern: "Any") -> bool:
    return bool(pattern.search(container.name) or pattern.search("/" + container.name))


def _network(one: "Container", value: str) -> bool:
    unnamed = (one.config.get("network"), one.config["options"]["network"])
    return value in (one.config.get("networks") or unnamed)


def _volume(container: "Container", value: str) -> bool:
    return any(
        value in (mount.get("Name"), mount.get("Destination"), mount.get("Source"))
        for mount in container.config.get("mounts", ())
    )


def _published(container: "Container", wanted: "set[str]") -> bool:
    ports = container.state.get("ports") or container.config.get("ports", ())
    return any(f"{port['container_port']}/{port['protocol']}" in wanted for port in ports)


# Key -> (what makes the value ready, the test).
_KEYS: "dict[str, tuple[Callable[..., Any] | None, Callable[..., bool]]]" = {
    "id": (None, lambda one, value: one.id.startswith(value)),
    "name": (Filters.pattern, _name),
    "label": (None, lambda one, value: has_label(one.config.get("labels", {}), value)),
    "status": (Filters.state, lambda one, value: words.state(one) == value),
    "exited": (
        Filters.exit_code,
        lambda one, value: words.state(one) == "exited" and one.state.get("exit_code") == value,
    ),
    "ancestor": (
        Filters.image,
        lambda one, value: one.config.get("image", {}).get("id") in value,
    ),
    "before": (Filters.container, lambda one, value: one.config.get("created", "") < value),
    "since": (Filters.container, lambda one, value: one.config.get("created", "") > value),
    "volume": (None, _volume),
    "network": (None, _network),
    "publish": (Filters.port, _published),
    "expose": (
        Filters.port,
        lambda one, value: bool(value.intersection(words.exposed_ports(one))),
    ),
    "is-task": (Filters.no_swarm, lambda one, value: False),
    "health": (
        Filters.health,
        lambda one, value: one.state.get("health", "none") == value,
    ),
}
