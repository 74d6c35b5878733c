"""Mounts, devices and the root file system."""

from typing import Annotated

from rootless.cli import completion
from rootless.cli.commands._base import option

SECTION = "Files"

Mount = Annotated[
    list[str] | None,
    option(
        "--mount",
        help="A mount in long form: type=bind,source=…,target=…; repeatable.",
        section=SECTION,
        metavar="KEY=VALUE,…",
    ),
]

VolumesFrom = Annotated[
    list[str] | None,
    option(
        "--volumes-from",
        help="The volumes and host directories of another container, too; repeatable.",
        section=SECTION,
        metavar="CONTAINER[:ro|rw]",
        complete=completion.containers,
    ),
]

VolumeDriver = Annotated[
    str | None,
    option(
        "--volume-driver",
        help="The driver of new volumes; there is one: local.",
        section=SECTION,
        metavar="local",
    ),
]

Tmpfs = Annotated[
    list[str] | None,
    option(
        "--tmpfs",
        help="A directory in memory; repeatable.",
        section=SECTION,
        metavar="DIR[:OPTIONS]",
    ),
]

ReadOnly = Annotated[
    bool,
    option("--read-only", help="Make the root file system read-only.", section=SECTION),
]

ShmSize = Annotated[
    str | None,
    option("--shm-size", help="The size of /dev/shm (64m).", section=SECTION, metavar="SIZE"),
]

Device = Annotated[
    list[str] | None,
    option(
        "--device",
        help="A device of the host that you may use, or a CDI device; repeatable.",
        section=SECTION,
        metavar="PATH[:PATH[:rwm]]|VENDOR/CLASS=NAME",
    ),
]

Gpus = Annotated[
    str | None,
    option(
        "--gpus",
        help="NVIDIA GPUs, by their CDI specification: all, a number, or device=0,1.",
        section=SECTION,
        metavar="GPUS",
    ),
]

Rootfs = Annotated[
    bool,
    option(
        "--rootfs",
        help="IMAGE is a directory to run in; with :O behind it, it is not changed.",
        section=SECTION,
    ),
]

Secret = Annotated[
    list[str] | None,
    option(
        "--secret",
        help="A secret as a file in /run/secrets, or with type=env a variable; repeatable.",
        section=SECTION,
        metavar="NAME[,OPTION=VALUE…]",
        complete=completion.secrets,
    ),
]

StorageDriver = Annotated[
    str | None,
    option(
        "--storage-driver",
        help="overlay, fuse-overlayfs or copy; else the best that works.",
        section=SECTION,
        metavar="DRIVER",
    ),
]
