"""Processes: who one is (PID, start time, boot), finding programs, starting helpers."""

import errno
import os
import sys

from rootless.errors import HostError, KernelError
from rootless.linux import syscalls

# SIGPIPE and SIGXFSZ: ignored by Python, and an ignored signal survives exec; pasta fails on it.
PYTHON_IGNORES = (13, 25)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXTRA_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


def boot_id() -> str:
    """random(4): the kernel's ID of this boot."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def machine_id() -> str:
    """machine-id(5): which machine this is, of several with one home; its name without that."""
    try:
        with open("/etc/machine-id") as file:
            found = file.read().strip()
    except OSError:
        found = ""
    return found or os.uname().nodename


def start_time(pid: int) -> int:
    """Field 22 of /proc/PID/stat, in clock ticks since boot; 0 when there is no such process.

    proc(5).  The name in field 2 may hold spaces and parentheses: fields count from the last ')'.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    # A zombie has ended: it only waits to be reaped.
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    """Whether the process `pid` that started at `started` (start_time) still runs."""
    return pid > 0 and started > 0 and start_time(pid) == started


def open_pidfd(pid: int, started: int) -> int:
    """A pidfd of the process `pid` that started at `started`, or -1 when it has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return -1
    # Checked after the open: the descriptor can't come to mean another process any more.
    if start_time(pid) != started:
        os.close(pidfd)
        return -1
    return pidfd


def signal_process(pidfd: int, signal: int) -> bool:
    """Send `signal`; False when the process has ended."""
    try:
        syscalls.pidfd_send_signal(pidfd, signal)
    except KernelError as e:
        if e.errno == errno.ESRCH:
            return False
        raise
    return True


def helpers_directory(environ: "Mapping[str, str]") -> str:
    """Where `rl setup` puts programs: $RL_HELPERS, else beside the usual store; "" without HOME."""
    if environ.get("RL_HELPERS", "").startswith("/"):
        return environ["RL_HELPERS"]
    data_home = environ.get("XDG_DATA_HOME", "")
    if data_home.startswith("/"):
        return f"{data_home}/rl/helpers"
    home = environ.get("HOME", "")
    return f"{home}/.local/share/rl/helpers" if home.startswith("/") else ""


def find_program(name: str, environ: "Mapping[str, str]") -> str | None:
    """Absolute path of the program `name` on $PATH, where administrators' programs are, or where
    `rl setup` has put it."""
    if "/" in name:
        return name if os.access(name, os.X_OK) else None
    helpers = helpers_directory(environ)
    own = f"{helpers}/bin" if helpers else ""
    for directory in (*environ.get("PATH", "").split(":"), *EXTRA_PATH, own):
        path = f"{directory}/{name}"
        if directory and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def need_program(name: str, environ: "Mapping[str, str]", remedy: str, code: str) -> str:
    """As find_program; HostError with `remedy` and `code` when it isn't there."""
    path = find_program(name, environ)
    if path is None:
        raise HostError(f"the program {name} is missing", remedy=remedy, code=code)
    return path


class Spawned:
    """A program started with its output in a pipe: start several, then finish() each."""

    __slots__ = ("_read_fd", "pid")

    def __init__(self, argv: "Sequence[str]", environ: "Mapping[str, str]") -> None:
        self._read_fd, write_fd = os.pipe()
        try:
            self.pid = os.posix_spawn(
                argv[0],
                list(argv),
                environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, write_fd, 1),
                    (os.POSIX_SPAWN_DUP2, write_fd, 2),
                ],
                setsigdef=PYTHON_IGNORES,
            )
        except OSError:
            os.close(self._read_fd)
            raise
        finally:
            os.close(write_fd)

    def finish(self) -> tuple[int, str]:
        """Wait for the end; exit status (negative: killed by that signal) and output."""
        with open(self._read_fd, "rb") as pipe:
            output = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), output.decode("utf-8", "replace").strip()


def spawn_tied(argv: "Sequence[str]", environ: "Mapping[str, str]", error_fd: int) -> int:
    """Start a program that is killed when this process ends, however it ends; its PID.

    prctl(2) PR_SET_PDEATHSIG, which posix_spawn(3) cannot set.  `error_fd` is its standard output
    and error.
    """
    from rootless.linux import signals

    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        if os.getppid() != parent:
            os._exit(127)
        null = os.open("/dev/null", os.O_RDONLY)
        for number, fd in enumerate((null, error_fd, error_fd)):
            os.dup2(fd, number)
        signals.reset_for_exec()
        os.execve(argv[0], list(argv), dict(environ))
    finally:
        os._exit(127)


def site_directories() -> str:
    """Where this interpreter has other packages than its own, with colons between: for one that
    is started without them (-I -S)."""
    found = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return os.pathsep.join(found)


def leave_caller(keep_fd: int) -> None:
    """After a fork: a session of our own, and of what our caller has open nothing but `keep_fd`."""
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    if keep_fd > 3:
        syscalls.close_range(3, keep_fd - 1)
    syscalls.close_range(keep_fd + 1, syscalls.FD_MAX)


def set_title(title: str) -> None:
    """Let ps(1) show `title` for this process, as far as the words it was started with have room.

    They may hold what is not for everybody's eyes: -e PASSWORD=… .  proc_pid_stat(5), arg_start.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return
    begin, end = int(fields[45]), int(fields[46])
    if 0 < begin < end:
        # The last byte stays null: the kernel takes another one for a title that goes on.
        syscalls.write_memory(begin, title.encode()[: end - begin - 1].ljust(end - begin, b"\0"))
    syscalls.set_name(title.partition(" ")[0])
