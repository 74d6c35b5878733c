"""What the container's parent does while it lives and when it ends."""

from typing import Annotated

from rootless.cli import completion
from rootless.cli.commands._base import option

SECTION = "Life and health"

Restart = Annotated[
    str | None,
    option(
        "--restart",
        help="Start it again when it ends: no, on-failure[:N], always or unless-stopped.",
        section=SECTION,
        metavar="POLICY",
    ),
]

Timeout = Annotated[
    int | None,
    option(
        "--timeout",
        help="Kill it after so many seconds; 0 for never.",
        section=SECTION,
        metavar="SECONDS",
    ),
]

Pidfile = Annotated[
    str | None,
    option(
        "--pidfile",
        help="Write its PID on the host to a file, at each start.",
        section=SECTION,
        metavar="FILE",
        complete=completion.files,
    ),
]

HealthCmd = Annotated[
    str | None,
    option(
        "--health-cmd",
        help="The command that tells whether it is healthy: 0 is yes.",
        section=SECTION,
        metavar="COMMAND",
    ),
]

HealthInterval = Annotated[
    str | None,
    option(
        "--health-interval",
        help="How often it is asked (30s).",
        section=SECTION,
        metavar="DURATION",
    ),
]

HealthTimeout = Annotated[
    str | None,
    option(
        "--health-timeout",
        help="How long an answer may take (30s).",
        section=SECTION,
        metavar="DURATION",
    ),
]

HealthRetries = Annotated[
    int | None,
    option(
        "--health-retries",
        help="So many bad answers in a row make it unhealthy (3).",
        section=SECTION,
        metavar="N",
    ),
]

HealthStartPeriod = Annotated[
    str | None,
    option(
        "--health-start-period",
        help="Bad answers do not count so long after the start (0s).",
        section=SECTION,
        metavar="DURATION",
    ),
]

HealthStartInterval = Annotated[
    str | None,
    option(
        "--health-start-interval",
        help="How often it is asked in the start period (5s).",
        section=SECTION,
        metavar="DURATION",
    ),
]

NoHealthcheck = Annotated[
    bool,
    option(
        "--no-healthcheck",
        help="Leave the image's HEALTHCHECK out.",
        section=SECTION,
    ),
]
