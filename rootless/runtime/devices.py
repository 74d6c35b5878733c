"""--device and --gpus at the creation of a container: nodes of the host, and CDI devices.

A user namespace has no devices of its own: a node is bound from the host, and the kernel asks the
node's mode, with the caller's IDs.  cdi: CNCF Container Device Interface, SPEC.md 0.8.
"""

import os
import stat

from rootless.errors import BadDocument, ContainerError
from rootless.oci import yaml
from rootless.runtime.execute import KEEP_GROUPS
from rootless.runtime.options import RunOptions
from rootless.runtime.options_mounts import new_mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.context import Context

    Doc = dict[str, Any]


def resolve(ctx: "Context", options: RunOptions, notify: "Callable[[str], None]") -> RunOptions:
    """`options` with directories of devices and CDI devices as nodes, mounts and variables.

    Raises ContainerError RL-DEVICE, RL-CDI; BadDocument for a specification that is none.
    """
    nodes = [node for one in options.devices for node in _expand(one)]
    env, mounts = list(options.env), list(options.mounts)
    for edits in _edits(ctx, options.cdi):
        env += [str(entry) for entry in _items(edits, "env")]
        nodes += [_cdi_node(one) for one in _items(edits, "deviceNodes")]
        mounts += [_cdi_mount(one) for one in _items(edits, "mounts")]
    keeps = KEEP_GROUPS in options.group_add
    unique = {node["target"]: node for node in nodes}
    for node in unique.values():
        _check(node, keeps, notify)
    return RunOptions.from_dict(
        {**options.to_dict(), "devices": list(unique.values()), "env": env, "mounts": mounts}
    )


def _expand(device: "dict[str, str]") -> "list[dict[str, str]]":
    """The nodes below a directory, as Docker takes it; else the device itself."""
    source = device["source"]
    if not os.path.isdir(source):
        return [device]
    found = []
    for directory, _, names in os.walk(source):
        for name in sorted(names):
            path = f"{directory}/{name}"
            if _is_device(path):
                target = device["target"] + path[len(source) :]
                found.append({**device, "source": path, "target": target})
    if not found:
        raise _refused(source, "there is no device in this directory", "name a device node")
    return found


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def _check(node: "dict[str, str]", keeps_groups: bool, notify: "Callable[[str], None]") -> None:
    """Refuse what is no device, or not the caller's to use."""
    path = node["source"]
    try:
        status = os.stat(path)
    except OSError as e:
        raise _refused(path, e.strerror or "it is not there", "check the path") from e
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        raise _refused(path, "it is not a device node", "mount a file with --volume")
    wanted = (os.R_OK if "r" in node["permissions"] else 0) | (
        os.W_OK if "w" in node["permissions"] else 0
    )
    if not os.access(path, wanted):
        raise _refused(
            path,
            f"you may not open it yourself (mode {status.st_mode & 0o777:o}, group "
            f"{status.st_gid})",
            "ask the admin to put you into that group; without root nobody can give more",
        )
    bits = wanted & 7
    is_owner = status.st_uid == os.geteuid() and status.st_mode >> 6 & bits == bits
    is_open = status.st_mode & bits == bits or status.st_gid == os.getegid()
    if not (is_owner or is_open or keeps_groups):
        notify(
            f"{path} is open to you as a member of group {status.st_gid}, and the container has "
            "your groups with --group-add keep-groups only"
        )


def _refused(path: str, why: str, remedy: str) -> ContainerError:
    return ContainerError(f"cannot use the device {path}: {why}", remedy=remedy, code="RL-DEVICE")


# CDI.


def directories(ctx: "Context") -> list[str]:
    """Where specifications are, the later ones first: what a later one names, it names anew."""
    configured = ctx.config.get("cdi-dirs")
    if isinstance(configured, list):
        return [str(one) for one in configured]
    home = ctx.environ.get("XDG_CONFIG_HOME", "")
    home = home if home.startswith("/") else f"{ctx.home}/.config"
    return ["/etc/cdi", "/var/run/cdi", f"{home}/cdi"]


