"""The mounts of a container, as runtime-spec writes them: Docker's, then the user's.  Pure.

A bind mount has "bind" or "rbind" among its options, a propagation, and "ro" (this mount) or "rro"
(and those below it).  An "image" has "ro" or "rw", the layers' diffIDs and a subpath
(runtime/image_mounts.py).  Every other type is a new file system: proc, sysfs, tmpfs, devpts,
mqueue, cgroup2, with the words of mount(8).
"""

from rootless.ids import new_container_id
from rootless.runtime.options_mounts import new_mount
from rootless.runtime.options_text import absolute
from rootless.runtime.spec_process import keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rootless.runtime.options import RunOptions

    Doc = dict[str, Any]

# moby's oci.DefaultSpec.  What the image or the kernel lacks is passed over when mounting.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
)
ETC_FILES = ("hosts", "resolv.conf", "hostname")
_SAFE = ["nosuid", "noexec", "nodev"]


def resolve(
    options: "RunOptions",
    image_config: "Mapping[str, Any]",
    volume_path: "Callable[[str], str]",
    inherited: "Sequence[Doc]" = (),
    new_name: "Callable[[], str]" = new_container_id,
) -> "list[Doc]":
    """The user's mounts, those `inherited` and the image's VOLUMEs, with the volumes' places.

    Beside the keys of options_mounts: host_path (bind and volume), anonymous (volume), memory (a
    volume that is a tmpfs).
    """
    mounts = [dict(mount) for mount in options.mounts]
    taken = {mount["target"] for mount in mounts}
    for mount in inherited:
        if mount["target"] not in taken:
            mounts.append(dict(mount))
            taken.add(mount["target"])
    for path in keys(image_config.get("Volumes")):
        target = absolute(path, "/")
        if target != "/" and target not in taken:
            mounts.append(new_mount("volume", "", target))
            taken.add(target)
    for mount in mounts:
        mount["host_path"] = mount["source"]
        mount["memory"] = False
        if mount["type"] == "volume":
            mount["anonymous"] = mount["anonymous"] or not mount["source"]
            mount["source"] = mount["source"] or new_name()
            mount["host_path"] = volume_path(mount["source"])
            _apply_driver_options(mount)
    return mounts


def _apply_driver_options(mount: "Doc") -> None:
    """A volume that is no directory of the store: see store/volumes.py."""
    options = mount["driver_options"]
    words = [word for word in options.get("o", "").split(",") if word]
    if options.get("type") == "tmpfs":
        mount["memory"], mount["host_path"] = True, ""
        mount["options"] = [*words, *mount["options"]]
    elif options:
        mount["host_path"] = options["device"]
        mount["read_only"] = mount["read_only"] or "ro" in words
        flags = [word for word in words if word in ("nodev", "noexec", "nosuid")]
        mount["options"] = [*flags, *mount["options"]]


def oci_mounts(
    options: "RunOptions",
    resolved: "Sequence[Doc]",
    *,
    directory: str,
    tty_group: bool,
    host_has: "Callable[[str], bool]",
    host_devices: "Sequence[str]" = (),
) -> "list[Doc]":
    """Every mount, in the order in which they are made.

    A default that the user mounts over, or above, is left out.
    """
    own = {mount["target"] for mount in resolved}
    defaults = [_proc(options), *_dev(options, tty_group)]
    defaults += [_bind(f"/dev/{name}", f"/dev/{name}") for name in DEVICES]
    defaults += _ipc(options, host_has)
    defaults += [_bind(path, path) for path in host_devices if options.privileged]
    defaults += [_bind(one["source"], one["target"]) for one in options.devices]
    defaults += _sys(options)
    read_only = ["ro"] if options.read_only else []
    etc = [
        _mount("bind", f"{directory}/{name}", f"/etc/{name}", ["rbind", "rprivate", *read_only])
        for name in ETC_FILES
    ]
    unique = {mount["destination"]: mount for mount in defaults}
    kept = [m for m in unique.values() if not _covered(m["destination"], own)]
    after = [m for m in etc if m["destination"] not in own]
    after += [_own_mount(mount) for mount in resolved]
    # Docker's order: a mount comes after those that it is below of.
    return kept + sorted(after, key=lambda mount: mount["destination"].count("/"))


def links(resolved: "Sequence[Doc]") -> list[list[str]]:
    """[[text, path], ...] of the symbolic links in /dev, none where the user mounts it."""
    if any(mount["target"] == "/dev" for mount in resolved):
        return []
    return [[text, path] for text, path in LINKS]


def hidden_paths(options: "RunOptions") -> tuple[list[str], list[str]]:
    """(masked, read-only) paths: Docker's, as --security-opt changes them."""
    security = options.security
    if security["system_paths"] == "unconfined" or "ALL" in security["unmask"]:
        return list(security["mask"]), []
    shown = [path.rstrip("/") for path in security["unmask"]]
    masked = [path for path in MASKED_PATHS if not _covered(path, shown)]
    masked += [path for path in security["mask"] if path not in masked]
    return masked, [path for path in READ_ONLY_PATHS if not _covered(path, shown)]


