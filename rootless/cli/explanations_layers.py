"""`rl explain`: codes of layers, `rl import` and `rl bootstrap`.  Data only."""

LAYERS: dict[str, tuple[str, str]] = {
    "RL-STORE-NO-XATTRS": (
        "The store's file system has no user extended attributes",
        "A layer marks directories that hide those below them with the attribute "
        "user.overlay.opaque, which overlayfs and fuse-overlayfs read. NFS and tmpfs before "
        "Linux 6.6 cannot hold it. Set RL_STORE to a directory on ext4, xfs or btrfs.",
    ),
    "RL-HOST-NO-ZSTD": (
        "This Python cannot read zstd",
        "The layer is compressed with zstd, which Python has from 3.14 on. Install the package "
        "backports.zstd into the environment of rl: pip install backports.zstd.",
    ),
    "RL-WORKER": (
        "The worker in the user namespace ended without an answer",
        "Files that belong to subordinate IDs are touched by a short-lived process in a user "
        "namespace. It was killed, by the out-of-memory killer for example, or it has a bug: run "
        "the command again with RL_DEBUG=1 and report what it says.",
    ),
    "RL-IMPORT-SOURCE": (
        "The archive to import cannot be read",
        "rl import takes a tar archive, plain or in gzip, zstd, xz or bzip2: a file, - for "
        "standard input, or an http or https URL. The file is missing or not readable, or the "
        "server refused or broke off.",
    ),
    "RL-BOOTSTRAP-BUSYBOX": (
        "There is no static busybox to make an image of",
        "The image busybox is made of one statically linked program. Install it: apt-get install "
        "busybox-static; or let rl fetch it, which needs apt-get and dpkg-deb.",
    ),
    "RL-BOOTSTRAP-NO-APT": (
        "This machine has no apt to fetch a package with",
        "Without a static busybox of its own, rl fetches Debian's package busybox-static with "
        "apt-get and unpacks it with dpkg-deb. Ask the admin for a static busybox.",
    ),
    "RL-BOOTSTRAP-NO-MMDEBSTRAP": (
        "mmdebstrap is missing",
        "rl bootstrap debian and ubuntu run mmdebstrap inside the user namespace. Ask the admin "
        "for: apt-get install mmdebstrap. rl bootstrap busybox does without.",
    ),
    "RL-BOOTSTRAP-NO-SUBIDS": (
        "Without subordinate IDs no Debian can be made",
        "dpkg gives files to users and groups such as man, mail and shadow; with a single mapped "
        "ID that fails. Ask the admin for subordinate IDs (rl doctor --admin), or pull an image "
        "instead: its files then all belong to you.",
    ),
    "RL-BOOTSTRAP-NO-MIRROR": (
        "No archive is known for this distribution",
        "rl takes the archives that the host's apt is configured with, as far as they are the "
        "distribution's own. This host is another one: name an archive with --mirror URL.",
    ),
    "RL-BOOTSTRAP-MIRROR": (
        "The mirror cannot be reached",
        "No connection to the archive came about. Check the network and the proxy: http_proxy, "
        "or Acquire::http::Proxy of the host's apt, which rl uses too. --mirror URL names another.",
    ),
    "RL-BOOTSTRAP-SUITE": (
        "The mirror has no such suite",
        "The archive has no Release file for this suite: its name is wrong, or it has moved to "
        "the archive of old releases. --mirror URL names another archive.",
    ),
    "RL-BOOTSTRAP-KEYRING": (
        "The archive's signature cannot be checked",
        "This machine lacks the key that signs the suite, or it has expired. Ask the admin for a "
        "current debian-archive-keyring or ubuntu-keyring.",
    ),
    "RL-BOOTSTRAP-PACKAGE": (
        "A package is not in the archive",
        "One of the names given to --include is not in the suite's component main.",
    ),
    "RL-BOOTSTRAP-FAILED": (
        "The base system could not be made",
        "mmdebstrap failed for another reason than the usual ones; its first error is in the "
        "message. Nothing was left behind.",
    ),
}
