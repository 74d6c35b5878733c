"""Contexts that come as a stream: a tar archive in any compression, or a Dockerfile alone."""

import os

from rootless.build import copying_tar
from rootless.build.context_text import read_dockerfile
from rootless.build.copying_target import Target, storage_failure
from rootless.errors import BuildError
from rootless.layer.compression import Prefixed, Readable, kind_of

_PEEK = 512


def receive(stream: Readable, directory: str, what: str) -> bytes | None:
    """Unpack an archive into the existing `directory`; the bytes of anything else, a Dockerfile.

    Raises BuildError for what is empty, damaged or leads out of `directory`.
    """
    prefix = b""
    while len(prefix) < _PEEK:
        more = stream.read(_PEEK - len(prefix))
        if not more:
            break
        prefix += more
    if not prefix:
        raise BuildError(
            f"{what} is empty",
            remedy="give a tar archive or a Dockerfile",
            code="RL-BUILD-CONTEXT",
        )
    whole = Prefixed(prefix, stream)
    if not kind_of(prefix):
        data = read_dockerfile(whole)
        if b"\0" in data[:512]:
            raise BuildError(
                f"{what} is neither a tar archive nor a Dockerfile",
                remedy="archives may be plain or in gzip, bzip2, xz or zstd",
                code="RL-BUILD-CONTEXT",
            )
        return data
    unpack(whole, directory, what)
    return None


def unpack(stream: Readable, directory: str, what: str) -> None:
    """All of an archive below `directory`, as the caller's; the umask is 0 meanwhile."""
    old = os.umask(0)
    try:
        target = Target(directory, owned=False)
        copying_tar.unpack(stream, what, target, "", (0, 0))
        target.finish()
    except OSError as e:
        raise storage_failure(e, f"unpack {what}") from e
    finally:
        os.umask(old)
