"""The sections of a container's options: each function puts its own into `fields`.  Warm."""

from rootless.errors import UsageError
from rootless.runtime import options_limits, options_network, options_security
from rootless.runtime.execute import KEEP_GROUPS
from rootless.runtime.options_environment import merges
from rootless.runtime.options_life import life
from rootless.runtime.options_logging import parse_logging
from rootless.runtime.options_mount_long import parse_mount
from rootless.runtime.options_mounts import (
    check_unique,
    parse_tmpfs,
    parse_volume,
    parse_volumes_from,
    zone_mount,
)
from rootless.runtime.options_ports import parse_expose, parse_publish
from rootless.runtime.options_text import (
    absolute,
    closest,
    flag,
    is_restricted_name,
    number,
    parse_detach_keys,
    parse_signal,
    parse_size,
    text,
    texts,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SHM_SIZE = 64 << 20
_STORAGE_DRIVERS = {
    "": "",
    "overlay": "overlay",
    "overlay2": "overlay",
    "fuse-overlayfs": "fuse-overlayfs",
    "copy": "copy",
    "vfs": "copy",
}


def process(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """The program, its terminal and how it ends."""
    fields["image"] = text(values, "image")
    fields["args"] = texts(values, "args")
    for name in ("detach", "interactive", "tty", "rm", "init", "read_only", "quiet"):
        fields[name] = flag(values, name)
    fields["sig_proxy"] = flag(values, "sig_proxy", True)
    entrypoint = values.get("entrypoint")
    # Docker: an empty --entrypoint resets the image's; it is one program, never split in words.
    fields["entrypoint"] = None if entrypoint is None else [str(entrypoint)] if entrypoint else []
    fields["attach"] = _attach(texts(values, "attach"))
    workdir = text(values, "workdir")
    if workdir and not workdir.startswith("/"):
        raise UsageError(
            f"the working directory '{workdir}' is invalid, it needs to be an absolute path",
            remedy=f"write /{workdir}",
        )
    fields["workdir"] = absolute(workdir, "/") if workdir else ""
    signal = text(values, "stop_signal")
    fields["stop_signal"] = parse_signal(signal) if signal else ""
    fields["stop_timeout"] = number(values, "stop_timeout")
    if (fields["stop_timeout"] or 0) < -1:
        raise UsageError("invalid --stop-timeout", remedy="seconds, or -1 to wait for ever")
    keys = text(values, "detach_keys")
    if keys:
        parse_detach_keys(keys)
    fields["detach_keys"] = keys
    fields["init_path"] = (
        absolute(text(values, "init_path"), cwd) if text(values, "init_path") else ""
    )
    if fields["init_path"] and not fields["init"]:
        raise UsageError("--init-path needs --init", remedy="add --init, or leave it out")
    fields["env_merge"] = merges(texts(values, "env_merge"))
    fields["unsetenv_all"] = flag(values, "unsetenv_all")
    fields["umask"] = _umask(text(values, "umask"))
    fields["oom_score_adj"] = number(values, "oom_score_adj")
    if not -1000 <= (fields["oom_score_adj"] or 0) <= 1000:
        raise UsageError("invalid --oom-score-adj", remedy="a number from -1000 to 1000")
    fields["user"] = options_security.check_user(text(values, "user"))
    fields["group_add"] = _groups(texts(values, "group_add"))


def _groups(given: list[str]) -> list[str]:
    if KEEP_GROUPS in given and len(given) > 1:
        raise UsageError(
            "--group-add keep-groups cannot go with other groups",
            remedy="the kernel lets a process keep its groups, or set them: leave one out",
        )
    return [options_security.check_user(group, "--group-add") for group in given]


def _umask(value: str) -> int:
    if not value:
        return 0o022
    if not all(c in "01234567" for c in value) or int(value, 8) > 0o777:
        raise UsageError(f'invalid --umask "{value}"', remedy="octal digits, as 0027")
    return int(value, 8)


def identity(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """Names: the container's, its host's, its files."""
    name = text(values, "name").removeprefix("/")
    if name and not (is_restricted_name(name) and len(name) <= 128):
        raise UsageError(
            f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            remedy="2 to 128 of these characters",
        )
    fields["name"] = name
    fields["replace"] = flag(values, "replace")
    if fields["replace"] and not name:
        raise UsageError("--replace needs --name", remedy="name the container to replace")
    cidfile = text(values, "cidfile")
    fields["cidfile"] = absolute(cidfile, cwd) if cidfile else ""
    fields["hostname"] = options_network.check_hostname(text(values, "hostname"), "hostname")
    fields["domainname"] = options_network.check_hostname(text(values, "domainname"), "domain name")
    platform = text(values, "platform").lower()
    parts = platform.split("/")
    if platform and (
        len(parts) > 3 or not all(p and all(c.isalnum() or c in "-_." for c in p) for p in parts)
    ):
        raise UsageError(
            f'invalid --platform "{platform}"', remedy="as linux/arm64 or linux/arm/v7"
        )
    fields["platform"] = platform


def storage(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """Mounts and the root file system."""
    fields["rootfs"], fields["rootfs_overlay"] = "", False
    if flag(values, "rootfs"):
        path = fields["image"]
        fields["rootfs_overlay"] = path.endswith(":O")
        fields["rootfs"] = absolute(path.removesuffix(":O"), cwd)
        if fields["platform"] or text(values, "pull") == "always":
            raise UsageError(
                "--rootfs goes with neither --platform nor --pull=always: there is no image",
                remedy="leave them out",
            )
    mounts = [parse_volume(spec, cwd) for spec in texts(values, "volume")]
    mounts += [parse_mount(spec, cwd) for spec in texts(values, "mount")]
    mounts += [parse_tmpfs(spec) for spec in texts(values, "tmpfs")]
    zone = text(values, "tz")
    if zone:
        mounts.append(zone_mount(zone))
    check_unique(mounts)
    fields["mounts"] = mounts
    fields["volumes_from"] = [parse_volumes_from(one) for one in texts(values, "volumes_from")]
    plugin = text(values, "volume_driver")
    if plugin not in ("", "local"):
        raise UsageError(
            f"cannot take --volume-driver {plugin}: plugins run as root",
            remedy="bind what the host has mounted: --volume /PATH:…",
        )
    shm_size = text(values, "shm_size")
    fields["shm_size"] = (parse_size(shm_size, "--shm-size") if shm_size else 0) or SHM_SIZE
    driver = text(values, "storage_driver")
    if driver not in _STORAGE_DRIVERS:
        raise UsageError(
            f"unknown storage driver {driver}",
            remedy=closest(driver, _STORAGE_DRIVERS) or "use overlay, fuse-overlayfs or copy",
        )
    fields["storage_driver"] = _STORAGE_DRIVERS[driver]


def network(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """Networks, ports and the namespaces that can be the host's."""
    mode, options, networks = options_network.parse_networks(
        texts(values, "network"), texts(values, "network_alias"), text(values, "ip"),
        text(values, "ip6"), text(values, "mac_address"),
    )  # fmt: skip
    fields["egress"] = {}
    if texts(values, "egress"):
        from rootless.network.bridge import egress

        fields["egress"] = egress.parse(texts(values, "egress"))
        if not mode:  # what leaves is looked at where a bridge leads out
            mode, options, networks = options_network.parse_networks(["bridge"], [], "", "", "")
        elif not networks:
            raise UsageError(
                f"cannot have --egress with --network {mode}: rl does not see what leaves there",
                remedy="leave --network out, or name a network: rl network create",
            )
    fields["network"], fields["network_options"], fields["networks"] = mode, options, networks
    fields["ports"] = parse_publish(texts(values, "publish"), texts(values, "publish_private"), cwd)
    fields["port_fallback"] = flag(values, "port_fallback")
    fields["publish_all"] = flag(values, "publish_all")
    fields["expose"] = parse_expose(texts(values, "expose"))
    fields["add_hosts"] = options_network.parse_add_host(texts(values, "add_host"))
    fields["dns"] = options_network.parse_dns(texts(values, "dns"))
    fields["dns_search"] = options_network.parse_dns_search(texts(values, "dns_search"))
    fields["dns_options"] = options_network.parse_dns_options(texts(values, "dns_option"))
    fields["userns"] = options_network.parse_userns(text(values, "userns"))
    for option, more in (
        ("ipc", ("none", "shareable")),
        ("pid", ()),
        ("uts", ()),
        ("cgroupns", ()),
    ):
        allowed = ("host", "private", *more)
        fields[option] = options_network.parse_namespace(option, text(values, option), allowed)


def security(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """What the program may do."""
    fields["privileged"] = flag(values, "privileged")
    fields["cap_add"] = options_security.parse_capabilities(texts(values, "cap_add"), "--cap-add")
    fields["cap_drop"] = options_security.parse_capabilities(
        texts(values, "cap_drop"), "--cap-drop"
    )
    fields["security"] = options_security.parse_security(texts(values, "security_opt"), cwd)
    fields["security"]["landlock"] = options_security.parse_landlock(texts(values, "landlock"))
    paths, fields["cdi"] = options_security.split_cdi(texts(values, "device"))
    fields["devices"] = options_security.parse_devices(paths)
    if text(values, "gpus"):
        from rootless.runtime.options_gpus import parse_gpus

        fields["cdi"] += parse_gpus(text(values, "gpus"))
    fields["secrets"] = []
    if texts(values, "secret"):
        from rootless.runtime.options_secrets import parse_secrets

        fields["secrets"] = parse_secrets(texts(values, "secret"))
    fields["sysctls"] = options_limits.parse_sysctls(texts(values, "sysctl"))


def limits(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """How much of the host it may use."""
    fields["ulimits"] = options_limits.parse_ulimits(texts(values, "ulimit"))
    options_limits.parse_resources(fields, values)
    mode = text(values, "limits")
    if mode not in ("", "strict", "best-effort"):
        raise UsageError(f"invalid --limits {mode}", remedy="use strict or best-effort")
    fields["limits"] = mode


def rest(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """The image, and where the output goes."""
    pull = text(values, "pull") or "missing"
    if pull not in ("always", "missing", "never"):
        raise UsageError(
            f"invalid --pull {pull}", remedy='must be one of "always", "missing" or "never"'
        )
    fields["pull"] = pull
    fields["log_driver"], fields["log_options"] = parse_logging(
        text(values, "log_driver"), texts(values, "log_opt")
    )


def _attach(words: list[str]) -> list[str]:
    streams = [word.lower() for word in words]
    for stream in streams:
        if stream not in ("stdin", "stdout", "stderr"):
            raise UsageError(
                f"valid streams are STDIN, STDOUT and STDERR: {stream} (--attach)",
                remedy=closest(stream, ("stdin", "stdout", "stderr")) or None,
            )
    return list(dict.fromkeys(streams))


# In the order in which their complaints come.
ALL = (process, identity, storage, network, security, limits, life, rest)
