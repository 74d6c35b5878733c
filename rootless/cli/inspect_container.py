"""A container as `docker container inspect` describes it.  Warm."""

from rootless.cli import container_words as words
from rootless.cli.template_functions import Map
from rootless.store import execs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

    Doc = dict[str, Any]

# What rl never sets, as Docker writes it where nobody has asked for it.
_UNSET: "Doc" = {
    "Cgroup": "", "ConsoleSize": [0, 0], "Isolation": "", "Links": None,
    "VolumeDriver": "", "CpuCount": 0, "CpuPercent": 0, "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0, "DeviceCgroupRules": None,
    "IOMaximumBandwidth": 0, "IOMaximumIOps": 0, "MemorySwappiness": None,
    "OomKillDisable": None,
}  # fmt: skip
_UNSET_NETWORK: "Doc" = {
    "HairpinMode": False, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
    "SecondaryIPAddresses": None, "SecondaryIPv6Addresses": None, "EndpointID": "",
}  # fmt: skip
_UNSET_ENDPOINT: "Doc" = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "DriverOpts": None, "GwPriority": 0,
    "NetworkID": "", "EndpointID": "", "DNSNames": None,
}  # fmt: skip
_NEVER = "0001-01-01T00:00:00Z"  # Go's zero time


def describe(ctx: "Context", container: "Container", with_size: bool = False) -> "Doc":
    """The document of one container."""
    config, state = container.config, container.state
    runtime = words.runtime_config(container)
    own = runtime.get("rl", {})
    line = words.command_line(container)
    directory = container.directory
    document: Doc = {
        "Id": container.id,
        "Created": str(config.get("created", "")),
        "Path": line[0] if line else "",
        "Args": line[1:],
        "State": _state(container),
        "Image": str(config.get("image", {}).get("id", "")),
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": container.log_path,
        "Name": f"/{container.name}",
        "RestartCount": int(state.get("restart_count", 0)),
        "Driver": _storage(own),
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": [record["id"] for record in execs.list_all(container)] or None,
        "HostConfig": _host_config(config, runtime),
        "GraphDriver": _graph_driver(ctx, container, own),
        "Mounts": list(config.get("mounts", ())),
        "Config": _config(config, runtime),
        "NetworkSettings": _network(ctx, container, own),
    }
    if (own.get("rootfs") or {}).get("path"):
        document["Rootfs"] = own["rootfs"]["path"]
    check = own.get("health") or {}
    if check:
        document["Config"]["Healthcheck"] = check
    if check.get("Test", ["NONE"])[0] not in ("NONE", "") and state.get("health"):
        from rootless.runtime import health

        document["State"]["Health"] = health.read(container)
    if state.get("cgroup"):
        document["State"]["CgroupPath"] = str(state["cgroup"].get("path", ""))
        document["State"]["Limits"] = state["cgroup"]["kind"]  # systemd, cgroupfs, best-effort
    if with_size:
        from rootless.cli.sizes import written
        from rootless.store import images

        size = written(ctx, [container])[container.id]
        document["SizeRw"] = size
        record = images.find(ctx.paths, document["Image"]) or {}
        below = record.get("size", 0)
        document["SizeRootFs"] = size + (below if isinstance(below, int) else 0)
    return document


def _storage(own: "Doc") -> str:
    return str(own.get("rung", {}).get("storage", ""))


def _graph_driver(ctx: "Context", container: "Container", own: "Doc") -> "Doc":
    layers = [ctx.paths.layer_diff(layer) for layer in reversed(own.get("layers", ()))]
    return {
        "Name": _storage(own),
        "Data": Map(
            UpperDir=f"{container.directory}/upper",
            WorkDir=f"{container.directory}/work",
            MergedDir=f"{container.directory}/rootfs",
            LowerDir=":".join(layers),
        ),
    }


def describe_exec(record: "Doc") -> "Doc":
    """A process that `rl exec` has run, as Docker's API inspects an exec instance.

    ExitCode is null while it runs, and where nobody was left to see the end.
    """
    return {
        "CanRemove": not record["running"],
        "ContainerID": record["container"],
        "DetachKeys": record["detach_keys"],
        "ExitCode": record["exit_code"],
        "ID": record["id"],
        "OpenStderr": not record["tty"],
        "OpenStdin": record["interactive"],
        "OpenStdout": True,
        "ProcessConfig": {
            "arguments": record["args"][1:],
            "entrypoint": record["args"][0],
            "privileged": record["privileged"],
            "tty": record["tty"],
            "user": record["user"],
        },
        "Running": record["running"],
        "Pid": record["pid"] if record["running"] else 0,
    }


def _state(container: "Container") -> "Doc":
    facts = container.state
    word = words.state(container)
    running = word in words.ALIVE
    return {
        "Status": word,
        "Running": running,
        "Paused": word == "paused",
        "Restarting": word == "restarting",
        "OOMKilled": bool(facts.get("oom_killed", False)),
        "Dead": False,
        "Pid": int(facts.get("pid", 0)) if running else 0,
        "ExitCode": int(facts.get("exit_code", 0)),
        "Error": str(facts.get("error", "")),
        "StartedAt": str(facts.get("started_at") or _NEVER),
        "FinishedAt": str(facts.get("finished_at") or _NEVER),
    }


