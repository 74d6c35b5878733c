"""What `rl run` and `rl create` were asked for: every option parsed by Docker's grammar.

Pure but for the files that the user names (--env-file, --label-file).  Nothing here knows the
image or the host: rootless.runtime.spec makes a runtime config of both.  Warm.
"""

from rootless.errors import UsageError
from rootless.runtime import options_limits as limits
from rootless.runtime import options_network as network
from rootless.runtime import options_security as security
from rootless.runtime.options_environment import environment, labels, read_file
from rootless.runtime.options_mount_long import parse_mount
from rootless.runtime.options_mounts import check_unique, parse_tmpfs, parse_volume
from rootless.runtime.options_ports import parse_expose, parse_publish
from rootless.runtime.options_text import (
    absolute,
    closest,
    flag,
    is_restricted_name,
    number,
    parse_bool,
    parse_detach_keys,
    parse_signal,
    parse_size,
    text,
    texts,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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


class RunOptions:
    """The parsed options of one container; JSON-able with `to_dict`.

    image, args           as asked; args replace the image's CMD
    detach, interactive, tty, rm, init, read_only, privileged, publish_all, quiet, sig_proxy  bools
    name, cidfile, hostname, domainname, workdir, user, platform, stop_signal, detach_keys  "" unset
    entrypoint            None: the image's; []: none; else [program]
    attach                of "stdin", "stdout", "stderr"; [] is the default of run
    env                   "NAME=value"; a NAME alone removes the image's variable
    labels                dict
    ports                 list of dicts, see options_ports; empty with network host and none
    expose                ["80/tcp", ...]
    mounts                list of dicts, see options_mounts, in order -v, --mount, --tmpfs
    network, network_options   "", "host", "none", "slirp4netns", "pasta"; "" is the best one here
    add_hosts             [[name, IP or "host-gateway"], ...]
    dns, dns_search, dns_options   lists
    userns                {"mode": "" or "keep-id", "uid": int or None, "gid": int or None}
    ipc, pid, uts, cgroupns        "private", "host"; ipc also "shareable", "none"
    cap_add, cap_drop     full names or "ALL"
    security              dict, see options_security.parse_security
    devices               [{"source", "target", "permissions"}]
    group_add             names or numbers of supplementary groups
    ulimits               [{"type": "RLIMIT_NOFILE", "soft", "hard"}], -1 is unlimited
    sysctls               dict
    shm_size              bytes
    memory, memory_swap, cpus (nano), cpuset_cpus, pids_limit     0 and "" are not asked for
    limits                "", "strict" or "best-effort"
    stop_timeout          seconds or None (10); -1 waits for ever
    pull                  "missing", "always" or "never"
    storage_driver        "", "overlay", "fuse-overlayfs" or "copy"
    log_driver, log_options        "json-file", "local" or "none"; dict of str
    warnings              one line each, for the user
    """

    __slots__ = (
        "add_hosts", "args", "attach", "cap_add", "cap_drop", "cgroupns", "cidfile", "cpus",
        "cpuset_cpus", "detach", "detach_keys", "devices", "dns", "dns_options", "dns_search",
        "domainname", "entrypoint", "env", "expose", "group_add", "hostname", "image", "init",
        "interactive", "ipc", "labels", "limits", "log_driver", "log_options", "memory",
        "memory_swap", "mounts", "name", "network", "network_options", "pid", "pids_limit",
        "platform", "ports", "privileged", "publish_all", "pull", "quiet", "read_only", "rm",
        "security", "shm_size", "sig_proxy", "stop_signal", "stop_timeout", "storage_driver",
        "sysctls", "tty", "ulimits", "user", "userns", "uts", "warnings", "workdir",
    )  # fmt: skip

    image: str
    args: list[str]
    detach: bool
    interactive: bool
    tty: bool
    rm: bool
    init: bool
    read_only: bool
    privileged: bool
    publish_all: bool
    quiet: bool
    sig_proxy: bool
    name: str
    cidfile: str
    hostname: str
    domainname: str
    workdir: str
    user: str
    platform: str
    stop_signal: str
    detach_keys: str
    entrypoint: list[str] | None
    attach: list[str]
    env: list[str]
    labels: dict[str, str]
    ports: "list[dict[str, Any]]"
    expose: list[str]
    mounts: "list[dict[str, Any]]"
    network: str
    network_options: list[str]
    add_hosts: list[list[str]]
    dns: list[str]
    dns_search: list[str]
    dns_options: list[str]
    userns: "dict[str, Any]"
    ipc: str
    pid: str
    uts: str
    cgroupns: str
    cap_add: list[str]
    cap_drop: list[str]
    security: "dict[str, Any]"
    devices: list[dict[str, str]]
    group_add: list[str]
    ulimits: "list[dict[str, Any]]"
    sysctls: dict[str, str]
    shm_size: int
    memory: int
    memory_swap: int
    cpus: int
    cpuset_cpus: str
    pids_limit: int
    limits: str
    stop_timeout: int | None
    pull: str
    storage_driver: str
    log_driver: str
    log_options: dict[str, str]
    warnings: list[str]

    def __init__(self, fields: "Mapping[str, Any]") -> None:
        for name in self.__slots__:
            setattr(self, name, fields[name])

    @classmethod
    def from_values(
        cls,
        values: "Mapping[str, object]",
        *,
        environ: "Mapping[str, str]",
        cwd: str,
        home: str = "",
        read: "Callable[[str], bytes]" = read_file,
    ) -> "RunOptions":
        """Parse the raw values of the command line.  Raises UsageError.

        `read` reads the files that --env-file and --label-file name, relative to `cwd`.
        """
        fields: dict[str, Any] = {"warnings": []}
        for part in (_process, _identity, _storage, _network, _security, _limits, _rest):
            part(fields, values, cwd)
        fields["env"] = environment(
            texts(values, "env"),
            [absolute(path, cwd) for path in texts(values, "env_file")],
            environ,
            read,
        )
        fields["labels"] = labels(
            texts(values, "label"),
            [absolute(path, cwd) for path in texts(values, "label_file")],
            read,
        )
        _check_conflicts(fields)
        return cls(fields)

    def to_dict(self) -> "dict[str, Any]":
        """Every field, for container.json."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, fields: "Mapping[str, Any]") -> "RunOptions":
        """What `to_dict` made; a field that an older rl did not write has its default."""
        if all(name in fields for name in cls.__slots__):
            return cls(fields)
        defaults = cls.from_values({"image": ""}, environ={}, cwd="/").to_dict()
        return cls({**defaults, **fields})


def _process(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
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
    fields["user"] = security.check_user(text(values, "user"))
    fields["group_add"] = [
        security.check_user(group, "--group-add") for group in texts(values, "group_add")
    ]


def _identity(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """Names: the container's, its host's, its files."""
    name = text(values, "name").removeprefix("/")
    if name and not (is_restricted_name(name) and len(name) <= 128):
        raise UsageError(
            f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            remedy="2 to 128 of these characters",
        )
    fields["name"] = name
    cidfile = text(values, "cidfile")
    fields["cidfile"] = absolute(cidfile, cwd) if cidfile else ""
    fields["hostname"] = network.check_hostname(text(values, "hostname"), "hostname")
    fields["domainname"] = network.check_hostname(text(values, "domainname"), "domain name")
    platform = text(values, "platform").lower()
    parts = platform.split("/")
    if platform and (
        len(parts) > 3 or not all(p and all(c.isalnum() or c in "-_." for c in p) for p in parts)
    ):
        raise UsageError(
            f'invalid --platform "{platform}"', remedy="as linux/arm64 or linux/arm/v7"
        )
    fields["platform"] = platform


def _storage(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """Mounts and the root file system."""
    mounts = [parse_volume(spec, cwd) for spec in texts(values, "volume")]
    mounts += [parse_mount(spec, cwd) for spec in texts(values, "mount")]
    mounts += [parse_tmpfs(spec) for spec in texts(values, "tmpfs")]
    check_unique(mounts)
    fields["mounts"] = mounts
    shm_size = text(values, "shm_size")
    fields["shm_size"] = (parse_size(shm_size, "--shm-size") if shm_size else 0) or SHM_SIZE
    driver = text(values, "storage_driver")
    if driver not in _STORAGE_DRIVERS:
        raise UsageError(
            f"unknown storage driver {driver}",
            remedy=closest(driver, _STORAGE_DRIVERS) or "use overlay, fuse-overlayfs or copy",
        )
    fields["storage_driver"] = _STORAGE_DRIVERS[driver]


def _network(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """Networks, ports and the namespaces that can be the host's."""
    fields["network"], fields["network_options"] = network.parse_network(text(values, "network"))
    fields["ports"] = parse_publish(texts(values, "publish"))
    fields["publish_all"] = flag(values, "publish_all")
    fields["expose"] = parse_expose(texts(values, "expose"))
    fields["add_hosts"] = network.parse_add_host(texts(values, "add_host"))
    fields["dns"] = network.parse_dns(texts(values, "dns"))
    fields["dns_search"] = network.parse_dns_search(texts(values, "dns_search"))
    fields["dns_options"] = network.parse_dns_options(texts(values, "dns_option"))
    fields["userns"] = network.parse_userns(text(values, "userns"))
    for option, more in (
        ("ipc", ("none", "shareable")),
        ("pid", ()),
        ("uts", ()),
        ("cgroupns", ()),
    ):
        allowed = ("host", "private", *more)
        fields[option] = network.parse_namespace(option, text(values, option), allowed)


def _security(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """What the program may do."""
    fields["privileged"] = flag(values, "privileged")
    fields["cap_add"] = security.parse_capabilities(texts(values, "cap_add"), "--cap-add")
    fields["cap_drop"] = security.parse_capabilities(texts(values, "cap_drop"), "--cap-drop")
    fields["security"] = security.parse_security(texts(values, "security_opt"), cwd)
    fields["devices"] = security.parse_devices(texts(values, "device"))
    fields["sysctls"] = limits.parse_sysctls(texts(values, "sysctl"))


def _limits(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """How much of the host it may use."""
    fields["ulimits"] = limits.parse_ulimits(texts(values, "ulimit"))
    fields["memory"], fields["memory_swap"] = limits.parse_memory(
        text(values, "memory"), text(values, "memory_swap")
    )
    fields["cpus"] = limits.parse_cpus(text(values, "cpus"))
    fields["cpuset_cpus"] = limits.parse_cpuset(text(values, "cpuset_cpus"))
    fields["pids_limit"] = limits.parse_pids_limit(number(values, "pids_limit"))
    mode = text(values, "limits")
    if mode not in ("", "strict", "best-effort"):
        raise UsageError(f"invalid --limits {mode}", remedy="use strict or best-effort")
    fields["limits"] = mode


def _rest(fields: "dict[str, Any]", values: "Mapping[str, object]", cwd: str) -> None:
    """Pulling and logging."""
    pull = text(values, "pull") or "missing"
    if pull not in ("always", "missing", "never"):
        raise UsageError(
            f"invalid --pull {pull}", remedy='must be one of "always", "missing" or "never"'
        )
    fields["pull"] = pull
    driver = text(values, "log_driver") or "json-file"
    if driver not in ("json-file", "local", "none"):
        raise UsageError(
            f"cannot use the log driver {driver}: rl writes a container's log to a file",
            remedy="use json-file, local or none",
        )
    fields["log_driver"] = driver
    fields["log_options"] = _log_options(texts(values, "log_opt"), driver)


def _attach(words: list[str]) -> list[str]:
    streams = [word.lower() for word in words]
    for stream in streams:
        if stream not in ("stdin", "stdout", "stderr"):
            raise UsageError(
                f"valid streams are STDIN, STDOUT and STDERR: {stream} (--attach)",
                remedy=closest(stream, ("stdin", "stdout", "stderr")) or None,
            )
    return list(dict.fromkeys(streams))


def _log_options(specs: list[str], driver: str) -> dict[str, str]:
    known = (
        "compress",
        "env",
        "env-regex",
        "labels",
        "labels-regex",
        "max-file",
        "max-size",
        "tag",
    )
    found = {}
    for spec in specs:
        key, equals, value = spec.partition("=")
        if driver == "none" or key not in known or not equals:
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
    return found


def _check_conflicts(fields: "dict[str, Any]") -> None:
    """What cannot go together; and what Docker drops with a warning."""
    if fields["detach"] and fields["attach"]:
        raise UsageError("conflicting options: -a and -d", remedy="leave one of them out")
    if fields["uts"] == "host" and fields["hostname"]:
        raise UsageError("conflicting options: hostname and the UTS mode", remedy="leave one out")
    if fields["uts"] == "host" and fields["domainname"]:
        raise UsageError("conflicting options: domainname and the UTS mode", remedy="leave one out")
    mode = fields["network"]
    limits.check_sysctls(fields["sysctls"], network=mode, ipc=fields["ipc"], uts=fields["uts"])
    if mode in ("host", "none") and (fields["ports"] or fields["publish_all"]):
        fields["ports"], fields["publish_all"] = [], False
        fields["warnings"].append(f"published ports are discarded when using {mode} network mode")
    if fields["privileged"]:
        # A profile that is asked for by name is honoured, as by Docker.
        fields["security"]["seccomp"] = fields["security"]["seccomp"] or "unconfined"
        fields["security"]["system_paths"] = "unconfined"
