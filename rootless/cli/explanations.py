"""What `rl explain CODE` says: code -> (title, text).  Data only; imported by explain and tests."""

from rootless.cli.explanations_boot import BOOT
from rootless.cli.explanations_bootstrap import BOOTSTRAP
from rootless.cli.explanations_build import BUILD
from rootless.cli.explanations_containers import CONTAINERS
from rootless.cli.explanations_host import HOST
from rootless.cli.explanations_images import IMAGES
from rootless.cli.explanations_networks import NETWORKS
from rootless.cli.explanations_options import OPTIONS
from rootless.cli.explanations_volumes import VOLUMES

EXPLANATIONS: dict[str, tuple[str, str]] = {
    **HOST,
    **OPTIONS,
    **IMAGES,
    **CONTAINERS,
    **BOOT,
    **BOOTSTRAP,
    **BUILD,
    **NETWORKS,
    **VOLUMES,
    "RL-USAGE": (
        "The command line makes no sense",
        "An unknown command or option, a missing argument, or a value that cannot be what it "
        "should be. `rl COMMAND --help` shows what is understood.",
    ),
    "RL-ROOT": (
        "rl was started as root",
        "rl is for users without root, and what it makes belongs to whoever runs it. Started by "
        "root by mistake, with sudo for example, it would make a second store that belongs to "
        "root. Run it as yourself. Where root is all there is (some CI containers), "
        "RL_ALLOW_ROOT=1 lets it run.",
    ),
    "RL-CONFIG": (
        "The configuration cannot be used",
        "~/.config/rl/config.toml ($XDG_CONFIG_HOME/rl/config.toml, or $RL_CONFIG) cannot be read "
        "or is not TOML. rl works without one: move it away to see.",
    ),
    "RL-FORMAT": (
        "A --format makes no sense",
        "--format takes a template in the syntax of Go's text/template, as Docker does: "
        "'{{.Names}}', '{{json .}}', '{{range .Mounts}}{{.Source}} {{end}}', or 'table "
        "{{.ID}}\\t{{.Image}}' in lists; or the word json. The line names the character where it "
        "went wrong. The fields are those that `--format json` shows.",
    ),
    "RL-FILTER": (
        "A --filter makes no sense",
        "A filter is key=value. Several values of one key are alternatives, several keys must all "
        "hold; label=a and label=b must both hold. `rl ps --help` and `rl images --help` list the "
        "keys.",
    ),
    "RL-EXPLAIN": (
        "There is no such code",
        "`rl explain` without a code lists all. The RL- at the beginning may be left out.",
    ),
    "RL-OUTPUT": (
        "The output cannot be written",
        "Standard output goes to a file on a full disk, or to a device that refuses. What the "
        "command was to do has been done; its output is lost.",
    ),
    "RL-ERROR": ("Something failed", "The line says what. No better explanation is known."),
    "RL-BUG": (
        "rl has a bug",
        "Something happened that rl's authors did not think of. Run the command again with "
        "RL_DEBUG=1, which shows where, and report it with what `rl version` and `rl doctor` say.",
    ),
    "RL-HOST": (
        "The host lacks something",
        "`rl doctor` examines the host; `rl doctor --admin` prints what to ask for.",
    ),
    "RL-HOST-PERMISSION": (
        "A file may not be used",
        "The kernel refused access to the path in brackets. If it is in the store or the runtime "
        "directory, somebody else owns it: perhaps rl was once run by root with this store.",
    ),
    "RL-HOST-FILES": (
        "Too many open files",
        "The limit of open files of the process (ulimit -n) or of the whole host (fs.file-max) is "
        "reached.",
    ),
    "RL-HOST-RESOURCES": (
        "Out of processes or memory",
        "The kernel could not start a process or give memory. See ulimit -u, the limits of the "
        "job or cgroup that you are in, and `free -m`.",
    ),
    "RL-HOST-INIT": (
        "There is no init for --init",
        "--init runs catatonit or tini as the container's first process, from the host. Either "
        "package will do.",
    ),
    "RL-HOST-NO-ZSTD": (
        "This Python cannot read zstd",
        "Python reads zstd from 3.14 on by itself; before that rl uses the package "
        "backports.zstd, which a normal installation of rl brings along.",
    ),
    "RL-IMPORT-SOURCE": (
        "The archive cannot be read",
        "`rl import` takes a tar archive, plain or compressed with gzip, zstd, bzip2 or xz: a "
        "file, - for standard input, or an http(s) URL.",
    ),
    "RL-STORE-READ-ONLY": (
        "The store is on a read-only file system",
        "RL_STORE=DIRECTORY, or store in config.toml, puts it elsewhere.",
    ),
    "RL-STORE-NO-XATTRS": (
        "The store's file system has no user extended attributes",
        "Unpacked layers need them for directories that hide those below. ext4, xfs and btrfs "
        "have them, tmpfs from Linux 6.6 on, NFS mostly not. Put the store elsewhere: "
        "RL_STORE=DIRECTORY.",
    ),
}
