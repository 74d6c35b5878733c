"""Every failure that rl reports on purpose.  Imports os alone: the warm path pays for it.

RlError                   125  what could not be done and why, .remedy, .code, .exit_status
├─ UsageError             125  RL-USAGE            a wrong command line
├─ HostError              125  RL-HOST-*           this machine lacks something
├─ KernelError            125  RL-KERNEL           a system call; .call .errno .target
├─ BadReference           125  RL-BAD-REFERENCE    not an image reference
├─ BadDocument            125  RL-BAD-DOCUMENT     a manifest, config or file that makes no sense
├─ RegistryError          125  RL-REGISTRY-*       unreachable, unauthorized, not found, refused
├─ DigestMismatch         125  RL-DIGEST-MISMATCH  .expected .actual; never retried silently
├─ StoreError             125  RL-STORE-*          busy, corrupt, full, newer version
├─ ImageError             125  RL-IMAGE-*          no such image, in use, ambiguous
├─ ContainerError         125  RL-CONTAINER-*      no such container, name taken, not running
├─ VolumeError            125  RL-VOLUME-*         no such volume, in use
├─ NetworkError           125  RL-NETWORK-*, RL-PORT-*
├─ LimitError             125  RL-LIMIT-*          a limit that cannot be enforced here
├─ QuadletError           125  RL-QUADLET*          a quadlet file that makes no sense here
├─ BuildError               1  RL-BUILD-*          a Dockerfile or a step; .location .excerpt
├─ CommandNotExecutable   126  RL-COMMAND-NOT-EXECUTABLE
└─ CommandNotFound        127  RL-COMMAND-NOT-FOUND

A container's own status is returned, not raised; a signal is 128 + its number.
Every code has a section in rootless/cli/explanations.py, which `rl explain CODE` prints.
"""

import os


class RlError(Exception):
    """A failure we understand: `what` happened, and the `remedy` if we know one.

    `code` is stable.  A subclass has a default code; `code=` names a narrower one.
    """

    code = "RL-ERROR"
    exit_status = 125  # rl failed and the container's program never ran, as docker and podman

    def __init__(self, what: str, *, remedy: str | None = None, code: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        if code is not None:
            self.code = code

    def one_line(self) -> str:
        """What, why and the remedy, on one line, with the code."""
        text = self.what if self.remedy is None else f"{self.what}; {self.remedy}"
        return f"{text} [{self.code}]".replace("\n", " ")


class UsageError(RlError):
    """A command line that makes no sense, or a flag that cannot work without root."""

    code = "RL-USAGE"


class HostError(RlError):
    """This machine lacks something that rl needs."""

    code = "RL-HOST"


class KernelError(RlError):
    """A system call failed.  The errno, call and target are kept for callers and tests."""

    code = "RL-KERNEL"

    def __init__(
        self,
        call: str,
        errno: int,
        target: str = "",
        *,
        remedy: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(f"{call}({target}): {os.strerror(errno)}", remedy=remedy, code=code)
        self.call, self.errno, self.target = call, errno, target


class BadReference(RlError):
    """Not an image reference by Docker's grammar."""

    code = "RL-BAD-REFERENCE"


class BadDocument(RlError):
    """A document from a user, an image or a registry that makes no sense."""

    code = "RL-BAD-DOCUMENT"


class RegistryError(RlError):
    """A registry is away, refuses, or answers rubbish."""

    code = "RL-REGISTRY"


class DigestMismatch(RlError):
    """Bytes that are not what their digest says."""

    code = "RL-DIGEST-MISMATCH"

    def __init__(self, what: str, expected: str, actual: str) -> None:
        super().__init__(
            f"{what}: expected {expected}, got {actual}",
            remedy="the data was damaged or changed on its way: try again, "
            "and tell the registry's owner if it stays",
        )
        self.expected, self.actual = expected, actual


class StoreError(RlError):
    """The store is busy, corrupt, full, or from a newer rl."""

    code = "RL-STORE"


class ImageError(RlError):
    """No such image, an ambiguous one, or one in use."""

    code = "RL-IMAGE"


class ContainerError(RlError):
    """No such container, a name that is taken, or a state that forbids the request."""

    code = "RL-CONTAINER"


class VolumeError(RlError):
    """A volume does not exist, is in use, or cannot be what was asked for."""

    code = "RL-VOLUME"


class NetworkError(RlError):
    """A network that cannot be made, or a port that cannot be published."""

    code = "RL-NETWORK"


class LimitError(RlError):
    """A resource limit that cannot be enforced on this host."""

    code = "RL-LIMIT-NOT-DELEGATED"


class QuadletError(RlError):
    """A quadlet file that makes no sense, asks for what rl does not have, or is not installed."""

    code = "RL-QUADLET"


class BuildError(RlError):
    """A Dockerfile that makes no sense, or a step of it that failed.

    `location` is (file, first line, last line), counted from 1, or None for a mistake that is in
    no file; `excerpt` shows those lines and is printed below the message; `problem` is the
    message without the place.
    """

    code = "RL-BUILD"
    exit_status = 1  # as docker build: no container was asked for

    def __init__(
        self,
        what: str,
        *,
        location: "tuple[str, int, int] | None" = None,
        excerpt: str = "",
        remedy: str | None = None,
        code: str | None = None,
    ) -> None:
        what = _printable(what)
        remedy = None if remedy is None else _printable(remedy)
        super().__init__(what, remedy=remedy, code=code)
        self.problem = what
        self.location: tuple[str, int, int] | None = None
        self.excerpt = ""
        if location is not None:
            self.locate(location, excerpt)

    def locate(self, location: "tuple[str, int, int]", excerpt: str = "") -> None:
        """Say where the mistake is; the first place named, which is the innermost, stays."""
        if self.location is not None:
            return
        self.location, self.excerpt = location, excerpt
        self.what = f"{location[0]}:{location[1]}: {self.problem}"
        self.args = (self.what,)


def _printable(text: str) -> str:
    """What quotes a Dockerfile may have bytes that are no text, or a terminal's commands."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


class CommandNotExecutable(RlError):
    """The container's program exists but cannot be executed."""

    code = "RL-COMMAND-NOT-EXECUTABLE"
    exit_status = 126


class CommandNotFound(RlError):
    """The container's program does not exist."""

    code = "RL-COMMAND-NOT-FOUND"
    exit_status = 127
