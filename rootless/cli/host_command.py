"""A command of this machine, or a shell, run inside of namespaces that rl has made."""

import errno
import os
import signal
from collections.abc import Callable, Mapping, Sequence

from rootless.context import Context
from rootless.errors import CommandNotExecutable, CommandNotFound
from rootless.linux import syscalls


def words(ctx: Context, given: object) -> list[str]:
    """The command line that was given after the options; the user's shell without one."""
    assert isinstance(given, list)
    command = [str(one) for one in given]
    if command[:1] == ["--"]:
        del command[0]
    return command or [str(ctx.environ.get("SHELL") or "/bin/sh")]


def follow(command: Sequence[str], enter: Callable[[], object]) -> int:
    """The status of a command: `enter()` makes a child in the namespaces, and returns what run()
    has returned there.  Raises CommandNotFound and CommandNotExecutable."""
    # Ctrl-C is the command's: it is in the foreground, not this process.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        answer = enter()
    finally:
        signal.signal(signal.SIGINT, before)
    assert isinstance(answer, int)
    if answer >= 0:
        return answer
    if -answer in (errno.ENOENT, errno.ENOTDIR):
        raise CommandNotFound(
            f"{command[0]}: there is no such command on this machine",
            remedy="check the spelling and PATH; a command of an image needs rl run",
        )
    raise CommandNotExecutable(f"{command[0]}: {os.strerror(-answer)}", remedy="check its mode")


def run(command: Sequence[str], environ: Mapping[str, str], directory: str = "") -> int:
    """In the child: run it with `environ` added, in `directory`.  Its status, or 128 and the
    number of the signal that has ended it; the negative errno when it could not be run."""
    # Whoever kills rl wants an end of this, too.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            if directory:
                os.chdir(directory)
            os.environ.update(environ)
            os.execvp(command[0], list(command))
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
