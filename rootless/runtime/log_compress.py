"""A rotated log compressed by a child of the supervisor: log.1 becomes log.1.gz.

The header's name says which file was compressed: a reader that follows the log knows by it
whether it has read that file already.  RFC 1952.
"""

import os
import zlib

_CHUNK = 1 << 20
_HEADER = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\x03"  # deflate, FNAME, no time, Unix


def start(path: str) -> int:
    """Compress `path` in a child; its PID."""
    pid = os.fork()
    if pid == 0:
        try:
            os.nice(10)
            _compress(path)
        finally:
            os._exit(0)
    return pid


def _compress(path: str) -> None:
    """Make PATH.gz of `path`; it is renamed into place before `path` goes away."""
    part = f"{path}.part"
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    checksum = size = 0
    try:
        with open(path, "rb", buffering=0) as source, open(part, "wb", buffering=0) as target:
            target.write(_HEADER + identity(source.fileno()) + b"\0")
            while data := source.read(_CHUNK):
                checksum, size = zlib.crc32(data, checksum), size + len(data)
                _write(target.fileno(), packer.compress(data))
            end = checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")
            _write(target.fileno(), packer.flush() + end)
        os.rename(part, f"{path}.gz")
        os.unlink(path)
    except OSError:
        try:
            os.unlink(part)
        except OSError:
            pass


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def identity(fd: int) -> bytes:
    """Which file `fd` is: its inode may be another file's later, its last change is its own."""
    status = os.fstat(fd)
    return b"%d-%d" % (status.st_ino, status.st_mtime_ns)


def identity_of(path: str) -> bytes:
    """The identity of the file that `path` was made of; b"" when another program made it."""
    with open(path, "rb") as file:
        head = file.read(128)
    return head[len(_HEADER) :].partition(b"\0")[0] if head.startswith(_HEADER) else b""


def read(path: str) -> bytes:
    """The whole content."""
    with open(path, "rb") as file:
        try:
            return zlib.decompress(file.read(), 31)
        except zlib.error:
            return b""  # damaged, or of another program