def _config(config: "Doc", runtime: "Doc") -> "Doc":
    """The container's "Config": what runs in it."""
    options, own = config.get("options", {}), runtime.get("rl", {})
    attach = own.get("attach", {})
    process = runtime.get("process", {})
    exposed = own.get("network", {}).get("exposed", ())
    volumes = [m["Destination"] for m in config.get("mounts", ()) if m.get("Type") == "volume"]
    document: Doc = {
        "Hostname": str(config.get("hostname", "")),
        "Domainname": str(config.get("domainname", "")),
        "User": str(own.get("user", "")),
        "AttachStdin": bool(attach.get("stdin")) and not options.get("detach"),
        "AttachStdout": bool(attach.get("stdout")) and not options.get("detach"),
        "AttachStderr": bool(attach.get("stderr")) and not options.get("detach"),
        "ExposedPorts": Map((port, {}) for port in exposed),
        "Tty": bool(config.get("tty")),
        "OpenStdin": bool(config.get("interactive")),
        "StdinOnce": bool(config.get("interactive")),
        "Env": list(process.get("env", ())),
        "Cmd": list(config.get("command", ())) or None,
        "Image": str(config.get("image", {}).get("reference", "")),
        "Volumes": Map((path, {}) for path in volumes) or None,
        "WorkingDir": str(process.get("cwd", "")),
        "Entrypoint": list(config.get("entrypoint", ())) or None,
        "OnBuild": None,
        "Labels": Map(config.get("labels", {})),
        "StopSignal": str(config.get("stop_signal", "SIGTERM")),
    }
    if options.get("secrets"):
        document["Secrets"] = [
            {"Name": one["name"], "UID": one["uid"], "GID": one["gid"], "Mode": one["mode"],
             "Target": one["target"], "Type": one["type"]}
            for one in options["secrets"]
        ]  # fmt: skip
    if options.get("stop_timeout") is not None:
        document["StopTimeout"] = options["stop_timeout"]
    return document


def _by_device(options: "Doc", name: str, key: str) -> "list[Doc]":
    """Limits of single devices as Docker lists them."""
    return [{"Path": path, key: value} for path, value in (options.get(name) or {}).items()]


def _host_config(config: "Doc", runtime: "Doc") -> "Doc":
    """The container's "HostConfig": how it runs here."""
    options, linux = config.get("options", {}), runtime.get("linux", {})
    security = options.get("security", {})
    mounts = options.get("mounts", ())
    published = options.get("ports", ())
    return {
        "Binds": [_bind(m) for m in mounts if m["type"] in ("bind", "volume") and m["source"]]
        or None,
        "ContainerIDFile": str(options.get("cidfile", "")),
        "LogConfig": {
            "Type": str(options.get("log_driver", "")),
            "Config": Map(options.get("log_options", {})),
        },
        "NetworkMode": next(iter(config.get("networks") or ()), "")
        or str(options.get("network") or "default"),
        "PortBindings": _bindings(published),
        "RestartPolicy": _restart_policy(config),
        "AutoRemove": bool(config.get("auto_remove")),
        "CapAdd": list(options.get("cap_add", ())) or None,
        "CapDrop": list(options.get("cap_drop", ())) or None,
        "CgroupnsMode": str(options.get("cgroupns", "")),
        "Dns": list(options.get("dns", ())),
        "DnsOptions": list(options.get("dns_options", ())),
        "DnsSearch": list(options.get("dns_search", ())),
        "ExtraHosts": [":".join(pair) for pair in options.get("add_hosts", ())] or None,
        "GroupAdd": list(options.get("group_add", ())) or None,
        "IpcMode": str(options.get("ipc", "")),
        "OomScoreAdj": options.get("oom_score_adj") or 0,
        "Annotations": Map(runtime.get("annotations", {})),
        "PidMode": _mode(options, "pid"),
        "Privileged": bool(options.get("privileged")),
        "PublishAllPorts": bool(options.get("publish_all")),
        "ReadonlyRootfs": bool(options.get("read_only")),
        "SecurityOpt": _security(security) or None,
        "Tmpfs": Map((m["target"], ",".join(m["options"])) for m in mounts if m["type"] == "tmpfs"),
        "UTSMode": _mode(options, "uts"),
        "VolumesFrom": [":".join(pair) for pair in options.get("volumes_from", ())] or None,
        "UsernsMode": str(options.get("userns", {}).get("mode", "")),
        "ShmSize": int(options.get("shm_size", 0)),
        "Sysctls": Map(options.get("sysctls", {})),
        "Runtime": "rl",
        **_resources(options),
        **_UNSET,
        "Init": bool(options.get("init")),
        "Landlock": [_landlock_rule(rule) for rule in security.get("landlock", ())] or None,
        "MaskedPaths": list(linux.get("maskedPaths", ())),
        "ReadonlyPaths": list(linux.get("readonlyPaths", ())),
    }


def _landlock_rule(rule: "Doc") -> str:
    return "{}={}".format(*rule.values())


