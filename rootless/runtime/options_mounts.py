"""--volume and --tmpfs, by the grammar of moby's volume parser.  --mount is options_mount_long.

A mount is a dictionary of these keys (defaults in `new_mount`):

    type          "bind", "volume", "tmpfs" or "image"
    source        host path (bind), name or "" for an anonymous one (volume), "" (tmpfs); an image
    target        absolute path in the container
    read_only     bool
    recursive     bind: also mounts below the source ("enabled", "disabled", "writable", "readonly")
    propagation   bind: "rprivate", "private", "rshared", "shared", "rslave", "slave"
    create        bind: make the source, a directory, where it is missing (--volume does)
    chown         give the source's files to the container's user (U)
    copy          volume: a new one is filled with what the image has at the target
    subpath       volume, image: mount this directory of it
    labels        volume: dict, for a new one
    driver_options  volume: dict, for a new one; of one that is there, its own (store/volumes.py)
    anonymous     volume: goes with its last container (--volumes-from knows the name of such a one)
    options       flags for the mount: noexec, nosuid, nodev, ...; tmpfs: size=, mode=, uid=, ...
    mode          the third field of --volume as given, for inspect
"""

import os

from rootless.errors import UsageError
from rootless.runtime.options_text import absolute, closest, is_restricted_name, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Mount = dict[str, Any]

PROPAGATIONS = ("private", "rprivate", "rshared", "rslave", "shared", "slave")
_FLAGS = ("dev", "exec", "nodev", "noexec", "nosuid", "suid")
_CONSISTENCY = ("cached", "consistent", "default", "delegated")
# Groups of words of which a --volume may name one.
_GROUPS = (
    ("ro", "rw"),
    ("z", "Z"),
    PROPAGATIONS,
    ("copy", "nocopy"),
    _CONSISTENCY,
    ("bind", "rbind"),
    ("exec", "noexec"),
    ("nosuid", "suid"),
    ("dev", "nodev"),
    ("U",),
)
_FORM = "write [HOST-DIR|NAME:]CONTAINER-DIR[:OPTIONS], as ./data:/data:ro"

_TMPFS_FLAGS = (
    "async", "atime", "defaults", "dev", "diratime", "dirsync", "exec", "loud", "mand", "noatime",
    "nodev", "nodiratime", "noexec", "nomand", "norelatime", "nostrictatime", "nosuid",
    "notmpcopyup", "private", "relatime", "ro", "rprivate", "rshared", "rslave", "rw", "shared",
    "slave", "strictatime", "suid", "sync", "tmpcopyup",
)  # fmt: skip
_TMPFS_VALUES = ("gid", "huge", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid")


# runc's checkProcMount.
_PROC_FILES = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/diskstats",
    "/proc/swaps", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev",
)  # fmt: skip


def new_mount(kind: str, source: str, target: str) -> "Mount":
    """A mount with every key at its default."""
    return {
        "type": kind,
        "source": source,
        "target": target,
        "read_only": False,
        "recursive": "enabled",
        "propagation": "rprivate",
        "create": False,
        "chown": False,
        "copy": True,
        "subpath": "",
        "labels": {},
        "driver_options": {},
        "anonymous": False,
        "options": [],
        "mode": "",
    }


def parse_volume(spec: str, cwd: str) -> "Mount":
    """The mount of one --volume.  Raises UsageError."""
    parts = spec.split(":", 3)
    if not parts[0] or len(parts) > 3:
        raise _invalid(spec, "it has too many or empty fields")
    if len(parts) == 1:
        return new_mount("volume", "", check_target(spec, parts[0], "--volume"))
    source, target = parts[0], parts[1]
    if len(parts) == 2 and target and not _mode_problem(target):
        raise _invalid(spec, f"{target} is a mode, and there is no container directory")
    mode = parts[2] if len(parts) == 3 else ""
    problem = _mode_problem(mode) if len(parts) == 3 else ""
    if problem:
        raise UsageError(f"invalid mode in --volume {spec}: {problem}", remedy=_mode_remedy(mode))
    if source.startswith("."):
        source = absolute(source, cwd)
    target = check_target(spec, target, "--volume")
    if source.startswith("/"):
        mount = new_mount("bind", absolute(source, cwd), target)
        mount["create"] = True
    else:
        check_volume_name(source)
        mount = new_mount("volume", source, target)
    mount["mode"] = mode
    _apply_mode(mount, mode.split(",") if mode else [])
    return mount


