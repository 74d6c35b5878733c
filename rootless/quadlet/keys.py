# ruff: noqa: E501
"""The keys of quadlet files (podman-systemd.unit(5)): which option each is, and which are refused.

A rule is (form, option, prefix).  Forms:

one     the last value counts            words   each value is a list of words, one option a word
each    every value is an option         bool    the option, when it is true
files   every value is a path            raw     every word, as it is
own     translate.py knows what it means
"""

from rootless.quadlet.unitfile import Entry, near

Rule = tuple[str, str, str]
# (why not, what to do, code)
Refusal = tuple[str, str, str]

NOT_YET, NOT_HERE, NEEDS_ROOT = "RL-NOT-YET", "RL-NOT-HERE", "RL-NEEDS-ROOT"

OWN: Rule = ("own", "", "")


def _one(option: str, prefix: str = "") -> Rule:
    return ("one", option, prefix)


def _each(option: str, prefix: str = "") -> Rule:
    return ("each", option, prefix)


def _words(option: str) -> Rule:
    return ("words", option, "")


def _bool(option: str, value: str = "") -> Rule:
    return ("bool", option, value)


_PODMAN: dict[str, Rule] = {"PodmanArgs": ("raw", "", ""), "ServiceName": OWN}

CONTAINER: dict[str, Rule] = {
    **_PODMAN,
    "AddCapability": _words("--cap-add"), "AddDevice": OWN, "AddHost": _each("--add-host"),
    "Annotation": _words("--annotation"), "AppArmor": _one("--security-opt", "apparmor="),
    "ContainerName": OWN, "DNS": _each("--dns"), "DNSOption": _each("--dns-option"),
    "DNSSearch": _each("--dns-search"), "DropCapability": _words("--cap-drop"), "Entrypoint": OWN,
    "Environment": _words("--env"), "EnvironmentFile": ("files", "--env-file", ""),
    "EnvironmentHost": _bool("--env-host"), "Exec": OWN, "ExposeHostPort": _each("--expose"),
    "Group": OWN, "GroupAdd": _each("--group-add"), "HealthCmd": _one("--health-cmd"),
    "HealthInterval": _one("--health-interval"), "HealthRetries": _one("--health-retries"),
    "HealthStartPeriod": _one("--health-start-period"), "HealthTimeout": _one("--health-timeout"),
    "HostName": _one("--hostname"), "HttpProxy": _bool("--http-proxy"), "Image": OWN,
    "Label": _words("--label"), "LogDriver": OWN, "LogOpt": _each("--log-opt"),
    "Mask": _each("--security-opt", "mask="), "Memory": _one("--memory"), "Mount": OWN,
    "IP": _one("--ip"), "IP6": _one("--ip6"), "NetworkAlias": _each("--network-alias"),
    "Network": OWN, "NoNewPrivileges": _bool("--security-opt", "no-new-privileges"), "Notify": OWN,
    "PidsLimit": _one("--pids-limit"), "PublishPort": _each("--publish"), "Pull": _one("--pull"),
    "ReadOnly": _bool("--read-only"), "ReadOnlyTmpfs": OWN, "ReloadCmd": OWN, "ReloadSignal": OWN,
    "Rootfs": OWN, "RunInit": _bool("--init"), "SeccompProfile": _one("--security-opt", "seccomp="),
    "Secret": _each("--secret"), "SecurityLabelDisable": _bool("--security-opt", "label=disable"),
    "ShmSize": _one("--shm-size"), "StopSignal": _one("--stop-signal"),
    "StopTimeout": _one("--stop-timeout"), "Sysctl": _words("--sysctl"), "Timezone": _one("--tz"),
    "Tmpfs": _each("--tmpfs"), "Ulimit": _each("--ulimit"),
    "Unmask": _each("--security-opt", "unmask="), "User": OWN, "UserNS": _one("--userns"),
    "Volume": OWN, "WorkingDir": _one("--workdir"),
}  # fmt: skip

VOLUME: dict[str, Rule] = {
    **_PODMAN,
    "VolumeName": OWN, "Label": _words("--label"), "Driver": _one("--driver"),
    "Device": _one("--opt", "device="), "Type": _one("--opt", "type="), "Options": OWN,
}  # fmt: skip

