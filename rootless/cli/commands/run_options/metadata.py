"""Labels, logs and the rest."""

from typing import Annotated

from rootless.cli import completion
from rootless.cli.commands._base import option

SECTION = "Metadata and the rest"

Label = Annotated[
    list[str] | None,
    option("--label", "-l", help="A label; repeatable.", section=SECTION, metavar="NAME[=VALUE]"),
]

LabelFile = Annotated[
    list[str] | None,
    option(
        "--label-file",
        help="Read labels from a file; repeatable.",
        section=SECTION,
        metavar="FILE",
        complete=completion.files,
    ),
]

Cidfile = Annotated[
    str | None,
    option("--cidfile", help="Write the ID into this new file.", section=SECTION, metavar="FILE"),
]

LogDriver = Annotated[
    str | None,
    option(
        "--log-driver",
        help="json-file, local, journald or none.",
        section=SECTION,
        metavar="DRIVER",
    ),
]

LogOpt = Annotated[
    list[str] | None,
    option(
        "--log-opt",
        help="An option of the log driver; repeatable.",
        section=SECTION,
        metavar="NAME=VALUE",
    ),
]

Trace = Annotated[
    str | None,
    option(
        "--trace",
        help="Show what is done and how long it takes; also in FILE, for chrome://tracing.",
        section=SECTION,
        metavar="[=FILE]",
    ),
]

Annotation = Annotated[
    list[str] | None,
    option(
        "--annotation",
        help="An annotation of the runtime config; repeatable.",
        section=SECTION,
        metavar="NAME=VALUE",
    ),
]
