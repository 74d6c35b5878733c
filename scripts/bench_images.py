"""The rows of scripts/bench about images, with a registry of Debian's on loopback.

The images are made here, of the host's own files and of generated ones; nothing is downloaded.
"""

import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar

LAYERS = 5
PYTHON_FILES = 13_000  # of the host's /usr: programs, libraries, Python, documents
PYTHON_FILE_MAX = 4 << 20  # bytes; larger ones are left out
SMALL_FILES = 50_000
MANY = 200  # images that are listed
SAMPLE_S = 0.02  # between two looks at the memory


def python_layers(directory: str) -> list[bytes]:
    """13,000 files of this host: their sizes, and how well they pack, are those of real ones."""
    found: list[str] = []
    for top in ("/usr/lib/python3", "/usr/lib/python3.11", "/usr/lib", "/usr/bin", "/usr/share"):
        for path, names, files in os.walk(top):
            names.sort()
            if top == "/usr/lib" and path == top:
                names[:] = [name for name in names if not name.startswith("python3")]
            for name in sorted(files):
                full = f"{path}/{name}"
                status = os.lstat(full)
                if status.st_size <= PYTHON_FILE_MAX and os.access(full, os.R_OK):
                    found.append(full)
    found = found[:: max(len(found) // PYTHON_FILES, 1)][:PYTHON_FILES]
    per_layer = -(-len(found) // LAYERS)
    layers = []
    for start in range(0, len(found), per_layer):
        names = "\0".join(found[start : start + per_layer])
        argv = ["tar", "--owner=0", "--group=0", "--no-recursion", "-cf-", "--null", "-T-"]
        done = subprocess.run(argv, input=names.encode(), capture_output=True, check=True)
        layers.append(done.stdout)
    return layers


def small_layers(_directory: str) -> list[bytes]:
    """50,000 files of up to 2 KB, 100 in a directory."""
    layers = []
    for layer in range(LAYERS):
        out = BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for number in range(SMALL_FILES // LAYERS):
                if number % 100 == 0:
                    info = tarfile.TarInfo(f"srv/{layer}/{number // 100}")
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(info)
                data = f"{layer} {number}\n".encode() * (1 + number % 200)
                info = tarfile.TarInfo(f"srv/{layer}/{number // 100}/{number}")
                info.size, info.mtime = len(data), 1_700_000_000
                archive.addfile(info, BytesIO(data))
        layers.append(out.getvalue())
    return layers


class Images:
    """A registry with the images of the rows, started when the first of them is measured."""

    MAKERS: ClassVar[dict[str, Callable[[str], list[bytes]]]] = {
        "pull-13000": python_layers,
        "pull-50000": small_layers,
    }

    def __init__(self, directory: str, tools: list[Any]) -> None:
        self.directory = directory
        self.tools = tools
        self.references: dict[str, str] = {}
        self._registry: Any = None

    def stop(self) -> None:
        if self._registry is not None:
            self._registry.stop()

    def reference(self, row: str) -> str:
        """The image of a row; made and pushed the first time."""
        if row not in self.references:
            # scripts/bench has put tests/support beside its copy of this file.
            from support.images import Image
            from support.registry import Registry

            if self._registry is None:
                self._registry = Registry(f"{self.directory}/registry", _free_port())
            image = Image(self.MAKERS[row](self.directory), {"Cmd": ["true"]})
            self.references[row] = self._registry.push(row, image)
        return self.references[row]

    def prepare(self, tool: Any) -> None:
        """podman has to be told that a registry on loopback may speak plain HTTP."""
        if tool.name == "podman" and self._registry is not None:
            with open(f"{tool.home}/.config/containers/registries.conf", "w") as f:
                f.write(f'[[registry]]\nlocation="{self._registry.host}"\ninsecure=true\n')

    def time(self, tool: Any, row: str) -> float:
        """Milliseconds of one pull into a store that has nothing of the image."""
        reference = self.reference(row)
        self.prepare(tool)
        os.sync()
        took: float = tool.time("pull", "-q", reference)
        tool.run("rmi", "-f", reference)
        return took

    def transfer(self, tool: Any, row: str) -> float:
        """Milliseconds of one push, save or load of the image of 13,000 files."""
        reference = self.reference("pull-13000")
        self.prepare(tool)
        if not tool.run("images", "-q", reference).strip():
            tool.run("pull", "-q", reference)
        if row == "push":
            return self._push(tool, reference)
        archive = f"{self.directory}/saved-{tool.name}.tar"
        if row == "save":
            took: float = tool.time("save", "-o", archive, reference)
            os.unlink(archive)
            return took
        archive = f"{self.directory}/{'rl' if row == 'load-own' else 'podman'}.tar"
        self._save(tool, archive, reference)
        tool.run("rmi", "-f", reference)
        return float(tool.time("load", "-q", "-i", archive))

    def _save(self, tool: Any, archive: str, reference: str) -> None:
        """An archive of the tool that its name says; where that is not measured, of this one."""
        if os.path.exists(archive) and os.path.getsize(archive):
            return
        maker = next((one for one in self.tools if archive.endswith(f"/{one.name}.tar")), tool)
        if not maker.run("images", "-q", reference).strip():
            self.prepare(maker)
            maker.run("pull", "-q", reference)
        maker.run("save", "-o", archive, reference)

    def _push(self, tool: Any, reference: str) -> float:
        """A registry that has nothing: layers that are there would not be sent."""
        from support.registry import Registry

        empty = Registry(f"{self.directory}/empty", _free_port())
        try:
            name = f"{empty.host}/pushed:1"
            if tool.name == "podman":
                with open(f"{tool.home}/.config/containers/registries.conf", "a") as f:
                    f.write(f'[[registry]]\nlocation="{empty.host}"\ninsecure=true\n')
            tool.run("tag", reference, name)
            took: float = tool.time("push", "-q", name)
            tool.run("rmi", name)
            return took
        finally:
            empty.stop()
            shutil.rmtree(f"{self.directory}/empty")

    def listed(self, tools: list[Any], alternate: Callable[..., Any]) -> Any:
        """`images` of 200 images, which differ in their config alone."""
        archive = f"{self.directory}/one.tar"
        with tarfile.open(archive, "w") as target:
            target.addfile(tarfile.TarInfo("file"))
        for tool in tools:
            for number in range(MANY):
                tool.run("import", "-c", f"LABEL number={number}", archive, f"many/{number}:1")
        return alternate(lambda tool: tool.time("images"))

    def memory(self, tool: Any, ask: Callable[[str], dict[str, float]]) -> list[float]:
        """MiB of PSS at the peak of a pull, of all processes of the tool."""
        peaks = []
        for row in self.MAKERS:
            reference = self.reference(row)
            self.prepare(tool)
            pull = threading.Thread(target=tool.run, args=("pull", "-q", reference))
            pull.start()
            peak = 0.0
            while pull.is_alive():
                peak = max(peak, sum(ask(tool.home).values()) / 1024)
                time.sleep(SAMPLE_S)
            pull.join()
            tool.run("rmi", "-f", reference)
            peaks.append(peak)
        return [max(peaks)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def copy_support(root: str, directory: str) -> None:
    """What the measuring user needs of tests/support, beside the bench's copy."""
    os.makedirs(f"{directory}/support", exist_ok=True)
    for name in ("__init__.py", "images.py", "registry.py"):
        shutil.copy(f"{root}/tests/support/{name}", f"{directory}/support/{name}")
