"""What `rl explain` says about `rl bootstrap`: code -> (title, text)."""

BOOTSTRAP: dict[str, tuple[str, str]] = {
    "RL-BOOTSTRAP-FAILED": (
        "The base system could not be made",
        "mmdebstrap, which `rl bootstrap debian` runs in a user namespace, failed; the line has "
        "its last words, RL_DEBUG=1 shows all. Nothing is left in the store.",
    ),
    "RL-BOOTSTRAP-NO-MMDEBSTRAP": (
        "mmdebstrap is not installed",
        "It makes Debian and Ubuntu systems from packages, and works without root. `rl bootstrap "
        "busybox` makes a smaller image and needs nothing.",
    ),
    "RL-BOOTSTRAP-NO-SUBIDS": (
        "Debian needs more than one ID",
        "dpkg gives files to several users and groups, so the user needs subordinate IDs here. "
        "`rl doctor --admin` prints what to ask for; `rl bootstrap busybox` needs none.",
    ),
    "RL-BOOTSTRAP-NO-APT": (
        "There is no apt to fetch the package with",
        "busybox comes from the host's static busybox, or else from Debian's package, which "
        "apt-get and dpkg-deb fetch. This host has neither: install busybox-static.",
    ),
    "RL-BOOTSTRAP-BUSYBOX": (
        "busybox cannot be used",
        "The host's busybox is not static, or does not say which applets it has. Debian's package "
        "busybox-static is right.",
    ),
    "RL-BOOTSTRAP-NO-MIRROR": (
        "There is no mirror to take packages from",
        "rl takes the mirror that this host's apt is configured with. For another distribution, "
        "or on a host without apt, name one with --mirror URL.",
    ),
    "RL-BOOTSTRAP-MIRROR": (
        "The mirror cannot be reached",
        "The network is down, a proxy is missing from http_proxy, or the mirror is away. Another "
        "one can be named with --mirror URL.",
    ),
    "RL-BOOTSTRAP-SUITE": (
        "The mirror has no such suite",
        "debian:SUITE takes a suite's name (bookworm, trixie, sid) that the mirror has.",
    ),
    "RL-BOOTSTRAP-KEYRING": (
        "The mirror's signature cannot be checked",
        "The keys are those of this host. To make Ubuntu on Debian, or the other way round, the "
        "other's keyring package must be installed.",
    ),
    "RL-BOOTSTRAP-PACKAGE": (
        "A package is not in the archive",
        "A name that was given to --include is unknown to the suite, or is a virtual package.",
    ),
}
