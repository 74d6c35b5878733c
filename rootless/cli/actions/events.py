"""`rl events`: what happens, as docker tells it."""

import os
import select
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from rootless import fastjson
from rootless.cli.output import printable, write
from rootless.cli.ps_filters import bad_value, has_label, split_filters
from rootless.cli.template import Template
from rootless.cli.time_option import parse_time
from rootless.context import Context
from rootless.linux import inotify
from rootless.runtime.logs import Reader
from rootless.store import layout
from rootless.store.containers import rfc3339

Event = dict[str, Any]

TYPES = ("container", "image", "network", "volume")
_POLL_MS = 1000  # how late an event is where the host has no inotify watch left


def main(ctx: Context, values: dict[str, object]) -> int:
    """Print events until `until`, or for ever."""
    given = values["filter"] or []
    assert isinstance(given, list)
    match = _filters(given)
    show = _form(str(values["format"] or ""))
    since = parse_time(str(values["since"] or ""))
    until = parse_time(str(values["until"] or ""))
    layout.prepare(ctx.paths)
    for event in _stream(ctx, since, until):
        if match(event):
            write(show(event))
    return 0


def _stream(ctx: Context, since: str, until: str) -> Iterator[Event]:
    """The events of the file between two times (RFC 3339, "" for now and never), then new ones."""
    # Before the first look, so that nothing comes between the two.
    watch = inotify.watch_changes(ctx.paths.store)
    reader = Reader(ctx.paths.events)
    try:
        lines = reader.lines()
        if not since and not until:
            lines = []
        while True:
            for line in lines:
                event = _parse(line)
                if event is None:
                    continue
                when = rfc3339(event["timeNano"])
                # One from a time when the clock was ahead does not end it.
                if (not since or when >= since) and (not until or when <= until):
                    yield event
            if until and rfc3339(time.time_ns()) > until:
                return
            _wait(watch)
            lines = reader.lines()
    finally:
        reader.close()
        if watch >= 0:
            os.close(watch)


def _wait(watch: int) -> None:
    poll = select.poll()
    if watch >= 0:
        poll.register(watch, select.POLLIN)
    if poll.poll(_POLL_MS):
        os.read(watch, 65536)


def _parse(line: bytes) -> Event | None:
    """Docker's document of an event; None for a line that a full disk has cut short."""
    try:
        own = fastjson.loads(line)
        nanoseconds = int(own["timeNano"])
        kind, action, identifier = str(own["Type"]), str(own["Action"]), str(own["ID"])
        attributes = {str(key): str(value) for key, value in own["Attributes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    event: Event = {}
    if kind in ("container", "image"):  # as the first API had them
        event |= {"status": action, "id": identifier}
        if kind == "container":
            event["from"] = attributes.get("image", "")
    return event | {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": identifier, "Attributes": attributes},
        "scope": "local",
        "time": nanoseconds // 10**9,
        "timeNano": nanoseconds,
    }


def _form(text: str) -> Callable[[Event], str]:
    if not text:
        return _line
    if text == "json":
        return lambda event: f"{fastjson.dumps(event)}\n"
    template = Template(text.replace("\\t", "\t").replace("\\n", "\n"))

    def render(event: Event) -> str:
        # The fields of Go's structure beside the names that the JSON has.
        names = {"Scope": "local", "Time": event["time"], "TimeNano": event["timeNano"]}
        first = {"Status": event.get("status", ""), "ID": event.get("id", "")}
        return template.render({**event, **names, **first, "From": event.get("from", "")}) + "\n"

    return render


def _line(event: Event) -> str:
    """2026-01-02T15:04:05.000000000+01:00 container start 4c01db0b339c (image=x, name=y)"""
    nanoseconds = event["timeNano"]
    local = datetime.fromtimestamp(nanoseconds // 10**9).astimezone()
    zone = local.strftime("%z")
    when = f"{local:%Y-%m-%dT%H:%M:%S}.{nanoseconds % 10**9:09}{zone[:3]}:{zone[3:]}"
    actor = event["Actor"]
    pairs = ", ".join(f"{key}={value}" for key, value in sorted(actor["Attributes"].items()))
    words = f"{when} {event['Type']} {event['Action']} {actor['ID']}" + f" ({pairs})" * bool(pairs)
    return printable(words) + "\n"


def _filters(given: list[str]) -> Callable[[Event], bool]:
    """Values of one key are alternatives (but of label: all hold), keys are together."""
    filters = split_filters(given, tuple(_KEYS))
    for value in filters.get("type", ()):
        if value not in TYPES:
            raise bad_value("type", value, f"known are {', '.join(TYPES)}")
    for value in filters.get("scope", ()):
        if value not in ("local", "swarm"):
            raise bad_value("scope", value, "it is local: there is no swarm")

    def match(event: Event) -> bool:
        return all(
            (all if key == "label" else any)(_KEYS[key](event, value) for value in values)
            for key, values in filters.items()
        )

    return match


def _is(kind: str) -> Callable[[Event, str], bool]:
    """A filter of one type: by name, or the beginning of an ID."""

    def match(event: Event, value: str) -> bool:
        actor = event["Actor"]
        name = actor["Attributes"].get("name", "")
        found: bool = actor["ID"].startswith(value) or name == value
        return event["Type"] == kind and found

    return match


def _image(event: Event, value: str) -> bool:
    """Events of an image, and of the containers made of it; its tag may be left out."""
    actor = event["Actor"]
    field = "image" if event["Type"] == "container" else "name"
    named = actor["Attributes"].get(field, "") if event["Type"] in ("container", "image") else ""
    texts = (named, actor["ID"] if event["Type"] == "image" else "")
    return any(text and value in (text, text.rpartition(":")[0]) for text in texts)


_KEYS: dict[str, Callable[[Event, str], bool]] = {
    "container": _is("container"),
    # health_status stands for "health_status: healthy", exec_start for "exec_start: sh".
    "event": lambda event, value: value in (event["Action"], event["Action"].partition(":")[0]),
    "image": _image,
    "label": lambda event, value: has_label(event["Actor"]["Attributes"], value),
    "network": _is("network"),
    "scope": lambda event, value: event["scope"] == value,
    "type": lambda event, value: event["Type"] == value,
    "volume": _is("volume"),
}
