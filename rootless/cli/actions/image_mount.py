"""`rl image mount`: a command of this machine where the files of an image are mounted."""

import errno
import os
import signal
from typing import Any

from rootless import log
from rootless.context import Context
from rootless.errors import CommandNotExecutable, CommandNotFound
from rootless.linux import mount, syscalls
from rootless.runtime import layer_copies, rootfs
from rootless.store import atomic, images, shared_mounts
from rootless.store.leases import Lease


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Mount `image` read-only in namespaces of our own, and run `command` or a shell there.

    Its status, or 128 and the number of the signal that has ended it.
    """
    command = [str(one) for one in values["command"]]
    if command[:1] == ["--"]:
        del command[0]
    shell = str(ctx.environ.get("SHELL") or "/bin/sh")
    atomic.sweep(ctx)
    with Lease(ctx) as lease:
        record: dict[str, Any] = images.resolve(ctx.paths, str(values["image"]))
        lease.keep(record["layers"], [str(record["id"])])
        images.resolve(ctx.paths, str(record["id"]))  # still there, now that it is leased
        place = f"{lease.path}/root"
        for name in ("root", "upper", "work", "links"):
            os.mkdir(f"{lease.path}/{name}", 0o700)
        overlay = rootfs.storage_driver(ctx, "") == "overlay"
        if not overlay:
            log.note("there is no overlay file system here: the image is copied for this command")
            tops = [ctx.paths.layer_diff(one) for one in record["layers"]]
            layer_copies.flatten(ctx, tops, place)
        if not command:
            log.note(f"the files of the image are in {place}, until this shell ends")

        def work() -> int:
            # Whoever kills rl wants an end of this, too.
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            _mount(ctx, record, lease.path, overlay=overlay)
            return _run(command or [shell], place)

        # Ctrl-C is the command's: it is in the foreground, not this process.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            read = [ctx.paths.layer_diff(one) for one in record["layers"]] if overlay else []
            answer = shared_mounts.run_in_worker(ctx, read, work, mounts=True)
        finally:
            signal.signal(signal.SIGINT, before)
    assert isinstance(answer, int)
    if answer < 0:
        return _not_run(command or [shell], -answer)
    return answer


def _mount(ctx: Context, record: dict[str, Any], directory: str, *, overlay: bool) -> None:
    place = f"{directory}/root"
    if overlay:
        name = os.path.relpath(directory, ctx.paths.store)
        layers = [f"layers/{one.rpartition(':')[2]}/diff" for one in reversed(record["layers"])]
        mount.overlay(
            layers or [f"{name}/links"], place, upper=f"{name}/upper", work=f"{name}/work",
            base=ctx.paths.store, links=f"{directory}/links",
        )  # fmt: skip
    else:
        syscalls.mount(place, place, None, syscalls.MS_BIND)
    place_fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    syscalls.mount_setattr(place_fd, set_=syscalls.MOUNT_ATTR_RDONLY)
    os.close(place_fd)


def _run(command: list[str], place: str) -> int:
    """The status of the command; the negative errno when it could not be run."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            os.chdir(place)
            os.environ.update(RL_MOUNT=place, PWD=place)
            os.execvp(command[0], command)
        except OSError as e:
            os.write(write_fd, str(e.errno).encode())
        os._exit(1)
    os.close(write_fd)
    with open(read_fd, "rb") as pipe:
        failure = pipe.read()
    _, status = os.waitpid(pid, 0)
    if failure:
        return -int(failure)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _not_run(command: list[str], number: int) -> int:
    if number in (errno.ENOENT, errno.ENOTDIR):
        raise CommandNotFound(
            f"{command[0]}: there is no such command on this machine",
            remedy="it is not looked for in the image: rl run does that",
        )
    raise CommandNotExecutable(f"{command[0]}: {os.strerror(number)}", remedy="check its mode")