def parse_volumes_from(spec: str) -> list[str]:
    """[container, "ro" or "rw"] of one --volumes-from.  Raises UsageError."""
    container, _, mode = spec.partition(":")
    if not container:
        raise UsageError(
            f"invalid --volumes-from {spec}: no container", remedy="as NAME or NAME:ro"
        )
    words = mode.split(",") if mode else ["rw"]
    for word in words:
        if word not in ("ro", "rw", "z", "Z"):
            raise UsageError(
                f'invalid mode in --volumes-from {spec}: "{word}"', remedy="it is ro or rw"
            )
    return [container, "ro" if "ro" in words else "rw"]


def parse_tmpfs(spec: str) -> "Mount":
    """The mount of one --tmpfs PATH[:OPTIONS].  Raises UsageError."""
    path, _, words = spec.partition(":")
    mount = new_mount("tmpfs", "", check_target(spec, path, "--tmpfs"))
    mount["mode"] = words
    options = tmpfs_words(words, f"--tmpfs {spec}")
    mount["read_only"] = "ro" in options
    mount["options"] = [o for o in options if o not in ("ro", "rw", "defaults")]
    return mount


def tmpfs_words(words: str, where: str) -> list[str]:
    """What the tmpfs is mounted with: Docker's flags and those asked for.  Raises UsageError."""
    options = ["noexec", "nosuid", "nodev"]
    for word in words.split(",") if words else []:
        key, equals, value = word.partition("=")
        if word == "noswap":
            raise UsageError(
                f"cannot keep {where} out of swap: the kernel lets only root do that",
                remedy="leave noswap out",
            )
        if (equals and key not in _TMPFS_VALUES) or (not equals and word not in _TMPFS_FLAGS):
            raise UsageError(
                f'invalid tmpfs option "{word}" in {where}',
                remedy=closest(key, (*_TMPFS_FLAGS, *_TMPFS_VALUES))
                or "the usual ones are size=, mode=, uid=, gid=, exec, suid, dev and ro",
            )
        if key == "size":
            check_tmpfs_size(value, where)
        if key == "mode" and not (value and all(c in "01234567" for c in value)):
            raise UsageError(f'invalid mode "{value}" in {where}', remedy="as mode=1777")
        _merge(options, word)
    return options


def check_tmpfs_size(value: str, where: str) -> None:
    """The kernel's grammar: bytes with k, m or g, or a percentage of memory."""
    if value.endswith("%"):
        if not value[:-1].isdecimal():
            raise UsageError(f'invalid size "{value}" in {where}', remedy="as size=50%")
        return
    parse_size(value, where)


def check_target(spec: str, target: str, option: str) -> str:
    """`target` without "." and "..".  Raises UsageError when it cannot be a mount point."""
    if not target.startswith("/"):
        raise UsageError(
            f"invalid {option} {spec}: the container path {target or 'is empty and'} "
            "must be absolute",
            remedy=_FORM if option == "--volume" else "begin it with /",
        )
    cleaned = absolute(target, "/")
    if cleaned == "/":
        raise UsageError(
            f"invalid {option} {spec}: the destination can't be /",
            remedy="mount on a directory below it",
        )
    if "\0" in spec or "\n" in spec:
        raise UsageError(f"invalid {option}: a path with a line break")
    return cleaned


def check_volume_name(name: str) -> None:
    """Docker's rule for the names of volumes."""
    if len(name) == 1:
        raise UsageError(
            f'volume name "{name}" is too short',
            remedy=f"use at least two characters, or ./{name} for a directory",
        )
    if not is_restricted_name(name):
        raise UsageError(
            f'"{name}" includes invalid characters for a volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
            remedy="if you mean a host directory, use an absolute path or one that begins with ./",
        )


