"""What `rl run` and `rl create` were asked for: every option parsed by Docker's grammar.

Pure but for the files that the user names (--env-file, --label-file).  Nothing here knows the
image or the host: rootless.runtime.spec makes a runtime config of both.  Warm.
"""

from rootless.errors import UsageError
from rootless.runtime import options_sections
from rootless.runtime.options_environment import (
    annotations,
    environment,
    inherited,
    labels,
    read_file,
)
from rootless.runtime.options_limits import check_sysctls
from rootless.runtime.options_text import absolute, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class RunOptions:
    """The parsed options of one container; JSON-able with `to_dict`.

    image, args           as asked; args replace the image's CMD
    detach, interactive, tty, rm, init, read_only, privileged, publish_all, port_fallback, quiet,
    sig_proxy     bools
    name, cidfile, hostname, domainname, workdir, user, platform, stop_signal, detach_keys  "" unset
    entrypoint            None: the image's; []: none; else [program]
    attach                of "stdin", "stdout", "stderr"; [] is the default of run
    env                   "NAME=value"; a NAME alone removes the image's variable
    env_merge             "NAME=text with ${OTHER}", from the image's variables
    unsetenv_all          bool: nothing of the image's variables
    umask                 of the program
    oom_score_adj         -1000 to 1000, or None
    init_path             the host's program for --init, "" for the usual ones
    replace               bool: the container that has the name goes first
    labels, annotations   dicts
    ports                 list of dicts, see options_ports; empty with network host and none
    expose                ["80/tcp", ...]
    mounts                list of dicts, see options_mounts, in order -v, --mount, --tmpfs
    volumes_from          [[container, "ro" or "rw"], ...]
    network, network_options   "", "host", "none", "netstack", "slirp4netns", "pasta"; "": the best;
                          "bridge" for those with names:
    egress                what may leave: network/bridge/egress.py; {} for all
    networks              name -> {"aliases", "ip", "ip6", "mac"}; options_network.parse_networks
    add_hosts             [[name, IP or "host-gateway"], ...]
    dns, dns_search, dns_options   lists
    userns                {"mode": "", "keep-id" or "nomap", "uid": int or None, "gid": int or None}
    ipc, pid, uts, cgroupns        "private", "host"; ipc also "shareable", "none"
    cap_add, cap_drop     full names or "ALL"
    security              dict, see options_security.parse_security
    devices               [{"source", "target", "permissions"}]
    rootfs                the directory that is the root instead of an image's, or ""
    rootfs_overlay        bool: what is written goes beside it (:O)
    secrets               list of dicts, see options_secrets
    cdi                   ["vendor/class=name"] of --device and --gpus
    group_add             names or numbers of supplementary groups
    ulimits               [{"type": "RLIMIT_NOFILE", "soft", "hard"}], -1 is unlimited
    sysctls               dict
    shm_size              bytes
    memory, memory_swap, cpus (nano), cpuset_cpus, pids_limit     0 and "" are not asked for
    memory_reservation, cpu_quota, cpu_period (µs), cpu_shares, cpuset_mems, blkio_weight
    blkio_weight_device, device_read_bps, …   device -> weight, bytes or operations a second
    cgroup_parent, cgroup_conf     "" or a slice; file of cgroup v2 -> value
    limits                "", "strict" or "best-effort"
    stop_timeout          seconds or None (10); -1 waits for ever
    restart, health, timeout, pidfile   see options_life.life
    pull                  "missing", "always" or "never"
    storage_driver        "", "overlay", "fuse-overlayfs" or "copy"
    log_driver, log_options        "json-file", "local" or "none"; dict of str
    warnings              one line each, for the user
    """

    __slots__ = (
        "add_hosts",
        "annotations",
        "args",
        "attach",
        "blkio_weight",
        "blkio_weight_device",
        "cap_add",
        "cap_drop",
        "cdi",
        "cgroup_conf",
        "cgroup_parent",
        "cgroupns",
        "cidfile",
        "cpu_period",
        "cpu_quota",
        "cpu_shares",
        "cpus",
        "cpuset_cpus",
        "cpuset_mems",
        "detach",
        "detach_keys",
        "device_read_bps",
        "device_read_iops",
        "device_write_bps",
        "device_write_iops",
        "devices",
        "dns",
        "dns_options",
        "dns_search",
        "domainname",
        "egress",
        "entrypoint",
        "env",
        "env_merge",
        "expose",
        "group_add",
        "health",
        "hostname",
        "image",
        "init",
        "init_path",
        "interactive",
        "ipc",
        "labels",
        "limits",
        "log_driver",
        "log_options",
        "memory",
        "memory_reservation",
        "memory_swap",
        "mounts",
        "name",
        "network",
        "network_options",
        "networks",
        "oom_score_adj",
        "pid",
        "pidfile",
        "pids_limit",
        "platform",
        "port_fallback",
        "ports",
        "privileged",
        "publish_all",
        "pull",
        "quiet",
        "read_only",
        "replace",
        "restart",
        "rm",
        "rootfs",
        "rootfs_overlay",
        "secrets",
        "security",
        "shm_size",
        "sig_proxy",
        "stop_signal",
        "stop_timeout",
        "storage_driver",
        "sysctls",
        "timeout",
        "tty",
        "ulimits",
        "umask",
        "unsetenv_all",
        "user",
        "userns",
        "uts",
        "volumes_from",
        "warnings",
        "workdir",
    )

    image: str
    args: list[str]
    detach: bool
    interactive: bool
    tty: bool
    rm: bool
    init: bool
    read_only: bool
    privileged: bool
    port_fallback: bool
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
    env_merge: list[str]
    unsetenv_all: bool
    umask: int
    oom_score_adj: int | None
    init_path: str
    replace: bool
    labels: dict[str, str]
    annotations: dict[str, str]
    ports: "list[dict[str, Any]]"
    expose: list[str]
    mounts: "list[dict[str, Any]]"
    volumes_from: list[list[str]]
    network: str
    network_options: list[str]
    networks: dict[str, dict[str, object]]
    egress: "dict[str, Any]"
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
    cdi: list[str]
    rootfs: str
    rootfs_overlay: bool
    secrets: "list[dict[str, Any]]"
    group_add: list[str]
    ulimits: "list[dict[str, Any]]"
    sysctls: dict[str, str]
    shm_size: int
    memory: int
    memory_swap: int
    cpus: int
    cpuset_cpus: str
    pids_limit: int
    memory_reservation: int
    cpu_quota: int
    cpu_period: int
    cpu_shares: int
    cpuset_mems: str
    blkio_weight: int
    blkio_weight_device: dict[str, int]
    device_read_bps: dict[str, int]
    device_write_bps: dict[str, int]
    device_read_iops: dict[str, int]
    device_write_iops: dict[str, int]
    cgroup_parent: str
    cgroup_conf: dict[str, str]
    limits: str
    stop_timeout: int | None
    restart: "dict[str, Any]"
    health: "dict[str, Any]"
    timeout: int
    pidfile: str
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
        for part in options_sections.ALL:
            part(fields, values, cwd)
        fields["env"] = inherited(values, environ) + environment(
            texts(values, "env"),
            [absolute(path, cwd) for path in texts(values, "env_file")],
            environ,
            read,
        )
        fields["annotations"] = annotations(texts(values, "annotation"))
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