def inspect_mounts(resolved: "Sequence[Doc]") -> "list[Doc]":
    """The "Mounts" of `docker inspect`."""
    found = []
    for mount in resolved:
        shown = {
            "Type": mount["type"],
            "Source": f"{mount['host_path']}/{mount['subpath']}".rstrip("/"),
            "Destination": mount["target"],
            "Mode": mount["mode"],
            "RW": not mount["read_only"],
            "Propagation": mount["propagation"] if mount["type"] == "bind" else "",
        }
        if mount["type"] == "image":
            shown["Source"] = mount["source"]
        if mount["type"] == "volume":
            shown = {"Type": "volume", "Name": mount["source"], "Driver": "local"} | shown
        found.append(shown)
    return found


def _covered(path: str, places: "Sequence[str] | set[str]") -> bool:
    """Whether `path` is one of `places`, or below one."""
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _mount(kind: str, source: str, target: str, options: list[str]) -> "Doc":
    return {"destination": target, "type": kind, "source": source, "options": options}


def _bind(source: str, target: str) -> "Doc":
    """A device node: mknod(2) of devices is not for user namespaces."""
    return _mount("bind", source, target, ["bind", "nosuid", "noexec", "rprivate"])


def _proc(options: "RunOptions") -> "Doc":
    if options.pid == "host":
        # A new proc shows the caller's PID namespace, and may be mounted by its owner alone.
        return _mount("bind", "/proc", "/proc", ["rbind", "rprivate", *_SAFE])
    return _mount("proc", "proc", "/proc", [*_SAFE, *options.security["proc_options"]])


def _dev(options: "RunOptions", tty_group: bool) -> "list[Doc]":
    pts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if tty_group:
        pts.append("gid=5")  # group tty, where it is mapped
    return [
        _mount("tmpfs", "tmpfs", "/dev", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("devpts", "devpts", "/dev/pts", pts),
    ]


def _ipc(options: "RunOptions", host_has: "Callable[[str], bool]") -> "list[Doc]":
    if options.ipc == "host":
        # What the host has not mounted cannot be: these belong to its IPC namespace's owner.
        return [
            _mount("bind", path, path, ["rbind", "rprivate", *_SAFE])
            for path in ("/dev/shm", "/dev/mqueue")
            if host_has(path)
        ]
    mounts = [_mount("mqueue", "mqueue", "/dev/mqueue", list(_SAFE))]
    if options.ipc != "none":
        words = [*_SAFE, "mode=1777", f"size={options.shm_size}"]
        mounts.append(_mount("tmpfs", "shm", "/dev/shm", words))
    return mounts


def _sys(options: "RunOptions") -> "list[Doc]":
    write = [] if options.privileged and not options.read_only else ["ro"]
    if options.network == "host":
        # A new sysfs shows a network namespace, and may be mounted by its owner alone.
        sys = _mount("bind", "/sys", "/sys", ["rbind", "rprivate", *_SAFE, *write])
    else:
        sys = _mount("sysfs", "sysfs", "/sys", [*_SAFE, *write])
    if options.cgroupns == "host":
        words = ["rbind", "rprivate", *_SAFE, *write]
        return [sys, _mount("bind", "/sys/fs/cgroup", "/sys/fs/cgroup", words)]
    return [sys, _mount("cgroup2", "cgroup2", "/sys/fs/cgroup", [*_SAFE, *write])]


def _own_mount(mount: "Doc") -> "Doc":
    """One of the user's mounts."""
    if mount["type"] == "tmpfs" or mount["memory"]:
        # The propagation of a new mount is private; copying up is in rl.tmpfs_copy_up.
        words = [
            word
            for word in mount["options"]
            if word.removeprefix("no") != "tmpcopyup"
            and word.removeprefix("r") not in ("private", "shared", "slave")
        ]
        return _mount("tmpfs", "tmpfs", mount["target"], words + ["ro"] * mount["read_only"])
    if mount["type"] == "image":
        word = "ro" if mount["read_only"] else "rw"
        made = _mount("image", mount["source"], mount["target"], [word])
        return made | {"subpath": mount["subpath"], "layers": list(mount["layers"])}
    words = ["bind" if mount["recursive"] == "disabled" else "rbind", mount["propagation"]]
    if mount["read_only"]:
        words.append("ro" if mount["recursive"] in ("writable", "disabled") else "rro")
    made = _mount("bind", mount["host_path"], mount["target"], words + mount["options"])
    # Looked up below the source when it is mounted: a container may have put links there.
    return made | {"subpath": mount["subpath"]} if mount["subpath"] else made
