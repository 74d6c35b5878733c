"""The program, its terminal and how it ends."""

from typing import Annotated

from rootless.cli import completion
from rootless.cli.commands._base import option

SECTION = "The process"

Entrypoint = Annotated[
    str | None,
    option(
        "--entrypoint",
        help='Run this program instead of the image\'s entry point; "" for none.',
        section=SECTION,
        metavar="PROGRAM",
    ),
]

Workdir = Annotated[
    str | None,
    option(
        "--workdir",
        "-w",
        help="The directory to start in.",
        section=SECTION,
        metavar="DIR",
    ),
]

User = Annotated[
    str | None,
    option(
        "--user",
        "-u",
        help="Who it runs as, by the container's /etc/passwd.",
        section=SECTION,
        metavar="USER[:GROUP]",
    ),
]

GroupAdd = Annotated[
    list[str] | None,
    option(
        "--group-add",
        help="A further group; repeatable.",
        section=SECTION,
        metavar="GROUP",
    ),
]

EnvFile = Annotated[
    list[str] | None,
    option(
        "--env-file",
        help="Read variables from a file; repeatable.",
        section=SECTION,
        metavar="FILE",
        complete=completion.files,
    ),
]

Init = Annotated[
    bool,
    option(
        "--init",
        help="Run a small init that reaps and passes signals on.",
        section=SECTION,
    ),
]

Attach = Annotated[
    list[str] | None,
    option(
        "--attach",
        "-a",
        help="Attach only this stream: stdin, stdout or stderr; repeatable.",
        section=SECTION,
        metavar="STREAM",
    ),
]

DetachKeys = Annotated[
    str | None,
    option(
        "--detach-keys",
        help="The keys that leave a container running (ctrl-p,ctrl-q).",
        section=SECTION,
        metavar="KEYS",
    ),
]

SigProxy = Annotated[
    bool,
    option(
        "--sig-proxy/--no-sig-proxy",
        help="Pass signals on to the process.",
        section=SECTION,
        default=True,
    ),
]

StopSignal = Annotated[
    str | None,
    option(
        "--stop-signal",
        help="What `rl stop` sends first.",
        section=SECTION,
        metavar="SIGNAL",
    ),
]

StopTimeout = Annotated[
    int | None,
    option(
        "--stop-timeout",
        help="How long `rl stop` waits before it kills.",
        section=SECTION,
        metavar="SECONDS",
    ),
]

EnvHost = Annotated[
    bool, option("--env-host", help="Set every variable that is set here.", section=SECTION)
]

EnvMerge = Annotated[
    list[str] | None,
    option(
        "--env-merge",
        help="Set a variable from those of the image: PATH=${PATH}:/x; repeatable.",
        section=SECTION,
        metavar="NAME=TEXT",
    ),
]

Unsetenv = Annotated[
    list[str] | None,
    option(
        "--unsetenv",
        help="Take a variable of the image away; repeatable.",
        section=SECTION,
        metavar="NAME",
    ),
]

UnsetenvAll = Annotated[
    bool, option("--unsetenv-all", help="Take the image's variables away.", section=SECTION)
]

HttpProxy = Annotated[
    bool,
    option("--http-proxy", help="Pass the proxy variables (http_proxy, …) on.", section=SECTION),
]

InitPath = Annotated[
    str | None,
    option(
        "--init-path",
        help="The host's program that --init runs.",
        section=SECTION,
        metavar="FILE",
        complete=completion.files,
    ),
]

Umask = Annotated[
    str | None,
    option("--umask", help="Its umask in octal (0022).", section=SECTION, metavar="MASK"),
]

Tz = Annotated[
    str | None,
    option("--tz", help="Its time zone: Europe/Berlin, or local.", section=SECTION, metavar="ZONE"),
]

OomScoreAdj = Annotated[
    int | None,
    option(
        "--oom-score-adj",
        help="How readily the kernel ends it for memory, up to 1000.",
        section=SECTION,
        metavar="NUMBER",
    ),
]