IMAGE: dict[str, Rule] = {
    **_PODMAN,
    "Image": OWN, "ImageTag": OWN, "AllTags": _bool("--all-tags"), "TLSVerify": OWN,
    "Arch": OWN, "OS": OWN, "Variant": OWN,
}  # fmt: skip

BUILD: dict[str, Rule] = {
    **_PODMAN,
    "ImageTag": _each("--tag"), "File": OWN, "SetWorkingDirectory": OWN,
    "Annotation": _words("--annotation"), "BuildArg": _words("--build-arg"), "Label": _words("--label"),
    "Network": OWN, "Pull": OWN, "Secret": _each("--secret"), "Target": _one("--target"),
    "ForceRM": _bool("--force-rm"), "Arch": OWN, "Variant": OWN,
}  # fmt: skip

NETWORK: dict[str, Rule] = {"Driver": OWN, "ServiceName": OWN}

RULES = {
    "Container": CONTAINER,
    "Volume": VOLUME,
    "Image": IMAGE,
    "Build": BUILD,
    "Network": NETWORK,
}

# Kind of the file -> (its section, what its service's name ends with).
KINDS = {
    "container": ("Container", ""),
    "volume": ("Volume", "-volume"),
    "network": ("Network", "-network"),
    "image": ("Image", "-image"),
    "build": ("Build", "-build"),
}
NOT_KINDS = {
    "pod": "rl has no pods",
    "kube": "rl does not read Kubernetes' YAML",
    "artifact": "rl keeps images only",
    "quadlets": "one file describes one thing",
}

_REGISTRY: Refusal = (
    "rl knows registries by rl login and registries.conf",
    "log in once: rl login; certificates go to registries.conf's directories",
    NOT_HERE,
)
_RETRY: Refusal = ("rl tries again by itself", "leave it out", NOT_HERE)
_MAPPING: Refusal = (
    "the mapping is that of /etc/subuid and /etc/subgid",
    "use UserNS=keep-id",
    NOT_YET,
)
_NETWORKS: Refusal = (
    "rl quadlet makes no networks",
    "make one with rl network create, and write Network=NAME into the container's file",
    NOT_YET,
)
_PODS: Refusal = ("rl has no pods", "let each container publish its ports", NOT_HERE)
_STARTUP: Refusal = ("there is one check", "use HealthStartPeriod=", NOT_YET)
_HEALTH_LOG: Refusal = ("the results are in rl inspect", "leave it out", NOT_HERE)
_LABELS: Refusal = (
    "SELinux labels are the host's",
    "leave it out, or use SecurityLabelDisable=true",
    NEEDS_ROOT,
)
_MODULES: Refusal = (
    "rl does not read containers.conf",
    "put it into ~/.config/rl/config.toml",
    NOT_HERE,
)
_GLOBAL: Refusal = (
    "these are podman's own options",
    "set what rl has in ~/.config/rl/config.toml, or RL_… with Environment= in [Service]",
    NOT_HERE,
)
_BUILD_DNS: Refusal = ("a build has the host's resolvers", "leave it out", NOT_HERE)
_OWNER: Refusal = (
    "a volume belongs to who first writes to it",
    "set the owner in the container: chown",
    NOT_HERE,
)

