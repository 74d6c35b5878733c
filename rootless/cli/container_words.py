"""How a container's record reads in Docker's words: state, status, ports, command, image.  Warm."""

import os

from rootless.cli.output import human_duration, parse_time
from rootless.store import pause_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rootless.paths import Paths
    from rootless.store.containers import Container

# What is shown for a state of ours that Docker does not have.
_STATES = {"starting": "created", "stopped": "exited"}

# The words of a container that has processes.
ALIVE = ("running", "paused", "restarting")


def state(container: "Container") -> str:
    """created, running, paused, exited or removing."""
    word = str(container.state.get("status", "created"))
    if word == "running" and pause_mark.is_paused(container):
        return "paused"
    return _STATES.get(word, word)


def status(container: "Container", now: float) -> str:
    """Up 3 seconds; Exited (0) 2 hours ago; Created."""
    word = state(container)
    facts = container.state
    if word in ("running", "paused"):
        since = human_duration(now - parse_time(str(facts.get("started_at", ""))))
        if container.elsewhere:
            return f"Up {since} on {container.elsewhere}"
        if word == "paused":
            return f"Up {since} (Paused)"
        health = facts.get("health")
        marks = [health] if health in ("healthy", "unhealthy") else []
        marks += ["health: starting"] if health == "starting" else []
        if (facts.get("cgroup") or {}).get("kind") == "best-effort":
            marks.append("limits: best-effort")
        return f"Up {since} ({', '.join(marks)})" if marks else f"Up {since}"
    if word == "restarting":
        since = human_duration(now - parse_time(str(facts.get("finished_at", ""))))
        return f"Restarting ({facts.get('exit_code', 0)}) {since} ago"
    if word == "exited":
        finished = parse_time(str(facts.get("finished_at", "")))
        ago = f" {human_duration(now - finished)} ago" if finished else ""
        why = " (out of memory)" if facts.get("oom_killed") else ""
        return f"Exited ({facts.get('exit_code', 0)}){ago}{why}"
    return "Removal In Progress" if word == "removing" else word.capitalize()


def command_line(container: "Container") -> "list[str]":
    """Entry point and command, in one list."""
    config = container.config
    return [str(word) for word in (*config.get("entrypoint", ()), *config.get("command", ()))]


def command(container: "Container", limit: int = 0) -> str:
    """The command as `docker ps` shows it: in double quotes, at most `limit` characters."""
    words = command_line(container)
    text = " ".join([*words[:1], *(f"'{word}'" if " " in word else word for word in words[1:])])
    if limit and len(text) > limit:
        text = text[: limit - 1] + "…"
    return quoted(text)


def quoted(text: str) -> str:
    """Go's strconv.Quote."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    out = ""
    for c in text:
        if c in '"\\':
            out += "\\" + c
        elif c in "\n\t\r":
            out += {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[c]
        else:
            out += c if c.isprintable() else f"\\x{ord(c):02x}"
    return f'"{out}"'


def image(paths: "Paths", container: "Container", links: "dict[str, str]") -> str:
    """The image as it was asked for, or its ID when that name is another image's by now.

    `links` remembers what names stand for, over several containers.
    """
    facts = container.config.get("image", {})
    reference, name = str(facts.get("reference", "")), str(facts.get("name", ""))
    identifier = str(facts.get("id", "")).removeprefix("sha256:")
    if name not in links:
        links[name] = _named(paths, name)
    by_id = identifier.startswith(reference.removeprefix("sha256:")) and len(reference) > 11
    if by_id or "@" in reference or links[name] == identifier:
        return identifier[:12] if by_id else reference
    return identifier[:12]


def _named(paths: "Paths", name: str) -> str:
    """The ID (64 hex) of the image that has the canonical name, here or in a shared store."""
    for store in (paths.store, *paths.shared):
        try:
            target = os.readlink(type(paths)(store, "").image_by_name(name))
        except OSError:
            continue
        return os.path.basename(target).removesuffix(".json")
    return ""


def ports(published: "Iterable[Mapping[str, Any]]", exposed: "Iterable[str]" = ()) -> str:
    """0.0.0.0:8080->80/tcp, 0.0.0.0:9000-9002->9000-9002/udp, 443/tcp."""
    taken = set()
    rows = []
    for port in published:
        inside, protocol = int(port["container_port"]), str(port["protocol"])
        taken.add(f"{inside}/{protocol}")
        rows.append((protocol, port, inside, int(port["host_port"])))
    rows.sort(key=lambda row: (row[2], row[0], host_side(row[1]), row[3]))
    groups: list[list[Any]] = []
    for protocol, port, inside, outside in rows:
        for group in groups:
            # A range goes on where both sides do.
            if (
                group[0] == protocol
                and _same_host(group[1], port)
                and (group[3], group[5])
                == (
                    inside - 1,
                    outside - 1,
                )
            ):
                group[3], group[5] = inside, outside
                break
        else:
            groups.append([protocol, port, inside, inside, outside, outside])
    words = [
        f"{host_side(port, out_last)}->{_range(first, last)}/{protocol}"
        for protocol, port, first, last, _, out_last in groups
    ]
    return ", ".join(words + sorted(set(exposed) - taken))


def host_side(port: "Mapping[str, Any]", last: int = 0) -> str:
    """The host's side of a published port: 0.0.0.0:80, [::1]:80-89 (up to `last`), unix:/path."""
    guard = port.get("guard") or {}
    if guard.get("path"):
        return f"unix:{guard['path']}"
    address = str(port.get("host_ip") or "0.0.0.0")
    number = _range(int(port["host_port"]), last or int(port["host_port"]))
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def _same_host(one: "Mapping[str, Any]", other: "Mapping[str, Any]") -> bool:
    if one.get("guard") or other.get("guard"):
        return False
    return (one.get("host_ip") or "0.0.0.0") == (other.get("host_ip") or "0.0.0.0")


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def exposed_ports(container: "Container") -> "list[str]":
    """The ports that image and options expose: "80/tcp"."""
    network = runtime_config(container).get("rl", {}).get("network", {})
    return [str(port) for port in network.get("exposed", ())]


def runtime_config(container: "Container") -> "dict[str, Any]":
    """config.json; {} when it is damaged or gone."""
    from rootless.errors import RlError

    try:
        return container.runtime_config()
    except (OSError, RlError):
        return {}


def label_text(labels: "Mapping[str, str]") -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
