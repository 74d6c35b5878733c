"""`rl run`: the declaration, shared with `rl create`."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option

app = make_app()

BASICS = "Basics"
PROCESS = "The process"
STORAGE = "Files"
NETWORK = "Network"
SECURITY = "Security"
LIMITS = "Limits"
OTHER = "Metadata and the rest"


@declare(app, "run", interspersed=False)
def run(
    ctx: typer.Context,
    image: Annotated[
        str,
        argument("IMAGE", help="A name, an ID, or a digest.", complete=completion.images),
    ],
    args: Annotated[
        list[str] | None,
        argument("[COMMAND] [ARG...]", help="What to run instead of the image's command."),
    ] = None,
    *,
    # Basics
    detach: Annotated[
        bool,
        option(
            "--detach",
            "-d",
            help="Leave the container running and print its ID.",
            section=BASICS,
        ),
    ] = False,
    interactive: Annotated[
        bool,
        option(
            "--interactive",
            "-i",
            help="Pass standard input to the container.",
            section=BASICS,
        ),
    ] = False,
    tty: Annotated[
        bool, option("--tty", "-t", help="Give the container a terminal.", section=BASICS)
    ] = False,
    rm: Annotated[
        bool, option("--rm", help="Remove the container when it has ended.", section=BASICS)
    ] = False,
    name: Annotated[
        str | None, option("--name", help="Its name.", section=BASICS, metavar="NAME")
    ] = None,
    publish: Annotated[
        list[str] | None,
        option(
            "--publish",
            "-p",
            help="Make a port of the container reachable on the host; repeatable.",
            section=BASICS,
            metavar="[[IP:]HOST:]PORT[/PROTO]",
        ),
    ] = None,
    volume: Annotated[
        list[str] | None,
        option(
            "--volume",
            "-v",
            help="Show a directory of the host, or a volume, in the container; repeatable.",
            section=BASICS,
            metavar="[SOURCE:]TARGET[:OPTIONS]",
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        option(
            "--env",
            "-e",
            help="Set a variable; without a value it is taken from here; repeatable.",
            section=BASICS,
            metavar="NAME[=VALUE]",
        ),
    ] = None,
    pull: Annotated[
        str,
        option(
            "--pull",
            help="When to get the image: missing, always or never.",
            section=BASICS,
            metavar="WHEN",
            default=True,
        ),
    ] = "missing",
    platform: Annotated[
        str | None,
        option(
            "--platform",
            help="Which platform of an image for several.",
            section=BASICS,
            metavar="OS/ARCH",
        ),
    ] = None,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Say nothing while pulling.", section=BASICS)
    ] = False,
    # The process
    entrypoint: Annotated[
        str | None,
        option(
            "--entrypoint",
            help='Run this program instead of the image\'s entry point; "" for none.',
            section=PROCESS,
            metavar="PROGRAM",
        ),
    ] = None,
    workdir: Annotated[
        str | None,
        option(
            "--workdir",
            "-w",
            help="The directory to start in.",
            section=PROCESS,
            metavar="DIR",
        ),
    ] = None,
    user: Annotated[
        str | None,
        option(
            "--user",
            "-u",
            help="Who it runs as, by the container's /etc/passwd.",
            section=PROCESS,
            metavar="USER[:GROUP]",
        ),
    ] = None,
    group_add: Annotated[
        list[str] | None,
        option(
            "--group-add",
            help="A further group; repeatable.",
            section=PROCESS,
            metavar="GROUP",
        ),
    ] = None,
    env_file: Annotated[
        list[str] | None,
        option(
            "--env-file",
            help="Read variables from a file; repeatable.",
            section=PROCESS,
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    init: Annotated[
        bool,
        option(
            "--init",
            help="Run a small init that reaps and passes signals on.",
            section=PROCESS,
        ),
    ] = False,
    attach: Annotated[
        list[str] | None,
        option(
            "--attach",
            "-a",
            help="Attach only this stream: stdin, stdout or stderr; repeatable.",
            section=PROCESS,
            metavar="STREAM",
        ),
    ] = None,
    detach_keys: Annotated[
        str | None,
        option(
            "--detach-keys",
            help="The keys that leave a container running (ctrl-p,ctrl-q).",
            section=PROCESS,
            metavar="KEYS",
        ),
    ] = None,
    sig_proxy: Annotated[
        bool,
        option(
            "--sig-proxy/--no-sig-proxy",
            help="Pass signals on to the process.",
            section=PROCESS,
            default=True,
        ),
    ] = True,
    stop_signal: Annotated[
        str | None,
        option(
            "--stop-signal",
            help="What `rl stop` sends first.",
            section=PROCESS,
            metavar="SIGNAL",
        ),
    ] = None,
    stop_timeout: Annotated[
        int | None,
        option(
            "--stop-timeout",
            help="How long `rl stop` waits before it kills.",
            section=PROCESS,
            metavar="SECONDS",
        ),
    ] = None,
    # Files
    mount: Annotated[
        list[str] | None,
        option(
            "--mount",
            help="A mount in long form: type=bind,source=…,target=…; repeatable.",
            section=STORAGE,
            metavar="KEY=VALUE,…",
        ),
    ] = None,
    tmpfs: Annotated[
        list[str] | None,
        option(
            "--tmpfs",
            help="A directory in memory; repeatable.",
            section=STORAGE,
            metavar="DIR[:OPTIONS]",
        ),
    ] = None,
    read_only: Annotated[
        bool,
        option("--read-only", help="Make the root file system read-only.", section=STORAGE),
    ] = False,
    shm_size: Annotated[
        str | None,
        option("--shm-size", help="The size of /dev/shm (64m).", section=STORAGE, metavar="SIZE"),
    ] = None,
    device: Annotated[
        list[str] | None,
        option(
            "--device",
            help="A device of the host that you may use; repeatable.",
            section=STORAGE,
            metavar="PATH[:PATH[:rwm]]",
        ),
    ] = None,
    storage_driver: Annotated[
        str | None,
        option(
            "--storage-driver",
            help="overlay, fuse-overlayfs or copy; else the best that works.",
            section=STORAGE,
            metavar="DRIVER",
        ),
    ] = None,
    # Network
    network: Annotated[
        str | None,
        option(
            "--network",
            "--net",
            help="slirp4netns, pasta, host or none; else the best that works.",
            section=NETWORK,
            metavar="NETWORK",
            complete=completion.networks,
        ),
    ] = None,
    publish_all: Annotated[
        bool,
        option(
            "--publish-all",
            "-P",
            help="Publish every exposed port on a free one of the host.",
            section=NETWORK,
        ),
    ] = False,
    expose: Annotated[
        list[str] | None,
        option(
            "--expose",
            help="Expose a port, for --publish-all; repeatable.",
            section=NETWORK,
            metavar="PORT[/PROTO]",
        ),
    ] = None,
    hostname: Annotated[
        str | None,
        option("--hostname", "-h", help="Its host name.", section=NETWORK, metavar="NAME"),
    ] = None,
    domainname: Annotated[
        str | None, option("--domainname", help="Its NIS domain.", section=NETWORK, metavar="NAME")
    ] = None,
    add_host: Annotated[
        list[str] | None,
        option(
            "--add-host",
            help="A line for /etc/hosts; repeatable.",
            section=NETWORK,
            metavar="NAME:IP",
        ),
    ] = None,
    dns: Annotated[
        list[str] | None,
        option("--dns", help="A name server; repeatable.", section=NETWORK, metavar="IP"),
    ] = None,
    dns_search: Annotated[
        list[str] | None,
        option(
            "--dns-search",
            help="A domain to search names in; repeatable.",
            section=NETWORK,
            metavar="DOMAIN",
        ),
    ] = None,
    dns_option: Annotated[
        list[str] | None,
        option(
            "--dns-option",
            "--dns-opt",
            help="An option of the resolver; repeatable.",
            section=NETWORK,
            metavar="OPTION",
        ),
    ] = None,
    # Security
    cap_add: Annotated[
        list[str] | None,
        option("--cap-add", help="Add a capability; repeatable.", section=SECURITY, metavar="CAP"),
    ] = None,
    cap_drop: Annotated[
        list[str] | None,
        option(
            "--cap-drop", help="Drop a capability; repeatable.", section=SECURITY, metavar="CAP"
        ),
    ] = None,
    security_opt: Annotated[
        list[str] | None,
        option(
            "--security-opt",
            help="seccomp=FILE, seccomp=unconfined, no-new-privileges, …; repeatable.",
            section=SECURITY,
            metavar="OPTION",
        ),
    ] = None,
    privileged: Annotated[
        bool,
        option(
            "--privileged",
            help="All capabilities of the user namespace, no seccomp, no masks.",
            section=SECURITY,
        ),
    ] = False,
    userns: Annotated[
        str | None,
        option(
            "--userns",
            help="keep-id[:uid=U,gid=G]: you are the same user inside.",
            section=SECURITY,
            metavar="MODE",
        ),
    ] = None,
    ipc: Annotated[
        str | None,
        option("--ipc", help="IPC namespace: private or host.", section=SECURITY, metavar="MODE"),
    ] = None,
    pid: Annotated[
        str | None,
        option("--pid", help="PID namespace: private or host.", section=SECURITY, metavar="MODE"),
    ] = None,
    uts: Annotated[
        str | None,
        option("--uts", help="UTS namespace: private or host.", section=SECURITY, metavar="MODE"),
    ] = None,
    cgroupns: Annotated[
        str | None,
        option(
            "--cgroupns",
            help="cgroup namespace: private or host.",
            section=SECURITY,
            metavar="MODE",
        ),
    ] = None,
    sysctl: Annotated[
        list[str] | None,
        option(
            "--sysctl",
            help="Set a kernel parameter of its namespaces; repeatable.",
            section=SECURITY,
            metavar="NAME=VALUE",
        ),
    ] = None,
    # Limits
    memory: Annotated[
        str | None,
        option("--memory", "-m", help="Most memory.", section=LIMITS, metavar="SIZE"),
    ] = None,
    memory_swap: Annotated[
        str | None,
        option(
            "--memory-swap",
            help="Most memory and swap together; -1 for no limit.",
            section=LIMITS,
            metavar="SIZE",
        ),
    ] = None,
    cpus: Annotated[
        str | None, option("--cpus", help="Most CPU time.", section=LIMITS, metavar="NUMBER")
    ] = None,
    cpuset_cpus: Annotated[
        str | None,
        option("--cpuset-cpus", help="Only these CPUs.", section=LIMITS, metavar="0-3,5"),
    ] = None,
    pids_limit: Annotated[
        int | None,
        option(
            "--pids-limit",
            help="Most processes and threads; -1 for no limit.",
            section=LIMITS,
            metavar="NUMBER",
        ),
    ] = None,
    ulimit: Annotated[
        list[str] | None,
        option(
            "--ulimit",
            help="A resource limit of its processes; repeatable.",
            section=LIMITS,
            metavar="NAME=SOFT[:HARD]",
        ),
    ] = None,
    limits: Annotated[
        str | None,
        option(
            "--limits",
            help="strict, or best-effort: run even where a limit cannot be held.",
            section=LIMITS,
            metavar="HOW",
        ),
    ] = None,
    # Metadata and the rest
    label: Annotated[
        list[str] | None,
        option("--label", "-l", help="A label; repeatable.", section=OTHER, metavar="NAME[=VALUE]"),
    ] = None,
    label_file: Annotated[
        list[str] | None,
        option(
            "--label-file",
            help="Read labels from a file; repeatable.",
            section=OTHER,
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    cidfile: Annotated[
        str | None,
        option("--cidfile", help="Write the ID into this new file.", section=OTHER, metavar="FILE"),
    ] = None,
    log_driver: Annotated[
        str | None,
        option("--log-driver", help="json-file, local or none.", section=OTHER, metavar="DRIVER"),
    ] = None,
    log_opt: Annotated[
        list[str] | None,
        option(
            "--log-opt",
            help="An option of the log driver; repeatable.",
            section=OTHER,
            metavar="NAME=VALUE",
        ),
    ] = None,
) -> int:
    """Make a container of an image and run a command in it.

    The exit status is the command's: 128 + N when signal N ended it; 127 when it was not found,
    126 when it could not be executed, 125 when rl itself failed.
    """
    return call(ctx)
