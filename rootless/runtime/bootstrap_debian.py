"""Debian and Ubuntu base images, by mmdebstrap as root of our own user namespace.

Measured (docs/decisions/021-bootstrap.md): --mode=root works there, in new mount and PID
namespaces; /sys cannot be mounted without a network namespace of our own, and nothing misses it.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, cast

from rootless.errors import HostError, UsageError
from rootless.layer import image
from rootless.layer.compression import Readable
from rootless.layer.userns import Worker
from rootless.linux import syscalls
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.records import dataclass
from rootless.runtime import bootstrap_apt
from rootless.runtime.bootstrap import SEARCH_PATH
from rootless.runtime.bootstrap_apt import Source
from rootless.store import image_changes, mapping
from rootless.store.atomic import TemporaryDirectory

if TYPE_CHECKING:
    from rootless.context import Context

_MEMORY_NEEDED = 3 << 30  # bytes available, for a tmpfs that holds 0.4 GB at its fullest
_VARIANTS = (
    "extract", "custom", "essential", "apt", "minbase", "buildd", "required", "important",
    "debootstrap", "standard", "-",
)  # fmt: skip
_KEYRING = "/usr/share/keyrings/{}-archive-keyring.gpg"
# As Docker's own images: no translations, no fsync per file (a layer is synced as a whole).
_APT_OPTIONS = (
    'Acquire::Languages "none"',
    'Apt::AutoRemove::SuggestsImportant "false"',
)
# mmdebstrap copies this machine's: a container gets its own, mounted on these empty files.
_HOOK = ': > "$1/etc/resolv.conf" && : > "$1/etc/hostname"'
# Steps that tell the user nothing.
_QUIET = ("tempdir", "customize-hook", "skipping ", "signed-by", "received signal")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for; "" is the default."""

    distribution: str
    suite: str = ""
    include: tuple[str, ...] = ()
    mirror: str = ""
    variant: str = "minbase"
    name: str = ""  # canonical


def make(ctx: "Context", request: Request, progress: Callable[[str], None]) -> "dict[str, object]":
    """Make the image and return its record.

    Raises HostError with a RL-BOOTSTRAP code, UsageError; nothing is left then.
    """
    suite = request.suite or _default_suite(request.distribution)
    _check(ctx, request)
    sources = _sources(request, suite)
    names = [request.name] if request.name else [_name(request.distribution, suite)]
    if not request.name and not request.suite:
        names.append(_name(request.distribution, "latest"))
    with TemporaryDirectory(ctx.paths, ctx) as directory:
        argv = _command(request, suite, sources)
        record = _run(ctx, request, suite, argv, directory, names[0], progress)
    for name in names[1:]:
        image_changes.tag(ctx.paths, str(record["id"]), name)
    return record


def _default_suite(distribution: str) -> str:
    host_id, codename = bootstrap_apt.os_release()
    if host_id == distribution and codename:
        return codename
    if distribution == "debian":
        return "stable"
    raise UsageError("which suite of Ubuntu?", remedy="name it, as in: rl bootstrap ubuntu:noble")


def _check(ctx: "Context", request: Request) -> None:
    """What can be known to be missing before anything is made."""
    if request.variant not in _VARIANTS:
        raise UsageError(
            f"--variant {request.variant} is not known", remedy=f"use one of {', '.join(_VARIANTS)}"
        )
    for package in request.include:
        if not all(c.isascii() and (c.isalnum() or c in "+-.:=~/?()^") for c in package):
            raise UsageError(f"--include {package!r} is not the name of a package")
    if request.mirror and (
        not request.mirror.startswith(("http://", "https://", "file:/", "copy:/", "mirror+"))
        or any(c.isspace() or c in "[]" for c in request.mirror)
    ):
        raise UsageError(
            f"--mirror {request.mirror} is not a URL",
            remedy="begin it with http://, https:// or file:/",
        )
    if shutil.which("mmdebstrap") is None:
        raise HostError(
            "mmdebstrap is missing",
            remedy="ask the admin for: apt-get install mmdebstrap; rl bootstrap busybox needs none",
            code="RL-BOOTSTRAP-NO-MMDEBSTRAP",
        )
    if mapping.default_map(ctx).single:
        user = ctx.user_name()
        raise HostError(
            f"{user} has no subordinate IDs, and dpkg has to give files to other users and groups",
            remedy="ask the admin for: usermod --add-subuids 100000-165535 "
            f"--add-subgids 100000-165535 {user}; rl bootstrap busybox needs none",
            code="RL-BOOTSTRAP-NO-SUBIDS",
        )


