# ruff: noqa: E501
"""Options of docker run and podman run that rl refuses, each with its reason and what to do.

Looked at only when an option is unknown (cli/app.py).  A test holds that every option of Docker's
and podman's references is either declared or here, and none in both.
"""

from rootless.errors import UsageError

_ROOT, _NOT_YET, _NOT_HERE = "RL-NEEDS-ROOT", "RL-NOT-YET", "RL-NOT-HERE"

_WINDOWS = ("it is for Windows containers", "leave it out", _NOT_HERE)
_NAMED_NETWORK = ("only a network with a name has addresses and names to give", "publish ports with -p, or share the host's network with --network host", _NOT_YET)  # fmt: skip
_POD = ("rl has no pods", "share namespaces of the host, or use networks", _NOT_HERE)
_REGISTRY = ("rl run pulls as rl pull does by default", "get the image first: rl pull, rl login", _NOT_HERE)  # fmt: skip
_V1 = ("cgroup v2 does not have it, as Docker says too", "leave it out", _NOT_HERE)
_REALTIME = ("real-time budgets belong to the host's root cgroup", "use --cpus", _ROOT)
_MAPPING = ("the mapping is that of /etc/subuid and /etc/subgid", "use --userns=keep-id", _NOT_YET)
_SYSTEMD = ("rl runs no systemd in a container by itself", "mount what it needs with --tmpfs /run", _NOT_HERE)  # fmt: skip
_CHECKPOINT = ("criu, which would bring the processes back, needs capabilities of root on the host", "keep the files: rl snapshot, rl commit", _ROOT)  # fmt: skip

