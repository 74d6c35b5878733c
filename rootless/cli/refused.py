# ruff: noqa: E501
"""Options of Docker's and podman's commands that rl refuses, each with its reason and what to do.

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
    "--disable-content-trust": ("Docker Content Trust has ended, and rl never had it", "leave it out", _NOT_HERE),
    "--link": _NAMED_NETWORK,
    "--link-local-ip": _NAMED_NETWORK,
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

# What commands about images and registries have in common.
_IMAGES: dict[str, tuple[str, str, str]] = {
    "--arch": _RUN["--arch"],
    "--os": _RUN["--os"],
    "--variant": _RUN["--variant"],
    "--disable-content-trust": ("Docker Content Trust has ended, and rl never had it", "leave it out; signatures are --require-signature's and policy.json's", _NOT_HERE),
    "--authfile": ("the file is named by the environment", "set REGISTRY_AUTH_FILE=FILE, or DOCKER_CONFIG to the directory of a config.json", _NOT_HERE),
    "--compat-auth-file": ("rl login writes Docker's file anyway", "set DOCKER_CONFIG to another directory", _NOT_HERE),
    "--cert-dir": ("certificates are filed by registry", "put them into ~/.config/containers/certs.d/HOST", _NOT_HERE),
    "--creds": ("others would see the password in the list of processes", "log in first: rl login --password-stdin HOST", _NOT_HERE),
    "--decryption-key": ("rl reads no encrypted layers", "decrypt it with skopeo copy, and load it", _NOT_HERE),
    "--retry": ("what fails for a moment is tried four times anyway", "leave it out", _NOT_HERE),
    "--retry-delay": ("the pauses are the registry's Retry-After, or grow from half a second", "leave it out", _NOT_HERE),
    "--signature-policy": ("the policy is ~/.config/containers/policy.json", "write it there, or use --require-signature", _NOT_HERE),
}  # fmt: skip
_TRANSFER = ("--disable-content-trust", "--authfile", "--cert-dir", "--creds", "--retry", "--retry-delay", "--signature-policy")  # fmt: skip
_PLATFORM = ("--arch", "--os", "--variant")
_COMPRESSION = ("--compression says the same", "use --compression zstd:9 or gzip:9: all layers are compressed so", _NOT_HERE)  # fmt: skip
_SIGNING = ("rl checks signatures and makes none", "sign it afterwards: cosign sign --key FILE", _NOT_HERE)  # fmt: skip


def _of_images(*flags: str) -> dict[str, tuple[str, str, str]]:
    return {flag: _IMAGES[flag] for flag in flags}


_PUSH: dict[str, tuple[str, str, str]] = {
    **_of_images(*_TRANSFER),
    "--compress": _COMPRESSION,
    "--compression-format": _COMPRESSION,
    "--compression-level": _COMPRESSION,
    "--force-compression": ("--compression compresses all layers anyway", "leave it out", _NOT_HERE),
    "--format": ("what was pulled goes out in its own format, all else as OCI's", "leave it out", _NOT_HERE),
    "--encrypt-layer": ("rl encrypts no layers", "use skopeo copy --encryption-key", _NOT_HERE),
    "--encryption-key": ("rl encrypts no layers", "use skopeo copy --encryption-key", _NOT_HERE),
    "--remove-signatures": ("signatures are not part of an image, and none is copied", "leave it out", _NOT_HERE),
    "--sign-by": _SIGNING,
    "--sign-by-sigstore": _SIGNING,
    "--sign-by-sigstore-private-key": _SIGNING,
    "--sign-passphrase-file": _SIGNING,
}  # fmt: skip

_LIST: dict[str, tuple[str, str, str]] = {
    "--history": ("names that an image has lost are not kept", "leave it out", _NOT_HERE),
    "--noheading": ("--format without 'table' has no heading", "use --format '{{.Repository}} {{.ID}}'", _NOT_HERE),
    "--sort": ("the newest image comes first", "pipe it through sort(1)", _NOT_HERE),
}  # fmt: skip
_REMOVE: dict[str, tuple[str, str, str]] = {
    "--all": ("rl removes what is named", "use rl image prune -a, or rl rmi $(rl images -q)", _NOT_HERE),
    "-a": ("rl removes what is named", "use rl image prune -a, or rl rmi $(rl images -q)", _NOT_HERE),
    "--ignore": ("--force forgives images that are not there", "use --force", _NOT_HERE),
    "--platform": ("an image here is for one platform", "leave it out", _NOT_HERE),
}  # fmt: skip

# docker update's and podman update's that are not declared.
_UPDATE = ("--cpu-rt-period", "--cpu-rt-runtime", "--kernel-memory", "--memory-swappiness")
REFUSED = {
    "run": _RUN,
    "create": _RUN,
    "start": {"--checkpoint": _CHECKPOINT, "--checkpoint-dir": _CHECKPOINT},
    "update": {flag: _RUN[flag] for flag in _UPDATE},
    "pull": {
        **_of_images(*_TRANSFER, *_PLATFORM, "--decryption-key"),
        "--policy": ("rl pull always asks the registry", "use rl run --pull missing|never", _NOT_HERE),
    },
    "push": _PUSH,
    "login": {
        **_of_images("--authfile", "--cert-dir", "--compat-auth-file"),
        "--get-login": ("the user's name is in the file", "look into ~/.docker/config.json", _NOT_HERE),
        "--secret": ("a secret is for containers", "give the password on standard input: --password-stdin", _NOT_HERE),
        "--verbose": ("where credentials go is said anyway", "leave it out", _NOT_HERE),
    },
    "logout": {
        **_of_images("--authfile", "--compat-auth-file"),
        "--all": ("one registry is forgotten at a time", "name each: rl logout HOST", _NOT_HERE),
    },
    "images": _LIST,
    "rmi": _REMOVE,
    "save": {
        "--compress": ("layers that came compressed stay so", "pipe it through zstd(1)", _NOT_HERE),
        "--uncompressed": ("layers are saved as they are stored", "leave it out", _NOT_HERE),
        "--multi-image-archive": ("several images go into one archive anyway", "leave it out", _NOT_HERE),
        "--signature-policy": _IMAGES["--signature-policy"],
    },
    "load": _of_images("--signature-policy"),
    "import": {
        **_of_images(*_PLATFORM, "--signature-policy"),
        "--quiet": ("nothing but the image's ID is said anyway", "leave it out", _NOT_HERE),
    },
    "search": {
        **_of_images("--authfile", "--cert-dir", "--creds"),
        "--compatible": ("the output is Docker's anyway", "leave it out", _NOT_HERE),
    },
    "system generate": {
        "--template": ("a unit is one container's", "write a quadlet, NAME@.container: rl quadlet install", _NOT_HERE),
        "--pod-prefix": _POD,
    },
}  # fmt: skip


# Docker's management forms that are called otherwise without the group.
_SAME = {
    "image ls": "images",
    "image list": "images",
    "image rm": "rmi",
    "image remove": "rmi",
}


def find(command: str, flag: str) -> UsageError | None:
    """The refusal of an option of a command ("run", "rl container run"); None where rl does not
    know it at all."""
    words = _SAME.get(" ".join(command.split(" ")[-2:]), command).split(" ")
    rows = REFUSED.get(" ".join(words[-2:])) or REFUSED.get(words[-1], {})
    row = rows.get(flag)
    if row is None:
        return None
    why, remedy, code = row
    return UsageError(f"cannot take {flag}: {why}", remedy=remedy, code=code)