def _sources(request: Request, suite: str) -> list[Source]:
    keyring = _KEYRING.format(request.distribution)
    signed = keyring if os.path.exists(keyring) else ""
    if request.mirror:
        return [Source(request.mirror, suite, ("main",), signed)]
    sources = bootstrap_apt.sources_for(request.distribution, suite)
    if not sources:
        raise HostError(
            f"this machine's apt has no archive of {request.distribution}",
            remedy="name one: --mirror URL",
            code="RL-BOOTSTRAP-NO-MIRROR",
        )
    return sources


def _name(distribution: str, tag: str) -> str:
    return reference.parse(f"{distribution}:{tag}").canonical()


def _command(request: Request, suite: str, sources: list[Source]) -> list[str]:
    command = [
        "mmdebstrap",
        "--mode=root",
        "--format=tar",
        f"--variant={request.variant}",
        "--dpkgopt=force-unsafe-io",
        f"--customize-hook={_HOOK}",
        # Never mounted without a network namespace of our own, and then a warning only.
        "--skip=chroot/mount/sys",
        *(f"--aptopt={option}" for option in _APT_OPTIONS),
    ]
    if request.include:
        command.append(f"--include={','.join(request.include)}")
    return [*command, suite, "-", *(source.line() for source in sources)]


def _run(
    ctx: "Context",
    request: Request,
    suite: str,
    argv: list[str],
    directory: str,
    name: str,
    progress: Callable[[str], None],
) -> "dict[str, object]":
    """Run mmdebstrap in a worker, and make an image of the tar archive that it writes."""
    environ = {
        "PATH": SEARCH_PATH,
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TMPDIR": directory,
        **bootstrap_apt.proxies(dict(ctx.environ)),
    }
    arguments: dict[str, object] = {
        "argv": argv,
        "environ": environ,
        "directory": directory,
        "tmpfs": _available_memory() >= _MEMORY_NEEDED,
    }
    flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID
    pipe = subprocess.PIPE
    with Worker(ctx, "bootstrap", arguments, flags=flags, stdout=pipe, stderr=pipe) as worker:
        messages = _Messages(worker.process.stderr, progress)
        source = _Output(worker, messages)
        return image.create(
            ctx,
            cast(Readable, source),
            name=name,
            config={"Env": [f"PATH={SEARCH_PATH}"], "Cmd": ["bash"]},
            platform=platforms.host(),
            comment=f"rl bootstrap {request.distribution}:{suite}",
            what=f"the base system {request.distribution}:{suite}",
        )


class _Messages:
    """What mmdebstrap says: its steps are passed on, all of it is kept for an error."""

    def __init__(self, stderr: IO[bytes] | None, progress: Callable[[str], None]) -> None:
        assert stderr is not None
        self._stderr = stderr
        self._progress = progress
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def text(self) -> str:
        """All of it; waits for the end."""
        self._thread.join()
        return "\n".join(self._lines)

    def _run(self) -> None:
        for raw in self._stderr:
            line = raw.decode("utf-8", "replace").rstrip()
            self._lines.append(line)
            del self._lines[:-2000]
            if line.startswith("I: ") and not any(word in line for word in _QUIET):
                self._progress(line[3:])


class _Output:
    """mmdebstrap's archive as a stream that fails, instead of ending, when mmdebstrap failed."""

    def __init__(self, worker: Worker, messages: _Messages) -> None:
        assert worker.process.stdout is not None
        self._fd = worker.process.stdout.fileno()
        self._worker = worker
        self._messages = messages
        self._ended = False

    def read(self, size: int, /) -> bytes:
        data = os.read(self._fd, size)
        if not data and not self._ended:
            self._ended = True
            status = self._worker.result()
            if status != 0:
                raise bootstrap_apt.explain(self._messages.text())
        return data


def _available_memory() -> int:
    """MemAvailable of /proc/meminfo in bytes; proc(5)."""
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0
