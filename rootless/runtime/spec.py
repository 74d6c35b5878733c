"""A container's config.json: the OCI runtime config (runtime-spec 1.1) and rl's own part.  Pure.

What an OCI runtime would do is in the usual places: process, root, hostname, domainname, mounts
(in order; see spec_mounts), linux.{namespaces, maskedPaths, readonlyPaths, sysctl, resources}.
uidMappings and gidMappings are filled in at launch, which knows the host's; process.user stays 0:0
and linux.seccomp is left out: the stage looks the user up in the container and loads rl.seccomp.

The object "rl":

    layers        diffIDs of the image, bottom first
    user          "name:group" as asked, "" for root; looked up by the stage
    groups        supplementary groups (--group-add), names or numbers
    entrypoint, command   the two parts of process.args
    init          run a small init as PID 1
    attach        {"stdin", "stdout", "stderr", "tty"}: bools
    network       {"mode": as asked, "driver": chosen, "options", "ports", "exposed": ["80/tcp"],
                  "dns", "dns_search", "dns_options", "add_hosts": [[name, IP]]}; ports as
                  options_ports, with those of --publish-all
    userns        {"mode", "uid", "gid"}: see options.userns
    ipc, pid, uts, cgroupns       "private", "host", …
    links         [[text, path]]: symbolic links in /dev, made after the mounts
    devices       [{"source", "target", "permissions"}] of --device; in mounts already
    rootfs        {"path": the directory of --rootfs or "", "overlay": bool}
    secrets       [{"name", "type", "target", "uid", "gid", "mode"}]: see options_secrets
    volumes       [{"name", "path", "target", "anonymous", "copy", "labels"}]: to be made before the
                  start; path is the directory that is mounted, with its subpath
    copy_up       [[target, path]]: fill an empty volume from the image's target
    tmpfs_copy_up [target]: fill a tmpfs from the image (--tmpfs with tmpcopyup)
    create        host directories to be made where they are missing (--volume)
    image_layers  diffIDs of the images that are mounted (--mount type=image)
    chown         host directories whose files go to the container's user (:U)
    mounts        `docker inspect`'s "Mounts"
    labels        the image's and the options'
    seccomp       path of the BPF program, "" for none
    stop_signal, stop_timeout (seconds, -1: for ever)
    limits        "", "strict" or "best-effort"
    storage_driver        "", "overlay", "fuse-overlayfs", "copy"
    health        the health check, as an image's config has it; {} for none
    timeout, pidfile      of --timeout (seconds, 0: never) and --pidfile ("": none)
    log           {"driver", "options"}
    privileged    bool
    rung          {}: launch writes here which rung of each ladder it took
"""

import os

from rootless.ids import new_container_id
from rootless.runtime import spec_mounts, spec_process
from rootless.runtime.options_life import health_check
from rootless.runtime.options_limits import check_ulimits
from rootless.runtime.options_ports import split_protocol
from rootless.runtime.options_security import effective_capabilities
from rootless.runtime.options_text import absolute, parse_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rootless.runtime.options import RunOptions

    Doc = dict[str, Any]

OCI_VERSION = "1.1.0"
STOP_TIMEOUT = 10  # seconds
CPU_PERIOD = 100000  # microseconds


def build(
    options: "RunOptions",
    record: "Mapping[str, Any]",
    *,
    container_id: str,
    directory: str,
    volume_path: "Callable[[str], str]",
    inherited: "Sequence[Doc]" = (),
    rootfs: str = "rootfs",
    seccomp: str = "",
    driver: str = "",
    host_hostname: str = "",
    host_limits: "dict[str, tuple[int, int]] | None" = None,
    host_devices: "Sequence[str]" = (),
    tty_group: bool = True,
    caller: "tuple[int, int] | None" = None,
    host_has: "Callable[[str], bool]" = os.path.exists,
    new_volume_name: "Callable[[], str]" = new_container_id,
) -> "Doc":
    """The config.json of a container of the image `record`.  Raises UsageError.

    `directory` is the container's in the store, where hosts, resolv.conf and hostname are;
    `volume_path` gives a volume's directory; `inherited` are the mounts of --volumes-from;
    `driver` is the network that was chosen;
    `host_limits` are the caller's (rlimit.host_limits()); `host_devices` are nodes of /dev for
    --privileged; `tty_group` says whether GID 5 is mapped; `caller` is (UID, GID), ours if None;
    `host_has` tells whether the host has a path.
    """
    image = record.get("config") or {}
    if host_limits is not None:
        check_ulimits(options.ulimits, host_limits)
    resolved = spec_mounts.resolve(options, image, volume_path, inherited, new_volume_name)
    entrypoint, command = spec_process.command_line(options, image)
    hostname = _hostname(options, container_id, host_hostname)
    config: Doc = {
        "ociVersion": OCI_VERSION,
        "process": _process(options, image, entrypoint + command, hostname, host_limits),
        "root": {"path": rootfs, "readonly": options.read_only},
        "hostname": hostname,
        "mounts": spec_mounts.oci_mounts(
            options,
            resolved,
            directory=directory,
            tty_group=tty_group,
            host_devices=host_devices,
            host_has=host_has,
        ),
        "linux": _linux(options),
        "annotations": dict(options.annotations),
        "rl": {
            "layers": list(record.get("layers") or ()),
            "entrypoint": entrypoint,
            "command": command,
            "seccomp": seccomp,
            "network": _network(options, image, driver),
            "user": _user(options, image, caller or (os.getuid(), os.getgid())),
            **_extension(options, image),
            **_storage(options, resolved),
        },
    }
    if options.domainname:
        config["domainname"] = options.domainname
    return config