def _check_joined(fields: "dict[str, Any]", mode: str) -> None:
    """What another container's network has decided already; Docker's list."""
    for field, option in (
        ("hostname", "--hostname"), ("ports", "--publish"), ("publish_all", "--publish-all"),
        ("dns", "--dns"), ("dns_search", "--dns-search"), ("dns_options", "--dns-option"),
        ("add_hosts", "--add-host"), ("expose", "--expose"),
    ):  # fmt: skip
        if fields[field] and (mode.startswith("container:") or "publish" in option):
            raise UsageError(
                f"conflicting options: {option} and --network {mode}",
                remedy="give it to the container whose network it is",
            )
    if fields["userns"]["mode"]:
        raise UsageError(
            f"conflicting options: --userns and --network {mode}",
            remedy="leave it out: the user namespace is the one that the network belongs to",
        )


def _check_conflicts(fields: "dict[str, Any]") -> None:
    """What cannot go together; and what Docker drops with a warning."""
    if fields["detach"] and fields["attach"]:
        raise UsageError("conflicting options: -a and -d", remedy="leave one of them out")
    if fields["uts"] == "host" and fields["hostname"]:
        raise UsageError("conflicting options: hostname and the UTS mode", remedy="leave one out")
    if fields["uts"] == "host" and fields["domainname"]:
        raise UsageError("conflicting options: domainname and the UTS mode", remedy="leave one out")
    mode = fields["network"]
    check_sysctls(fields["sysctls"], network=mode, ipc=fields["ipc"], uts=fields["uts"])
    if mode.startswith(("container:", "ns:")):
        _check_joined(fields, mode)
    if fields["egress"] and (
        fields["privileged"] or {"ALL", "CAP_NET_ADMIN"} & set(fields["cap_add"])
    ):
        raise UsageError(
            "--egress cannot be held against a container with CAP_NET_ADMIN, which may take "
            "another's address",
            remedy="give the policy to a network of its own: rl network create --egress",
        )
    if mode in ("host", "none") and (fields["ports"] or fields["publish_all"]):
        fields["ports"], fields["publish_all"] = [], False
        fields["warnings"].append(f"published ports are discarded when using {mode} network mode")
    if fields["privileged"]:
        # A profile that is asked for by name is honoured, as by Docker.
        fields["security"]["seccomp"] = fields["security"]["seccomp"] or "unconfined"
        fields["security"]["system_paths"] = "unconfined"
