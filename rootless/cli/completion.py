"""Names from the store for shell completion.  Failures complete nothing: never a message."""

import os

from rootless.cli import entry
from rootless.errors import RlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def containers(incomplete: str) -> "list[str]":
    """Names of all containers, IDs for who has begun to write one."""
    return _containers(incomplete, ())


def running_containers(incomplete: str) -> "list[str]":
    return _containers(incomplete, ("running", "starting"))


def stopped_containers(incomplete: str) -> "list[str]":
    return _containers(incomplete, ("created", "exited"))


def images(incomplete: str) -> "list[str]":
    """Names of images as they are written: busybox:latest; IDs for who has begun to write one."""
    return _images(_context(), incomplete)


def manifest_lists(incomplete: str) -> "list[str]":
    """Names of manifest lists, as they are written."""
    from rootless.cli.output import familiar
    from rootless.store import manifest_lists as store

    ctx = _context()
    names = [familiar(name) for name in store.names(ctx.paths)] if ctx is not None else []
    return [name for name in names if name.startswith(incomplete)]


def containers_and_images(incomplete: str) -> "list[str]":
    return containers(incomplete) + images(incomplete)


def volumes(incomplete: str) -> "list[str]":
    from rootless.store.volumes import names

    ctx = _context()
    if ctx is None:
        return []
    try:
        return [name for name in names(ctx.paths) if name.startswith(incomplete)]
    except OSError:
        return []


def containers_and_files(incomplete: str) -> "list[str]":
    """Files, and containers with the colon that a path in them begins after."""
    return files(incomplete) + [f"{name}:" for name in containers(incomplete)]


def secrets(incomplete: str) -> "list[str]":
    from rootless.store import secrets as store

    ctx = _context()
    names = [str(one["name"]) for one in store.list_all(ctx.paths)] if ctx else []
    return [name for name in names if name.startswith(incomplete)]


def quadlets(incomplete: str) -> "list[str]":
    """The files of installed quadlets, which say what they are better than a bare name."""
    from rootless.quadlet import place
    from rootless.runtime import user_systemd

    ctx = _context()
    found = place.load(place.directory(user_systemd.config_home(ctx))) if ctx else {}
    return [name for name in found if name.startswith(incomplete)]


def codes(incomplete: str) -> "list[str]":
    """Error codes, with and without the RL-."""
    from rootless.cli.explanations import EXPLANATIONS

    wanted = incomplete.upper()
    found = [
        code if wanted.startswith("RL") else code.removeprefix("RL-")
        for code in sorted(EXPLANATIONS)
        if code.startswith(wanted) or code.removeprefix("RL-").startswith(wanted)
    ]
    # In the case that was begun with: what does not go on from there is thrown away.
    return [code.lower() for code in found] if incomplete != wanted else found


def files(incomplete: str) -> "list[str]":
    """Paths, with a slash after directories."""
    directory, _, start = incomplete.rpartition("/")
    parent = f"{directory}/" if "/" in incomplete else ""
    try:
        names = sorted(os.listdir(parent or "."))
    except OSError:
        return []
    return [
        f"{parent}{name}{'/' if os.path.isdir(parent + name) else ''}"
        for name in names
        if name.startswith(start) and (start or not name.startswith("."))
    ]


def networks(incomplete: str) -> "list[str]":
    """What --network takes: drivers, and networks with names."""
    drivers = ("bridge", "host", "netstack", "none", "pasta", "private", "slirp4netns")
    found = {name for name in drivers if name.startswith(incomplete)}
    return sorted(found | set(named_networks(incomplete)))


def named_networks(incomplete: str) -> "list[str]":
    from rootless.store import networks as store

    ctx = _context()
    names = [str(one["name"]) for one in store.list_all(ctx.paths)] if ctx else []
    return [name for name in names if name.startswith(incomplete)]


def _context() -> "Context | None":
    try:
        return entry.make_context()
    except RlError:
        return None


def _containers(incomplete: str, wanted: "tuple[str, ...]") -> "list[str]":
    from rootless.store.containers import list_all

    ctx = _context()
    if ctx is None:
        return []
    found = []
    try:
        for one in list_all(ctx):
            if not wanted or one.state.get("status") in wanted:
                if one.name.startswith(incomplete):
                    found.append(one.name)
                elif len(incomplete) > 1 and one.id.startswith(incomplete):
                    found.append(one.id[:12])
    except (RlError, OSError):
        return []
    return sorted(found)


def _images(ctx: "Context | None", incomplete: str) -> "list[str]":
    from rootless.cli.output import familiar
    from rootless.store.images import list_images

    if ctx is None:
        return []
    found: set[str] = set()
    try:
        records = list_images(ctx.paths)
        if ctx.paths.shared:
            from rootless.store import shared

            records += shared.list_images(ctx.paths)
        for record in records:
            names = record.get("names")
            for name in names if isinstance(names, list) else []:
                short = familiar(name)
                found.update(one for one in (short, name) if one.startswith(incomplete))
                if incomplete and short.endswith(":latest") and short[:-7].startswith(incomplete):
                    found.add(short[:-7])
            identifier = str(record.get("id", "")).removeprefix("sha256:")
            if len(incomplete) > 1 and identifier.startswith(incomplete):
                found.add(identifier[:12])
    except (RlError, OSError):
        return []
    # The full name only for who has begun to write it.
    return sorted(one for one in found if incomplete or not one.startswith("docker.io/"))


def registries(incomplete: str) -> "list[str]":
    """The registries that the names of images mention, and those in Docker's file."""
    ctx = _context()
    if ctx is None:
        return []
    from rootless.registry import credentials
    from rootless.store.images import names

    found: set[str] = set()
    try:
        found.update(name.partition("/")[0] for name in names(ctx.paths))
        auths = (credentials.read_file(credentials.docker_file(ctx)) or {}).get("auths")
        found.update(str(key) for key in auths if "/" not in key) if isinstance(auths, dict) else ()
    except (RlError, OSError):
        pass
    return sorted(one for one in found if one.startswith(incomplete))
