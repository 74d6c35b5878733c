"""What is asked for most often."""

from typing import Annotated

from rootless.cli import completion
from rootless.cli.commands._base import option

SECTION = "Basics"

Detach = Annotated[
    bool,
    option(
        "--detach",
        "-d",
        help="Leave the container running and print its ID.",
        section=SECTION,
    ),
]

Interactive = Annotated[
    bool,
    option(
        "--interactive",
        "-i",
        help="Pass standard input to the container.",
        section=SECTION,
    ),
]

Tty = Annotated[bool, option("--tty", "-t", help="Give the container a terminal.", section=SECTION)]

Rm = Annotated[
    bool, option("--rm", help="Remove the container when it has ended.", section=SECTION)
]

Name = Annotated[str | None, option("--name", help="Its name.", section=SECTION, metavar="NAME")]

Publish = Annotated[
    list[str] | None,
    option(
        "--publish",
        "-p",
        help="Make a port of the container reachable on the host, or by a UNIX socket "
        "(unix:PATH:PORT[,mode=600][,group=NAME]); repeatable.",
        section=SECTION,
        metavar="[[IP:]HOST:]PORT[/PROTO]",
    ),
]

Volume = Annotated[
    list[str] | None,
    option(
        "--volume",
        "-v",
        help="Show a directory of the host, or a volume, in the container; repeatable.",
        section=SECTION,
        metavar="[SOURCE:]TARGET[:OPTIONS]",
    ),
]

Env = Annotated[
    list[str] | None,
    option(
        "--env",
        "-e",
        help="Set a variable; without a value it is taken from here; repeatable.",
        section=SECTION,
        metavar="NAME[=VALUE]",
    ),
]

Pull = Annotated[
    str,
    option(
        "--pull",
        help="When to get the image: missing, always or never.",
        section=SECTION,
        metavar="WHEN",
        default=True,
    ),
]

Platform = Annotated[
    str | None,
    option(
        "--platform",
        help="Which platform of an image for several.",
        section=SECTION,
        metavar="OS/ARCH",
    ),
]

Quiet = Annotated[bool, option("--quiet", "-q", help="Say nothing while pulling.", section=SECTION)]

Replace = Annotated[
    bool,
    option("--replace", help="Remove the container that has the --name first.", section=SECTION),
]

RequireSignature = Annotated[
    list[str] | None,
    option(
        "--require-signature",
        help="Refuse an image that this public key has not signed; asks the registry.",
        section=SECTION,
        metavar="KEYFILE",
        complete=completion.files,
    ),
]

SquashIds = Annotated[
    bool,
    option(
        "--squash-ids",
        help="Files of a pulled image of IDs that you do not have become root's.",
        section=SECTION,
    ),
]
