"""How much of the host it may use."""

from typing import Annotated

from rootless.cli.commands._base import option

SECTION = "Limits"

Memory = Annotated[
    str | None,
    option(
        "--memory",
        "-m",
        help="Most memory.",
        section=SECTION,
        metavar="SIZE",
    ),
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
    option(
        "--cpuset-cpus",
        help="Only these CPUs.",
        section=SECTION,
        metavar="0-3,5",
    ),
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

MemoryReservation = Annotated[
    str | None,
    option(
        "--memory-reservation", help="Memory that is kept for it.", section=SECTION, metavar="SIZE"
    ),
]

CpuShares = Annotated[
    int | None,
    option(
        "--cpu-shares",
        "-c",
        help="Its share of CPU time beside others; 1024 is the default.",
        section=SECTION,
        metavar="NUMBER",
    ),
]

CpuQuota = Annotated[
    int | None,
    option(
        "--cpu-quota",
        help="Most CPU time in each period; -1 for no limit.",
        section=SECTION,
        metavar="US",
    ),
]

CpuPeriod = Annotated[
    int | None,
    option(
        "--cpu-period", help="The period of --cpu-quota (100000).", section=SECTION, metavar="US"
    ),
]

CpusetMems = Annotated[
    str | None,
    option(
        "--cpuset-mems",
        help="Only memory of these nodes.",
        section=SECTION,
        metavar="0-1",
    ),
]

BlkioWeight = Annotated[
    int | None,
    option(
        "--blkio-weight",
        help="Its share of I/O beside others, 10 to 1000.",
        section=SECTION,
        metavar="NUMBER",
    ),
]

BlkioWeightDevice = Annotated[
    list[str] | None,
    option(
        "--blkio-weight-device",
        help="Its share of a disk; repeatable.",
        section=SECTION,
        metavar="DEVICE:WEIGHT",
    ),
]

DeviceReadBps = Annotated[
    list[str] | None,
    option(
        "--device-read-bps",
        help="Most bytes a second from a disk; repeatable.",
        section=SECTION,
        metavar="DEVICE:SIZE",
    ),
]

DeviceWriteBps = Annotated[
    list[str] | None,
    option(
        "--device-write-bps",
        help="Most bytes a second to a disk; repeatable.",
        section=SECTION,
        metavar="DEVICE:SIZE",
    ),
]

DeviceReadIops = Annotated[
    list[str] | None,
    option(
        "--device-read-iops",
        help="Most reads a second from a disk; repeatable.",
        section=SECTION,
        metavar="DEVICE:NUMBER",
    ),
]

DeviceWriteIops = Annotated[
    list[str] | None,
    option(
        "--device-write-iops",
        help="Most writes a second to a disk; repeatable.",
        section=SECTION,
        metavar="DEVICE:NUMBER",
    ),
]

CgroupParent = Annotated[
    str | None,
    option(
        "--cgroup-parent",
        help="The slice to put its control group in.",
        section=SECTION,
        metavar="SLICE",
    ),
]

CgroupConf = Annotated[
    list[str] | None,
    option(
        "--cgroup-conf",
        help="Set a file of its control group; repeatable.",
        section=SECTION,
        metavar="FILE=VALUE",
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
