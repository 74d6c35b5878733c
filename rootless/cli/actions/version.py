"""rl version: of rl and of what it stands on."""

import os
import sys

from rootless import __version__
from rootless.cli.output import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """A table, or --format over {"Client": …, "Server": …}."""
    facts = versions()
    form = values["format"]
    if form:
        from rootless.cli.template import Template

        text = "{{json .}}" if form == "json" else form
        # There is no server; scripts that ask for its version get rl's.
        write(Template(text).render({"Client": facts, "Server": facts}) + "\n")
        return 0
    rows = (
        ("Version", facts["Version"]),
        ("Python", facts["PythonVersion"]),
        ("Kernel", facts["KernelVersion"]),
        ("OS/Arch", f"{facts['Os']}/{facts['Arch']}"),
        ("Location", facts["Location"]),
    )
    write("rl:\n" + "".join(f" {name + ':':<10} {value}\n" for name, value in rows))
    return 0


def versions() -> "dict[str, str]":
    kernel = os.uname()
    return {
        "Arch": _ARCHITECTURES.get(kernel.machine, kernel.machine),
        "KernelVersion": kernel.release,
        "Location": os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
        "Os": "linux",
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Version": __version__,
    }
