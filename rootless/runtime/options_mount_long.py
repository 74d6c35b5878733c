"""--mount type=...,source=...,target=...: the grammar of docker/cli's opts.MountOpt."""

from rootless.errors import UsageError
from rootless.runtime.options_mounts import (
    PROPAGATIONS,
    check_target,
    check_tmpfs_size,
    check_volume_name,
    new_mount,
)
from rootless.runtime.options_text import absolute, closest, csv_fields, parse_bool, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.runtime.options_mounts import Mount

_ALIASES = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "readwrite": "rw",
    "subpath": "image-subpath",
}
_BOOLEANS = ("readonly", "rw", "volume-nocopy", "bind-nonrecursive", "bind-create-src")
_KEYS = (
    "type", "source", "target", "readonly", "consistency",
    "bind-propagation", "bind-recursive", "bind-nonrecursive", "bind-create-src",
    "volume-nocopy", "volume-label", "volume-subpath", "volume-driver", "volume-opt",
    "tmpfs-size", "tmpfs-mode", "image-subpath", "rw",
)  # fmt: skip
_RECURSIVE = ("disabled", "enabled", "readonly", "writable")


def parse_mount(spec: str, cwd: str) -> "Mount":
    """The mount of one --mount.  Raises UsageError."""
    fields = _fields(spec)
    kind = _one(fields, "type", "volume").lower()
    if kind not in ("bind", "volume", "tmpfs", "image"):
        later = kind in ("npipe", "cluster", "devpts", "glob", "overlay", "ramfs")
        raise UsageError(
            f"invalid type '{kind}' in --mount {spec}" + (": rl has no such mounts" * later),
            remedy="the types are bind, volume, tmpfs and image",
        )
    for key in fields:
        owner = key.partition("-")[0]
        if owner in ("bind", "volume", "tmpfs", "image") and "-" in key and owner != kind:
            raise UsageError(
                f"cannot mix '{owner}-*' options with mount type '{kind}' in --mount {spec}",
                remedy=f"leave {key} out, or write type={owner}",
            )
    target = _one(fields, "target", "")
    if not target:
        raise UsageError(f"target is required in --mount {spec}", remedy="add target=/DIRECTORY")
    source = _one(fields, "source", "")
    if source in (".", "..") or source.startswith(("./", "../")):
        source = absolute(source, cwd)
    mount = new_mount(kind, source, check_target(spec, target, "--mount"))
    mount["read_only"] = _boolean(fields, "readonly", spec)
    if "rw" in fields:
        if mount["read_only"] and _boolean(fields, "rw", spec):
            raise UsageError(f"readonly and rw in --mount {spec}", remedy="leave one of them out")
        mount["read_only"] = not _boolean(fields, "rw", spec)
    {"bind": _bind, "volume": _volume, "tmpfs": _tmpfs, "image": _image}[kind](mount, fields, spec)
    return mount


def _image(mount: "Mount", fields: dict[str, list[str]], spec: str) -> None:
    """Docker 28's and podman's: read-only, or with rw what is written is lost at the end."""
    if not mount["source"]:
        raise UsageError(f"source is required in --mount {spec}", remedy="add source=IMAGE")
    mount["read_only"] = not _boolean(fields, "rw", spec)
    subpath = _one(fields, "image-subpath", "")
    if ".." in subpath.split("/"):
        raise UsageError(
            f"invalid image-subpath '{subpath}' in --mount {spec}",
            remedy="give a path inside the image, without ..",
        )
    mount["subpath"] = subpath.strip("/")


def _bind(mount: "Mount", fields: dict[str, list[str]], spec: str) -> None:
    source = mount["source"]
    if not source:
        raise UsageError(f"source is required in --mount {spec}", remedy="add source=/HOST/PATH")
    if not source.startswith("/"):
        raise UsageError(
            f"invalid source '{source}' in --mount {spec}: a host path must be absolute",
            remedy="begin it with / or ./, or write type=volume for a named volume",
        )
    mount["source"] = absolute(source, "/")
    mount["create"] = _boolean(fields, "bind-create-src", spec)
    mount["propagation"] = _one(fields, "bind-propagation", "rprivate").lower()
    if mount["propagation"] not in PROPAGATIONS:
        raise UsageError(
            f"invalid propagation '{mount['propagation']}' in --mount {spec}",
            remedy=f"one of {', '.join(PROPAGATIONS)}",
        )
    recursive = _one(fields, "bind-recursive", "enabled")
    if _boolean(fields, "bind-nonrecursive", spec):
        recursive = "disabled"
    if recursive not in _RECURSIVE:
        raise UsageError(
            f"invalid value '{recursive}' for bind-recursive in --mount {spec}",
            remedy=f"one of {', '.join(_RECURSIVE)}",
        )
    if recursive in ("readonly", "writable") and not mount["read_only"]:
        raise UsageError(
            f"option 'bind-recursive={recursive}' requires 'readonly' in --mount {spec}",
            remedy="add readonly",
        )
    if recursive == "readonly" and _one(fields, "bind-propagation", "").lower() != "rprivate":
        raise UsageError(
            f"option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' in {spec}",
            remedy="add bind-propagation=rprivate",
        )
    mount["recursive"] = recursive


