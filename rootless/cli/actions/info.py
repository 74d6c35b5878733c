"""rl info: the store, and how containers will run here."""

import os

from rootless.cli import container_words
from rootless.cli.actions.version import versions
from rootless.cli.output import human_size, write
from rootless.errors import RlError
from rootless.network import driver
from rootless.runtime import rootfs
from rootless.store import containers, images, layout, mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.context import Context


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """A list of facts, or --format over them; fields that Docker has, too, are named as there."""
    facts = collect(ctx)
    form = values["format"]
    if form:
        from rootless.cli.template import Template

        write(Template("{{json .}}" if form == "json" else form).render(facts) + "\n")
        return 0
    rows = (
        ("Containers", facts["Containers"]),
        ("  Running", facts["ContainersRunning"]),
        ("  Stopped", facts["ContainersStopped"]),
        ("Images", facts["Images"]),
        ("Version", facts["ServerVersion"]),
        ("Storage driver", facts["Driver"]),
        ("Network", facts["Network"]),
        ("User and IDs", facts["IdMapping"]),
        ("Store", facts["DockerRootDir"]),
        ("Free there", human_size(facts["StoreFree"])),
        ("Runtime directory", facts["RuntimeDir"]),
        ("Kernel", facts["KernelVersion"]),
        ("Operating system", facts["OperatingSystem"]),
        ("Architecture", facts["Architecture"]),
        ("CPUs", facts["NCPU"]),
        ("Memory", human_size(facts["MemTotal"], 4)),
        ("Name", facts["Name"]),
    )
    write("".join(f"{name}: {value}\n" for name, value in rows))
    for warning in facts["Warnings"]:
        write(f"WARNING: {warning}\n")
    return 0


def collect(ctx: "Context") -> "dict[str, Any]":
    """Everything that is shown.  What fails becomes a warning with its code."""
    warnings: list[str] = []

    def ask(question: "Callable[[], str]") -> str:
        try:
            return question()
        except RlError as e:
            warnings.append(e.one_line())
            return "none works"

    layout.prepare(ctx.paths)  # to try file systems in
    everyone = containers.list_all(ctx)
    running = sum(container_words.state(one) == "running" for one in everyone)
    kernel = os.uname()
    return {
        "Architecture": kernel.machine,
        "CgroupVersion": "2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "1",
        "Containers": len(everyone),
        "ContainersPaused": 0,
        "ContainersRunning": running,
        "ContainersStopped": len(everyone) - running,
        "DockerRootDir": ctx.paths.store,
        "Driver": ask(lambda: rootfs.storage_driver(ctx, "")),
        "IdMapping": ask(lambda: _ids(ctx)),
        "Images": len(images.list_images(ctx.paths)),
        "KernelVersion": kernel.release,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "NCPU": len(os.sched_getaffinity(0)),
        "Name": kernel.nodename,
        "Network": ask(lambda: driver.choose("", ctx.environ)),
        "OSType": "linux",
        "OperatingSystem": _pretty_name(),
        "RuntimeDir": ctx.paths.runtime,
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"],
        "ServerVersion": versions()["Version"],
        "StoreFree": _free(ctx.paths.store),
        "Warnings": warnings,
    }


def _ids(ctx: "Context") -> str:
    idmap = mapping.default_map(ctx)
    count = sum(line[2] for line in idmap.uids)
    plural = "ID is" if count == 1 else "IDs are"
    return f"{ctx.user_name()} is root in the container; {count} {plural} mapped"


def _free(path: str) -> int:
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _pretty_name() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip("\"'")
    except OSError:
        pass
    return "Linux"