def _resources(options: "Doc") -> "Doc":
    """What of "HostConfig" Docker's API calls resources: limits and devices."""
    return {
        "NanoCpus": int(options.get("cpus", 0)),
        "CpuShares": int(options.get("cpu_shares", 0)),
        "CpuQuota": int(options.get("cpu_quota", 0)),
        "CpuPeriod": int(options.get("cpu_period", 0)),
        "CpusetMems": str(options.get("cpuset_mems", "")),
        "MemoryReservation": int(options.get("memory_reservation", 0)),
        "BlkioWeight": int(options.get("blkio_weight", 0)),
        "BlkioWeightDevice": _by_device(options, "blkio_weight_device", "Weight"),
        "BlkioDeviceReadBps": _by_device(options, "device_read_bps", "Rate"),
        "BlkioDeviceWriteBps": _by_device(options, "device_write_bps", "Rate"),
        "BlkioDeviceReadIOps": _by_device(options, "device_read_iops", "Rate"),
        "BlkioDeviceWriteIOps": _by_device(options, "device_write_iops", "Rate"),
        "CgroupParent": str(options.get("cgroup_parent", "")),
        "CpusetCpus": str(options.get("cpuset_cpus", "")),
        "Memory": int(options.get("memory", 0)),
        "MemorySwap": int(options.get("memory_swap", 0)),
        "PidsLimit": options.get("pids_limit") or None,
        "Devices": [
            {
                "PathOnHost": one["source"],
                "PathInContainer": one["target"],
                "CgroupPermissions": one["permissions"],
            }
            for one in options.get("devices", ())
        ],
        "DeviceRequests": [
            {
                "Driver": "cdi",
                "Count": 0,
                "DeviceIDs": options["cdi"],
                "Capabilities": None,
                "Options": None,
            }
        ]
        if options.get("cdi")
        else None,
        "Ulimits": [
            {
                "Name": one["type"].removeprefix("RLIMIT_").lower(),
                "Hard": one["hard"],
                "Soft": one["soft"],
            }
            for one in options.get("ulimits", ())
        ],
    }


def _restart_policy(config: "Doc") -> "Doc":
    policy = config.get("restart") or {}
    return {
        "Name": str(policy.get("name", "no")),
        "MaximumRetryCount": int(policy.get("retries", 0)),
    }


def _mode(options: "Doc", namespace: str) -> str:
    """Docker writes a private PID or UTS namespace as nothing."""
    mode = str(options.get(namespace, ""))
    return "" if mode == "private" else mode


def _bind(mount: "Doc") -> str:
    text = f"{mount['source']}:{mount['target']}"
    return f"{text}:{mount['mode']}" if mount.get("mode") else text


def _security(security: "Doc") -> "list[str]":
    words_of = ["no-new-privileges"] if security.get("no_new_privileges") else []
    if security.get("seccomp"):
        words_of.append(f"seccomp={security['seccomp']}")
    if security.get("system_paths"):
        words_of.append(f"systempaths={security['system_paths']}")
    return words_of


def _bindings(published: "list[Doc]") -> "Map":
    """80/tcp -> [{"HostIp", "HostPort"}]; a free port that is yet to be found is "" there."""
    found = Map()
    for port in published:
        key = f"{port['container_port']}/{port['protocol']}"
        found.setdefault(key, []).append(_binding(port, ""))
    return found


def _binding(port: "Doc", any_address: str) -> "Doc":
    """{"HostIp", "HostPort"}; a UNIX socket takes the address's place, as `rl port` writes it."""
    path = (port.get("guard") or {}).get("path")
    if path:
        return {"HostIp": f"unix:{path}", "HostPort": ""}
    number = str(port["host_port"] or "")
    return {"HostIp": port.get("host_ip") or any_address, "HostPort": number}


def _network(ctx: "Context", container: "Container", own: "Doc") -> "Doc":
    """What there is while it runs; Docker leaves the same fields empty when it does not."""
    state = container.state if container.running else {}
    driver = str(container.config.get("network", ""))
    ports = Map((port, None) for port in own.get("network", {}).get("exposed", ()) if state)
    for port in state.get("ports", ()):
        key = f"{port['container_port']}/{port['protocol']}"
        ports[key] = [*(ports.get(key) or ()), _binding(port, "0.0.0.0")]
    address, gateway = str(state.get("ip") or ""), str(state.get("gateway") or "")
    pid = state.get("pid", 0)
    common = {
        "Gateway": gateway,
        "IPAddress": address,
        "IPPrefixLen": 24 if address else 0,
        "MacAddress": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPv6Gateway": "",
    }
    networks = Map({driver: {**_UNSET_ENDPOINT, **common}})
    if container.config.get("networks"):
        from rootless.cli import inspect_network

        networks = Map(inspect_network.of_container(ctx, container))
        chosen: Doc = next((one for one in networks.values() if one["IPAddress"] == address), {})
        common = {key: chosen.get(key, common[key]) for key in common}
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": f"/proc/{pid}/ns/net" if pid else "",
        "Ports": ports,
        **_UNSET_NETWORK,
        **common,
        "Networks": networks,
    }
