"""Where an archive goes: a file, all of it or nothing, or standard output."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rootless.errors import RlError, UsageError


@contextmanager
def archive_output(path: str, verb: str) -> Iterator[Callable[[bytes], None]]:
    """A function that writes to `path`, "" or "-" for standard output.

    A file gets its name when the block has ended well.  Raises UsageError for a terminal, RlError
    RL-SAVE-TARGET for what cannot be written.
    """
    fd = 1
    part = ""
    if path in ("", "-") and os.isatty(1):
        raise UsageError(
            f"cowardly refusing to {verb} to a terminal", remedy="use the -o flag or redirect"
        )
    try:
        if path not in ("", "-"):
            special = os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode)
            part = "" if special else f"{path}.part-{os.getpid()}"  # a pipe is written to
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            fd = os.open(part or path, flags, 0o600)
        try:
            yield lambda data: _write(fd, data, path)
            if part:
                os.rename(part, path)
        except BaseException:
            if part:
                os.unlink(part)
            raise
        finally:
            if fd != 1:
                os.close(fd)
    except BrokenPipeError:
        raise
    except OSError as e:
        raise _cannot_write(path, e) from e


def _write(fd: int, data: bytes, path: str) -> None:
    """Also in a worker, whose errors come out as they are while an OSError would lose its file."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except BrokenPipeError:
        raise
    except OSError as e:
        raise _cannot_write(path, e) from e


def _cannot_write(path: str, e: OSError) -> RlError:
    return RlError(
        f"cannot write {'standard output' if path in ('', '-') else path}: {e.strerror}",
        remedy="check the path, and the space there",
        code="RL-SAVE-TARGET",
    )