def _volume(mount: "Mount", fields: dict[str, list[str]], spec: str) -> None:
    if mount["source"]:
        check_volume_name(mount["source"])
    driver = _one(fields, "volume-driver", "local")
    if driver not in ("", "local"):
        raise UsageError(
            f"cannot honour volume-driver={driver} in --mount {spec}: plugins run as root",
            remedy="use the local driver, or bind what the host has mounted",
        )
    if "volume-opt" in fields:
        from rootless.runtime.volume_options import parse_options

        mount["driver_options"] = parse_options(fields["volume-opt"])
    mount["copy"] = not _boolean(fields, "volume-nocopy", spec)
    subpath = _one(fields, "volume-subpath", "")
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise UsageError(
            f"invalid volume-subpath '{subpath}' in --mount {spec}",
            remedy="give a relative path inside the volume",
        )
    if subpath and not mount["source"]:
        raise UsageError(
            f"volume-subpath without a volume's name in --mount {spec}", remedy="add source=NAME"
        )
    mount["subpath"] = subpath.strip("/")
    for label in fields.get("volume-label", ()):
        key, _, value = label.partition("=")
        if not key:
            raise UsageError(f"invalid volume-label '{label}' in --mount {spec}")
        mount["labels"][key] = value


def _tmpfs(mount: "Mount", fields: dict[str, list[str]], spec: str) -> None:
    if mount["source"]:
        raise UsageError(
            f"source must not be specified in --mount {spec}: a tmpfs has none",
            remedy="leave source out, or write type=bind",
        )
    mount["options"] = ["noexec", "nosuid", "nodev"]
    size = _one(fields, "tmpfs-size", "")
    if size:
        check_tmpfs_size(size, f"--mount {spec}")
        number = size if size.endswith("%") else str(parse_size(size, f"--mount {spec}"))
        if number != "0":
            mount["options"].append(f"size={number}")
    mode = _one(fields, "tmpfs-mode", "")
    if mode:
        if len(mode) > 7 or not all(c in "01234567" for c in mode):
            raise UsageError(
                f"invalid value '{mode}' for tmpfs-mode in --mount {spec}",
                remedy="give an octal mode, as 1777",
            )
        mount["options"].append(f"mode={mode.lstrip('0') or '0'}")


def _fields(spec: str) -> dict[str, list[str]]:
    """The values of each key, aliases resolved.  A key alone has the value "true"."""
    fields: dict[str, list[str]] = {}
    for field in csv_fields(spec, "--mount"):
        key, equals, value = field.partition("=")
        key = key.lower()
        key = _ALIASES.get(key, key)
        if not equals:
            if key not in _BOOLEANS:
                raise UsageError(
                    f"invalid field '{field}' in --mount {spec}: must be a key=value pair",
                    remedy=closest(key, _KEYS) or "as type=bind,source=/here,target=/there",
                )
            value = "true"
        if key not in _KEYS:
            raise UsageError(
                f"unexpected key '{key}' in --mount {spec}",
                remedy=closest(key, (*_KEYS, *_ALIASES)) or f"the keys are {', '.join(_KEYS)}",
            )
        fields.setdefault(key, []).append(value)
    return fields


def _one(fields: dict[str, list[str]], key: str, default: str) -> str:
    """The last value of a key, as Docker takes it."""
    return fields[key][-1] if key in fields else default


def _boolean(fields: dict[str, list[str]], key: str, spec: str) -> bool:
    value = parse_bool(_one(fields, key, "false"))
    if value is None:
        raise UsageError(
            f"invalid value for {key} in --mount {spec}: {fields[key][-1]}",
            remedy="write true or false",
        )
    return value