def _linux(options: "RunOptions") -> "Doc":
    masked, read_only = spec_mounts.hidden_paths(options)
    return {
        "namespaces": [{"type": kind} for kind in _namespaces(options)],
        "maskedPaths": masked,
        "readonlyPaths": read_only,
        "sysctl": dict(options.sysctls),
        "resources": resources(options),
    }


def _process(
    options: "RunOptions",
    image: "Mapping[str, Any]",
    args: list[str],
    hostname: str,
    host_limits: "dict[str, tuple[int, int]] | None",
) -> "Doc":
    names = effective_capabilities(options.cap_add, options.cap_drop, options.privileged)
    environment = spec_process.environment(
        options.env,
        [] if options.unsetenv_all else spec_process.strings(image.get("Env")),
        hostname=hostname,
        terminal=options.tty,
    )
    score, rules = options.oom_score_adj, options.security["landlock"]
    return {
        "terminal": options.tty,
        "user": {"uid": 0, "gid": 0, "umask": options.umask},
        "args": args,
        "env": spec_process.merge(environment, options.env_merge),
        "cwd": absolute(options.workdir or str(image.get("WorkingDir") or "/"), "/"),
        "capabilities": spec_process.capability_sets(names),
        "rlimits": spec_process.rlimits(options.ulimits, host_limits),
        "noNewPrivileges": options.security["no_new_privileges"],
        **({} if score is None else {"oomScoreAdj": score}),
        **({"landlock": rules} if rules else {}),
    }


def _extension(options: "RunOptions", image: "Mapping[str, Any]") -> "Doc":
    """What is neither mounts nor network."""
    stop_signal = options.stop_signal or str(image.get("StopSignal") or "SIGTERM")
    timeout = options.stop_timeout
    return {
        "groups": list(options.group_add),
        "init": options.init,
        "attach": {
            "stdin": options.interactive or "stdin" in options.attach,
            "stdout": not options.attach or "stdout" in options.attach,
            "stderr": not options.attach or "stderr" in options.attach,
            "tty": options.tty,
        },
        "userns": dict(options.userns),
        "ipc": options.ipc,
        "pid": options.pid,
        "uts": options.uts,
        "cgroupns": options.cgroupns,
        "labels": {**(image.get("Labels") or {}), **options.labels},
        "stop_signal": parse_signal(stop_signal),
        "stop_timeout": STOP_TIMEOUT if timeout is None else timeout,
        "limits": options.limits,
        "storage_driver": options.storage_driver,
        "health": health_check(options.health, image),
        "timeout": options.timeout,
        "pidfile": options.pidfile,
        "log": {"driver": options.log_driver, "options": dict(options.log_options)},
        "privileged": options.privileged,
        "rung": {},
    }


