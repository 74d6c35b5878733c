"""How much of the host it may use."""

from typing import Annotated

from rootless.cli.commands._base import option

SECTION = "Limits"

Memory = Annotated[
    str | None,
    option("--memory", "-m", help="Most memory.", section=SECTION, metavar="SIZE"),
]

MemorySwap = Annotated[
    str | None,
    option(
        "--memory-swap",
        help="Most memory and swap together; -1 for no limit.",
        section=SECTION,
        metavar="SIZE",
    ),
]

Cpus = Annotated[
    str | None, option("--cpus", help="Most CPU time.", section=SECTION, metavar="NUMBER")
]

CpusetCpus = Annotated[
    str | None,
    option("--cpuset-cpus", help="Only these CPUs.", section=SECTION, metavar="0-3,5"),
]

PidsLimit = Annotated[
    int | None,
    option(
        "--pids-limit",
        help="Most processes and threads; -1 for no limit.",
        section=SECTION,
        metavar="NUMBER",
    ),
]

Ulimit = Annotated[
    list[str] | None,
    option(
        "--ulimit",
        help="A resource limit of its processes; repeatable.",
        section=SECTION,
        metavar="NAME=SOFT[:HARD]",
    ),
]

Limits = Annotated[
    str | None,
    option(
        "--limits",
        help="strict, or best-effort: run even where a limit cannot be held.",
        section=SECTION,
        metavar="HOW",
    ),
]
