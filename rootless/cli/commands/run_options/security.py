"""What the program may do, and the namespaces that can be the host's."""

from typing import Annotated

from rootless.cli.commands._base import option

SECTION = "Security"

CapAdd = Annotated[
    list[str] | None,
    option("--cap-add", help="Add a capability; repeatable.", section=SECTION, metavar="CAP"),
]

CapDrop = Annotated[
    list[str] | None,
    option("--cap-drop", help="Drop a capability; repeatable.", section=SECTION, metavar="CAP"),
]

SecurityOpt = Annotated[
    list[str] | None,
    option(
        "--security-opt",
        help="seccomp=FILE, seccomp=unconfined, no-new-privileges, …; repeatable.",
        section=SECTION,
        metavar="OPTION",
    ),
]

Landlock = Annotated[
    list[str] | None,
    option(
        "--landlock",
        help="Reach only these: ro=PATH, rw=PATH, connect=PORT, bind=PORT; repeatable.",
        section=SECTION,
        metavar="RULE,...",
    ),
]

Privileged = Annotated[
    bool,
    option(
        "--privileged",
        help="All capabilities of the user namespace, no seccomp, no masks.",
        section=SECTION,
    ),
]

Userns = Annotated[
    str | None,
    option(
        "--userns",
        help="keep-id[:uid=U,gid=G]: you are the same user inside; nomap: you are nobody.",
        section=SECTION,
        metavar="MODE",
    ),
]

Ipc = Annotated[
    str | None,
    option("--ipc", help="IPC namespace: private or host.", section=SECTION, metavar="MODE"),
]

Pid = Annotated[
    str | None,
    option("--pid", help="PID namespace: private or host.", section=SECTION, metavar="MODE"),
]

Uts = Annotated[
    str | None,
    option("--uts", help="UTS namespace: private or host.", section=SECTION, metavar="MODE"),
]

Cgroupns = Annotated[
    str | None,
    option(
        "--cgroupns",
        help="cgroup namespace: private or host.",
        section=SECTION,
        metavar="MODE",
    ),
]

Sysctl = Annotated[
    list[str] | None,
    option(
        "--sysctl",
        help="Set a kernel parameter of its namespaces; repeatable.",
        section=SECTION,
        metavar="NAME=VALUE",
    ),
]
