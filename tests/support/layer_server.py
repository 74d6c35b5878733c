"""Layers applied and stacked for real: a program that is root of a user namespace.

`unshare --user --map-auto --map-root-user --mount python layer_server.py SOURCE DIRECTORY`.  Each
line on standard input is a JSON list of archives (base64), the lowest layer first; each answer is
{"tree": …, "archives": …} with what overlayfs shows of the stack and each layer as an archive
again, or {"error": …}.  Anything that is no RlError ends it, and so does a touch of anything beside
the layers.  tests talk to it by support/layer_client.py.
"""

import base64
import io
import json
import os
import stat
import sys

sys.path.insert(0, sys.argv[1])

from rootless.errors import RlError
from rootless.layer.archive import write_tree
from rootless.layer.extract import Extractor, write_data
from rootless.layer.tarstream import TarReader
from rootless.linux import syscalls
from rootless.store.removal import remove_tree


def answer(archives: list[bytes], top: str) -> dict[str, object]:
    os.makedirs(f"{top}/merged")
    layers = []
    try:
        for number, archive in enumerate(archives):
            layers.append(f"{top}/{number}")
            apply(archive, layers[-1])
    except RlError as e:
        return {"error": f"{type(e).__name__}: {e.what}"}
    finally:
        assert {*os.listdir(top)} == {"merged", *map(str, range(len(layers)))}
    os.mkdir(f"{top}/empty")  # a stack has two layers at least
    lower = ":".join([*reversed(layers), f"{top}/empty"])
    syscalls.mount("overlay", f"{top}/merged", "overlay", 0, f"userxattr,lowerdir={lower}")
    try:
        tree = walk(f"{top}/merged")
    finally:
        syscalls.umount2(f"{top}/merged", syscalls.MNT_DETACH)
    return {"tree": tree, "archives": [encode(archive_of(layer)) for layer in layers]}


def apply(archive: bytes, directory: str) -> None:
    os.mkdir(directory)
    fd = os.open(directory, os.O_RDONLY)
    try:
        stream = io.BytesIO(archive)
        reader = TarReader(lambda: stream.read(1000))
        Extractor(fd, squash=False, write_data=write_data).extract_all(reader)
    finally:
        os.close(fd)


def archive_of(directory: str) -> bytes:
    out = io.BytesIO()
    fd = os.open(directory, os.O_RDONLY)
    try:
        write_tree(fd, out.write)
    finally:
        os.close(fd)
    return out.getvalue()


def walk(top: str) -> dict[str, list[object]]:
    """Path -> [kind, mode, UID, GID, mtime, content or target, the first path of the same file]."""
    found: dict[str, list[object]] = {"": entry(top, "", {})}
    same: dict[int, str] = {}
    for directory, directories, files in os.walk(top):
        for name in sorted(directories + files):
            path = f"{directory}/{name}"
            inside = path[len(top) + 1 :]
            try:
                found[inside] = entry(path, inside, same)
            except FileNotFoundError:
                pass  # a whiteout in a directory that does not merge is listed, and not there
    return found


def entry(path: str, inside: str, same: dict[int, str]) -> list[object]:
    status = os.lstat(path)
    kind, content, first = "dir", "", inside
    mode: int | None = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        kind, content, mode = "link", os.readlink(path), None
    elif stat.S_ISREG(status.st_mode):
        kind = "file"
        with open(path, "rb") as file:
            content = file.read().decode()
    if kind != "dir":
        first = same.setdefault(status.st_ino, inside)
    return [kind, mode, status.st_uid, status.st_gid, int(status.st_mtime), content, first]


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    for number, line in enumerate(sys.stdin):
        top = f"{sys.argv[2]}/{number}"
        result = answer([base64.b64decode(text) for text in json.loads(line)], top)
        assert remove_tree(top)
        assert os.listdir(sys.argv[2]) == []
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
