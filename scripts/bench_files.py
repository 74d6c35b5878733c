"""Rows of scripts/bench about files: cp, diff, commit, snapshots, and work in the root itself."""

import os
import shutil
import subprocess
import tarfile
from typing import Any

COPIED = 5000  # files of the cp rows
CHANGED = 10000  # files of the diff and commit rows, and of untar
WRITTEN_MIB = 1024  # of the snapshot row
ROWS = {
    "cp-in": (f"cp of {COPIED:,} files into one", 0.7),
    "cp-out": (f"cp of {COPIED:,} files out of one", 0.7),
    "diff": (f"diff, {CHANGED:,} changed files", 0.5),
    "commit": (f"commit, {CHANGED:,} changed files", 0.6),
    "snapshot": (f"of {WRITTEN_MIB} MiB, and rollback, in starts", 5.0),
    "snapshot-running": ("the same, of a running container", 5.0),
    "untar": (f"untar of {CHANGED:,} files, overlay", None),
    "stat": (f"stat of {CHANGED:,} files, overlay", None),
    "untar-fuse": ("the same untar, fuse-overlayfs", None),
    "stat-fuse": ("the same stat, fuse-overlayfs", None),
}
_FUSE = "/usr/bin/fuse-overlayfs"


class Files:
    """Makes what the rows need, once, in `directory`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.ready: set[tuple[str, str]] = set()

    def time(self, tool: Any, row: str) -> float:
        """Milliseconds of one run of `row` with `tool` (scripts/bench's Tool)."""
        if row.startswith("cp-"):
            return self._copy(tool, row)
        if row in ("diff", "commit"):
            return self._changed(tool, row)
        if row.startswith("snapshot"):
            return self._snapshot(tool, running=row.endswith("running"))
        return self._inside(tool, row)

    def _tree(self, count: int) -> str:
        """A directory of `count` files of 1 to 4 KiB, 100 in each directory."""
        top = f"{self.directory}/tree-{count}"
        if not os.path.isdir(top):
            for number in range(count):
                place = f"{top}/d{number // 100}"
                os.makedirs(place, exist_ok=True)
                with open(f"{place}/file-{number}", "wb") as file:
                    file.write(os.urandom(1024 + number % 3072))
        return top

    def _archive(self) -> str:
        archive = f"{self.directory}/tree.tar"
        if not os.path.exists(archive):
            with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
                tar.add(self._tree(CHANGED), "tree", filter=_roots)
        return archive

    def _stopped(self, tool: Any, name: str) -> None:
        """A stopped container `name` that has written the tree."""
        if (tool.name, name) not in self.ready:
            self.ready.add((tool.name, name))
            mount = ["-v", f"{self._archive()}:/tree.tar:ro"]
            script = "mkdir /w && tar -xf /tree.tar -C /w"
            tool.run(
                "run", "--network", "none", "--name", name, *mount, "bench", "sh", "-c", script
            )

    def _copy(self, tool: Any, row: str) -> float:
        tree = self._tree(COPIED)
        tool.run("create", "--network", "none", "--name", "files", "bench", "true")
        try:
            took: float = tool.time("cp", tree, "files:/tree")
            if row == "cp-out":
                target = f"{tool.home}/out"
                took = tool.time("cp", "files:/tree", target)
                shutil.rmtree(target)
        finally:
            tool.remove("files")
        return took

    def _changed(self, tool: Any, row: str) -> float:
        self._stopped(tool, "changed")
        if row == "diff":
            return float(tool.time("diff", "changed"))
        # rl finds a layer that it has made before: its content is another one each time.
        count = len(os.listdir(tool.home)) + len(tool.run("images", "-q").split())
        with open(f"{tool.home}/mark", "w") as file:
            file.write(os.urandom(8).hex() + str(count))
        tool.run("cp", f"{tool.home}/mark", "changed:/w/mark")
        took: float = tool.time("commit", "changed", "committed")
        tool.run("rmi", "-f", "committed")
        return took

    def _snapshot(self, tool: Any, *, running: bool) -> float:
        """How many starts of the same container a snapshot and a rollback take; podman has none."""
        if tool.name == "podman":
            return float("nan")
        if (tool.name, "written") not in self.ready:
            self.ready.add((tool.name, "written"))
            script = f"[ -e /big ] || dd if=/dev/zero of=/big bs=1M count={WRITTEN_MIB} 2>/dev/null"
            script += "; [ ! -e /run/stay ] || exec sleep 1000"
            run = ("run", "--network", "none", "--name", "written", "bench", "sh", "-c", script)
            tool.run(*run)
        if running:
            tool.run("cp", __file__, "written:/run/stay")
        start: float = tool.time("start", "written")
        if not running:
            tool.run("wait", "written")
        took: float = tool.time("snapshot", "written", "one")
        took += tool.time("rollback", "written", "one")
        if running:
            tool.run("kill", "written")
            tool.run("wait", "written")
        tool.run("snapshot", "--rm", "written", "one")
        return took / start

    def _inside(self, tool: Any, row: str) -> float:
        """Milliseconds that the work takes in the container, by its own clock."""
        storage: list[str] = []
        command = [tool.program]
        if row.endswith("-fuse"):
            if tool.name == "rl":
                storage = ["--storage-driver", "fuse-overlayfs"]
            else:
                command += ["--storage-opt", f"overlay.mount_program={_FUSE}"]
        run = [*command, "run", "--rm", "--network", "none", *storage,
               "-v", f"{self._archive()}:/tree.tar:ro", "bench", "sh", "-c"]  # fmt: skip
        clock = "awk '{ print $1 * 1000 }' /proc/uptime"
        work = "tar -xf /tree.tar -C /w"
        script = f"mkdir /w; {clock}; {work}; {clock}"
        if row.startswith("stat"):
            script = f"mkdir /w; {work}; {clock}; for i in 1 2 3 4 5; do find /w -type f -size +9k;"
            script += f" done; {clock}"
        done = subprocess.run([*run, script], env=tool.env, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{tool.name} {row}: {done.stderr}")
        first, last = done.stdout.split()
        return float(last) - float(first)


def _roots(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