# Option -> (why not, what to do, code).
_RUN: dict[str, tuple[str, str, str]] = {
    "--cgroups": ("a container has a control group when it has a limit", "leave it out", _NOT_YET),
    "--cpu-count": _WINDOWS,
    "--cpu-percent": _WINDOWS,
    "--io-maxbandwidth": _WINDOWS,
    "--io-maxiops": _WINDOWS,
    "--isolation": ("Linux has one isolation, the default", "leave it out", _NOT_HERE),
    "--cpu-rt-period": _REALTIME,
    "--cpu-rt-runtime": _REALTIME,
    "--memory-swappiness": _V1,
    "--kernel-memory": _V1,
    "--oom-kill-disable": _V1,
    "--device-cgroup-rule": ("device rules are BPF programs that root alone may load", "name the nodes with --device; their modes decide", _ROOT),
    "--runtime": ("rl is the runtime: no other program starts its containers", "leave it out", _NOT_HERE),
    "--use-api-socket": ("there is no daemon whose socket could be given", "leave it out", _NOT_HERE),
    "--storage-opt": ("the size of a container's files is limited by quotas of the host", "use --tmpfs DIR:size=…, or ask the admin for a quota", _ROOT),
    "--volume-driver": ("volumes are directories of the store", "mount what the driver would with --volume /PATH:…", _NOT_HERE),
    "--disable-content-trust": ("Docker Content Trust has ended, and rl never had it", "leave it out", _NOT_HERE),
    "--ip": _NAMED_NETWORK,
    "--ip6": _NAMED_NETWORK,
    "--link": _NAMED_NETWORK,
    "--link-local-ip": _NAMED_NETWORK,
    "--mac-address": _NAMED_NETWORK,
    "--network-alias": _NAMED_NETWORK,
    "--arch": ("--platform says the same", "use --platform linux/ARCH", _NOT_HERE),
    "--os": ("--platform says the same", "use --platform OS/ARCH", _NOT_HERE),
    "--variant": ("--platform says the same", "use --platform linux/ARCH/VARIANT", _NOT_HERE),
    "--authfile": _REGISTRY,
    "--cert-dir": _REGISTRY,
    "--creds": _REGISTRY,
    "--decryption-key": _REGISTRY,
    "--tls-verify": _REGISTRY,
    "--retry": _REGISTRY,
    "--retry-delay": _REGISTRY,
    "--chrootdirs": ("it copies files of rl's own into directories", "use --volume for /etc/hosts and the like", _NOT_HERE),
    "--conmon-pidfile": ("there is no conmon: the supervisor's PID is in `rl inspect`", "use --pidfile for the container's", _NOT_HERE),
    "--gidmap": _MAPPING,
    "--uidmap": _MAPPING,
    "--subgidname": _MAPPING,
    "--subuidname": _MAPPING,
    "--group-entry": ("rl adds no group to the image", "mount an /etc/group of yours", _NOT_HERE),
    "--passwd": ("only --userns=keep-id adds a user to /etc/passwd", "leave it out", _NOT_HERE),
    "--passwd-entry": ("the entry of --userns=keep-id is yours", "mount an /etc/passwd of yours", _NOT_HERE),
    "--hostuser": ("the caller is known inside with keep-id", "use --userns=keep-id", _NOT_HERE),
    "--hosts-file": ("/etc/hosts is made for the container", "use --add-host, or mount one of yours", _NOT_HERE),
    "--no-hosts": ("/etc/hosts is made for the container", "mount one of yours: -v FILE:/etc/hosts", _NOT_HERE),
    "--no-hostname": ("/etc/hostname is made for the container", "mount one of yours: -v FILE:/etc/hostname", _NOT_HERE),
    "--image-volume": ("volumes of images are anonymous volumes, as with Docker", "use --tmpfs DIR", _NOT_HERE),
    "--init-ctr": _POD,
    "--pod": _POD,
    "--pod-id-file": _POD,
    "--infra": _POD,
    "--personality": ("seccomp allows the default personality only", "run setarch(8) in the container with --security-opt seccomp=unconfined", _NOT_HERE),
    "--preserve-fd": ("the supervisor closes what it does not know", "pass data through a volume or stdin", _NOT_HERE),
    "--preserve-fds": ("the supervisor closes what it does not know", "pass data through a volume or stdin", _NOT_HERE),
    "--rdt-class": ("/sys/fs/resctrl is the host root's", "leave it out", _ROOT),
    "--requires": ("there is no order of starts", "start what it needs first", _NOT_HERE),
    "--rmi": ("an image may be shared", "remove it afterwards: rl rmi", _NOT_HERE),
    "--sdnotify": ("no notification is passed on", "leave it out", _NOT_YET),
    "--seccomp-policy": ("images bring no profile along", "use --security-opt seccomp=FILE", _NOT_HERE),
    "--shm-size-systemd": _SYSTEMD,
    "--systemd": _SYSTEMD,
    "--health-on-failure": ("nothing acts on a failed check", "watch it: rl events --filter event=health_status", _NOT_YET),
    "--health-startup-cmd": ("there is one check", "use --health-start-period", _NOT_YET),
    "--health-startup-interval": ("there is one check", "use --health-start-interval", _NOT_YET),
    "--health-startup-retries": ("there is one check", "use --health-start-period", _NOT_YET),
    "--health-startup-success": ("there is one check", "use --health-start-period", _NOT_YET),
    "--health-startup-timeout": ("there is one check", "use --health-start-period", _NOT_YET),
    "--health-log-destination": ("the results are in rl inspect", "leave it out", _NOT_HERE),
    "--health-max-log-count": ("the last five results are in rl inspect", "leave it out", _NOT_HERE),
    "--health-max-log-size": ("the results are in rl inspect", "leave it out", _NOT_HERE),
}  # fmt: skip

# docker update's and podman update's that are not declared.
_UPDATE = ("--cpu-rt-period", "--cpu-rt-runtime", "--kernel-memory", "--memory-swappiness")
REFUSED = {
    "run": _RUN,
    "create": _RUN,
    "start": {"--checkpoint": _CHECKPOINT, "--checkpoint-dir": _CHECKPOINT},
    "update": {flag: _RUN[flag] for flag in _UPDATE},
    "system generate": {
        "--template": ("a unit is one container's", "write a quadlet, NAME@.container: rl quadlet install", _NOT_HERE),
        "--pod-prefix": _POD,
    },
}  # fmt: skip


def find(command: str, flag: str) -> UsageError | None:
    """The refusal of an option of a command ("run", "rl container run"); None where rl does not
    know it at all."""
    words = command.split(" ")
    rows = REFUSED.get(" ".join(words[-2:])) or REFUSED.get(words[-1], {})
    row = rows.get(flag)
    if row is None:
        return None
    why, remedy, code = row
    return UsageError(f"cannot take {flag}: {why}", remedy=remedy, code=code)