def zone_mount(zone: str) -> "Mount":
    """--tz: the host's file of that time zone, or its own with "local", as /etc/localtime."""
    path = "/etc/localtime" if zone == "local" else f"/usr/share/zoneinfo/{zone}"
    if zone.startswith("/") or ".." in zone.split("/") or not os.path.isfile(path):
        raise UsageError(
            f"there is no time zone {zone}: {path} is missing on this host",
            remedy="as Europe/Berlin; where the host has no tzdata, give -e TZ=…",
        )
    mount = new_mount("bind", os.path.realpath(path), "/etc/localtime")
    mount["read_only"] = True
    return mount


def _check_proc(target: str, kind: str, source: str) -> None:
    """runc's rule: /proc is the kernel's, but for files that only inform."""
    if kind == "bind" and (target in _PROC_FILES or (target == "/proc" and source == "/proc")):
        return
    if target == "/proc" or target.startswith("/proc/"):
        raise UsageError(
            f"cannot mount on {target}: programs rely on the kernel's /proc",
            remedy=f"single files can be bound: {', '.join(_PROC_FILES[:4])}, …",
        )


def check_unique(mounts: "list[Mount]") -> None:
    """Docker's "Duplicate mount point", over every option that mounts."""
    seen = set()
    for mount in mounts:
        _check_proc(mount["target"], mount["type"], mount["source"])
        if mount["target"] in seen:
            raise UsageError(
                f"duplicate mount point: {mount['target']}", remedy="mount it once only"
            )
        seen.add(mount["target"])


def _mode_problem(mode: str) -> str:
    """Why `mode` is not the third field of a --volume, "" if it is one."""
    if not mode:
        return "it is empty"
    seen: set[tuple[str, ...]] = set()
    for word in mode.split(","):
        group = next((g for g in _GROUPS if word in g), None)
        if group is None:
            return f'unknown option "{word}"'
        if group in seen:
            return f'"{word}" and another of {", ".join(group)}'
        seen.add(group)
    return ""


def _mode_remedy(mode: str) -> str:
    words = [word for group in _GROUPS for word in group]
    if mode == "O" or "O" in mode.split(","):
        return "overlay volumes are podman's own; mount ro, or copy the directory"
    if "idmap" in mode:
        return "the kernel lets only root map the IDs of a mount; U gives the files to the user"
    for word in mode.split(","):
        if word not in words:
            return closest(word, words) or "options are " + ", ".join(words[:2]) + ", z, Z, U, …"
    return "name one of each kind"


def _apply_mode(mount: "Mount", words: list[str]) -> None:
    bind = mount["type"] == "bind"
    for word in words:
        if word == "ro":
            mount["read_only"] = True
        elif word in PROPAGATIONS:
            if not bind:
                raise UsageError(
                    f"invalid --volume {mount['source']}:{mount['target']}: "
                    f"propagation {word} on a named volume",
                    remedy="propagation is for host directories",
                )
            mount["propagation"] = word
        elif word == "U":
            mount["chown"] = True
        elif word == "nocopy":
            if bind:
                raise UsageError(
                    f"invalid mode in --volume {mount['source']}:{mount['target']}: nocopy on a "
                    "host directory",
                    remedy="nocopy is for named volumes",
                )
            mount["copy"] = False
        elif word == "bind":
            mount["recursive"] = "disabled"
        elif word in _FLAGS:
            mount["options"].append(word)
        # rw, rbind, copy and the consistency words are the default; z and Z label for SELinux,
        # which no user namespace may do: Docker says nothing without SELinux either.


def _merge(options: list[str], word: str) -> None:
    """Add `word`, in place of what it contradicts."""
    key = word.partition("=")[0]
    opposite = key[2:] if key.startswith("no") else f"no{key}"
    drop = {key, opposite, {"ro": "rw", "rw": "ro"}.get(key, key)}
    options[:] = [o for o in options if o.partition("=")[0] not in drop]
    options.append(word)


def _invalid(spec: str, why: str) -> UsageError:
    return UsageError(f"invalid volume specification '{spec}': {why}", remedy=_FORM)