def _storage(options: "RunOptions", resolved: "Sequence[Doc]") -> "Doc":
    volumes = [mount for mount in resolved if mount["type"] == "volume"]
    binds = [mount for mount in resolved if mount["type"] == "bind"]
    return {
        "links": spec_mounts.links(resolved),
        "devices": [dict(device) for device in options.devices],
        "rootfs": {"path": options.rootfs, "overlay": options.rootfs_overlay},
        "secrets": [dict(secret) for secret in options.secrets],
        "volumes": [
            {
                "name": mount["source"],
                "path": mount["host_path"],
                "target": mount["target"],
                "anonymous": mount["anonymous"],
                "labels": mount["labels"],
                "options": mount["driver_options"],
            }
            for mount in volumes
        ],
        "copy_up": [
            [mount["target"], mount["host_path"]]
            for mount in volumes
            if mount["copy"] and not mount["subpath"] and not mount["memory"]
        ],
        "tmpfs_copy_up": [
            mount["target"]
            for mount in resolved
            if "tmpcopyup" in mount["options"] or (mount["memory"] and mount["copy"])
        ],
        "create": [mount["host_path"] for mount in binds if mount["create"]],
        "chown": [mount["host_path"] for mount in resolved if mount["chown"]],
        "image_layers": [
            layer for mount in resolved if mount["type"] == "image" for layer in mount["layers"]
        ],
        "mounts": spec_mounts.inspect_mounts(resolved),
    }


def _network(options: "RunOptions", image: "Mapping[str, Any]", driver: str) -> "Doc":
    exposed = dict.fromkeys(options.expose)
    for port in spec_process.keys(image.get("ExposedPorts")):
        exposed[port if "/" in port else f"{port}/tcp"] = None
    ports = [dict(published) for published in options.ports]
    for published in ports:
        exposed[f"{published['container_port']}/{published['protocol']}"] = None
    if options.publish_all:
        ports += _remaining(exposed, ports)
    return {
        "mode": options.network,
        "driver": driver or options.network,
        "options": list(options.network_options),
        "ports": ports,
        "exposed": sorted(exposed),
        "dns": list(options.dns),
        "dns_search": list(options.dns_search),
        "dns_options": list(options.dns_options),
        "add_hosts": [list(pair) for pair in options.add_hosts],
    }


def _remaining(exposed: "Mapping[str, None]", ports: "Sequence[Doc]") -> "list[Doc]":
    """--publish-all: a random host port for each exposed port without one."""
    published = {f"{port['container_port']}/{port['protocol']}" for port in ports}
    found = []
    for port in sorted(set(exposed) - published):
        number, protocol = split_protocol(port, port)
        found.append(
            {
                "host_ip": "",
                "host_port": 0,
                "container_port": int(number),
                "protocol": protocol,
            }
        )
    return found


def _user(options: "RunOptions", image: "Mapping[str, Any]", caller: tuple[int, int]) -> str:
    """The asked one, the caller's own IDs with keep-id (as podman), else the image's."""
    if options.user or options.userns["mode"] != "keep-id":
        return options.user or str(image.get("User") or "")
    asked = (options.userns["uid"], options.userns["gid"])
    uid, gid = (own if one is None else one for one, own in zip(asked, caller, strict=True))
    return f"{uid}:{gid}"


def _hostname(options: "RunOptions", container_id: str, host: str) -> str:
    """The asked one, the host's where its network or its name is shared, else the short ID."""
    if options.hostname:
        return options.hostname
    if host and (options.network == "host" or options.uts == "host"):
        return host
    return container_id[:12]


def _namespaces(options: "RunOptions") -> list[str]:
    kinds = ["user", "mount"]
    for kind, mode in (
        ("pid", options.pid),
        ("ipc", options.ipc),
        ("uts", options.uts),
        ("cgroup", options.cgroupns),
        ("network", options.network),
    ):
        if mode != "host":
            kinds.append(kind)
    return kinds


def resources(options: "RunOptions") -> "Doc":
    """linux.resources of the limits that are asked for."""
    found: Doc = {}
    if options.memory:
        found["memory"] = {"limit": options.memory}
        # Docker: as much swap again, where nothing is said.
        found["memory"]["swap"] = options.memory_swap or 2 * options.memory
    if options.memory_reservation:
        found.setdefault("memory", {})["reservation"] = options.memory_reservation
    cpu: Doc = {
        "shares": options.cpu_shares, "quota": options.cpu_quota, "period": options.cpu_period,
        "cpus": options.cpuset_cpus, "mems": options.cpuset_mems,
    }  # fmt: skip
    if options.cpus:
        cpu |= {"quota": options.cpus * CPU_PERIOD // 10**9, "period": CPU_PERIOD}
    if any(cpu.values()):
        found["cpu"] = {name: value for name, value in cpu.items() if value}
    if options.pids_limit:
        found["pids"] = {"limit": options.pids_limit}
    if options.blkio_weight:
        found["blockIO"] = {"weight": options.blkio_weight}
    if options.cgroup_conf:
        found["unified"] = dict(options.cgroup_conf)
    return found