def _edits(ctx: "Context", wanted: list[str]) -> "list[Doc]":
    """The containerEdits of the devices: each specification's own once, then the devices'."""
    if not wanted:
        return []
    known = _known(ctx)
    found: list[Doc] = []
    used: list[Doc] = []
    for name in wanted:
        if name not in known:
            near = [one for one in known if one.startswith(name.partition("=")[0])]
            raise ContainerError(
                f"there is no CDI device {name} in {', '.join(directories(ctx))}",
                remedy=f"known are {', '.join(near)}"
                if near
                else "generate a specification: "
                "nvidia-ctk cdi generate --output=~/.config/cdi/nvidia.yaml",
                code="RL-CDI",
            )
        specification, device = known[name]
        if not any(one is specification for one in used):
            used.append(specification)
            found.append(_checked(specification, name))
        found.append(_checked(device, name))
    return found


def _checked(owner: "Doc", name: str) -> "Doc":
    edits = owner.get("containerEdits") or {}
    if not isinstance(edits, dict):
        raise BadDocument(f"the CDI device {name} has containerEdits that are no object")
    if edits.get("hooks"):
        programs = sorted({str(one.get("path", "?")) for one in _items(edits, "hooks")})
        raise ContainerError(
            f"cannot use the CDI device {name}: it wants the hooks {', '.join(programs)}, programs "
            "of the host that a runtime runs in a half-made container, and rl runs none",
            remedy="generate the specification without them: nvidia-ctk cdi generate "
            "--disable-hook=all, and set LD_LIBRARY_PATH to where its mounts are",
            code="RL-CDI",
        )
    unknown = sorted(key for key in edits if key not in ("env", "deviceNodes", "mounts", "hooks"))
    if any(edits[key] for key in unknown):
        raise ContainerError(
            f"cannot use the CDI device {name}: {', '.join(unknown)} cannot be done without root",
            remedy="take them out of the specification",
            code="RL-CDI",
        )
    return edits


def _known(ctx: "Context") -> "dict[str, tuple[Doc, Doc]]":
    """vendor/class=name -> (specification, device)."""
    found: dict[str, tuple[Doc, Doc]] = {}
    for directory in directories(ctx):
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            continue
        for name in names:
            if name.endswith((".json", ".yaml", ".yml")):
                specification = _read(f"{directory}/{name}")
                kind = str(specification.get("kind", ""))
                for device in _items(specification, "devices"):
                    found[f"{kind}={device.get('name', '')}"] = (specification, device)
    return found


def _read(path: str) -> "Doc":
    try:
        with open(path, encoding="utf-8") as file:
            value = yaml.parse(file.read(), path)
    except (OSError, UnicodeDecodeError) as e:
        raise ContainerError(
            f"cannot read the CDI specification {path}: {e}",
            remedy="check its permissions",
            code="RL-CDI",
        ) from e
    if not isinstance(value, dict):
        raise BadDocument(f"{path} is no CDI specification", remedy="generate it again")
    return value


def _items(owner: "Doc", key: str) -> "list[Any]":
    value = owner.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or (
        key != "env" and not all(isinstance(v, dict) for v in value)
    ):
        raise BadDocument(f"{key} of a CDI specification is no list, or not of what it should be")
    return value


def _cdi_node(node: "Doc") -> "dict[str, str]":
    path = str(node.get("path", ""))
    if not path.startswith("/"):
        raise BadDocument(f"the path {path!r} of a CDI device node is not absolute")
    return {
        "source": str(node.get("hostPath") or path),
        "target": path,
        "permissions": str(node.get("permissions") or "rw"),
    }


def _cdi_mount(mount: "Doc") -> "Doc":
    source, target = str(mount.get("hostPath", "")), str(mount.get("containerPath", ""))
    if not (source.startswith("/") and target.startswith("/")):
        raise BadDocument("a mount of a CDI specification has no absolute paths")
    made = new_mount("bind", source, target)
    words = [str(word) for word in mount.get("options") or ()]
    made["read_only"] = "ro" in words
    made["options"] = [word for word in words if word in ("nosuid", "nodev", "noexec")]
    return made