_ALL: dict[str, Refusal] = {"ContainersConfModule": _MODULES, "GlobalArgs": _GLOBAL}
REFUSED: dict[str, dict[str, Refusal]] = {
    "Container": {
        **_ALL,
        "AutoUpdate": ("nothing looks for new images while containers run", "pull and restart when you want it: rl pull IMAGE && rl quadlet stop NAME && rl quadlet start NAME", NOT_HERE),
        "CgroupsMode": ("a container has a control group when it has a limit", "leave it out", NOT_YET),
        "GIDMap": _MAPPING, "UIDMap": _MAPPING, "SubGIDMap": _MAPPING, "SubUIDMap": _MAPPING,
        "HealthLogDestination": _HEALTH_LOG, "HealthMaxLogCount": _HEALTH_LOG, "HealthMaxLogSize": _HEALTH_LOG,
        "HealthOnFailure": ("nothing acts on a failed check", "watch it: rl events --filter event=health_status", NOT_YET),
        "HealthStartupCmd": _STARTUP, "HealthStartupInterval": _STARTUP, "HealthStartupRetries": _STARTUP,
        "HealthStartupSuccess": _STARTUP, "HealthStartupTimeout": _STARTUP,
        "ImageVolume": ("an image's volumes become anonymous volumes", "mount something there: Volume=, Tmpfs=", NOT_HERE),

        "Pod": _PODS, "StartWithPod": _PODS, "Retry": _RETRY, "RetryDelay": _RETRY,
        "SecurityLabelFileType": _LABELS, "SecurityLabelLevel": _LABELS,
        "SecurityLabelNested": _LABELS, "SecurityLabelType": _LABELS,
    },
    "Volume": {
        **_ALL,
        "Copy": ("a new volume gets the image's files, as Docker does it", "mount it with Volume=NAME.volume:/DIR:nocopy", NOT_HERE),
        "Image": ("a volume is a directory", "use Mount=type=image in the container", NOT_HERE),
        "User": _OWNER, "Group": _OWNER, "UID": _OWNER, "GID": _OWNER,
    },
    "Image": {
        **_ALL,
        "AuthFile": _REGISTRY, "CertDir": _REGISTRY, "Creds": _REGISTRY,
        "DecryptionKey": ("rl does not decrypt images", "use an image that is not encrypted", NOT_HERE),
        "Policy": ("a pull looks whether the image is newer, and gets what is missing", "leave it out", NOT_HERE),
        "Retry": _RETRY, "RetryDelay": _RETRY,
    },
    "Build": {
        **_ALL,
        "AuthFile": _REGISTRY, "TLSVerify": _REGISTRY, "Retry": _RETRY, "RetryDelay": _RETRY,
        "DNS": _BUILD_DNS, "DNSOption": _BUILD_DNS, "DNSSearch": _BUILD_DNS,
        "Environment": ("a Dockerfile says what the environment is", "use ENV there, with BuildArg=", NOT_HERE),
        "GroupAdd": ("a RUN step has the groups of its user", "use USER in the Dockerfile", NOT_HERE),
        "IgnoreFile": ("the ignore file is found by its name", "call it .dockerignore, or FILE.dockerignore", NOT_HERE),
        "Volume": ("a RUN step mounts what the Dockerfile says", "use RUN --mount=type=bind there", NOT_HERE),
    },
    "Network": {
        **dict.fromkeys(
            ("DisableDNS", "DNS", "Label", "NetworkName", "Gateway", "InterfaceName", "Internal", "IPAMDriver", "IPRange",
             "IPv6", "NetworkDeleteOnStop", "Options", "Subnet", "PodmanArgs"), _NETWORKS),
        **_ALL,
    },
}  # fmt: skip

SHARED_SECTIONS = ("Unit", "Service", "Install", "Quadlet")
_QUADLET = ("DefaultDependencies",)
_INSTALL = ("Alias", "Also", "DefaultInstance", "RequiredBy", "UpheldBy", "WantedBy")
# Written by rl, or meant for the system's manager.
_SERVICE: dict[str, str] = {
    **dict.fromkeys(("ExecStart", "ExecStop", "PIDFile", "GuessMainPID"), "rl writes it itself"),
    **dict.fromkeys(("User", "Group", "DynamicUser"), "your own systemd runs everything as you"),
}


def check(entry: Entry, section: str) -> None:
    """Raise QuadletError for an assignment that a file whose own section is `section` cannot have."""
    known = {section: RULES[section], "Quadlet": _QUADLET, "Install": _INSTALL}.get(entry.section)
    if entry.section != section and entry.section not in SHARED_SECTIONS:
        if entry.section.startswith("X-"):  # systemd leaves them alone, too
            return
        names = [section, *SHARED_SECTIONS]
        hint = near(entry.section, names)
        raise entry.error(
            f"unknown section [{entry.section}]{hint}", f"there are {', '.join(names)}"
        )
    if entry.section == "Service" and entry.key in _SERVICE:
        raise entry.error(f"cannot take {entry.key}=: {_SERVICE[entry.key]}", "leave it out")
    if known is None or entry.key in known:
        return
    refused = REFUSED[section].get(entry.key) if entry.section == section else None
    if refused is not None:
        why, remedy, code = refused
        raise entry.error(f"cannot take {entry.key}=: {why}", remedy, code)
    hint = near(entry.key, list(known))
    raise entry.error(
        f"unknown key {entry.key}= in [{entry.section}]{hint}", "see docs/boot.md for what is read"
    )
