"""Terminals: pty(7), tty_ioctl(4)."""

import fcntl
import os

TIOCSCTTY = 0x540E
TIOCGWINSZ = 0x5413
TIOCSWINSZ = 0x5414
TIOCSPTLCK = 0x40045431
TIOCGPTN = 0x80045430


def open_in_container() -> tuple[int, int]:
    """(master, terminal) from the devpts of the container that is now our root.

    The terminal is mounted on /dev/console as well, where that file is.
    """
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, TIOCSPTLCK, (0).to_bytes(4, "little"))
    number = int.from_bytes(fcntl.ioctl(master, TIOCGPTN, b"\0\0\0\0"), "little")
    path = f"/dev/pts/{number}"
    terminal = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    _mount_console(path)
    return master, terminal


def _mount_console(path: str) -> None:
    from rootless.linux import syscalls

    try:
        os.close(os.open("/dev/console", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError:
        return  # a read-only /dev of the user's own
    syscalls.mount(path, "/dev/console", None, syscalls.MS_BIND)


def open_terminal() -> tuple[int, int]:
    """(master, terminal) for a process that joins a container: as above, without a console."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, TIOCSPTLCK, (0).to_bytes(4, "little"))
    number = int.from_bytes(fcntl.ioctl(master, TIOCGPTN, b"\0\0\0\0"), "little")
    terminal = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    return master, terminal


def make_controlling(fd: int) -> None:
    """Make the terminal `fd` the controlling one of this session leader."""
    fcntl.ioctl(fd, TIOCSCTTY, 0)


def window_size(fd: int) -> bytes | None:
    """The packed struct winsize of a terminal, None when `fd` is none."""
    try:
        return fcntl.ioctl(fd, TIOCGWINSZ, b"\0" * 8)
    except OSError:
        return None


def set_window_size(fd: int, size: bytes) -> None:
    """Set what window_size() gave; the foreground job of the terminal gets SIGWINCH."""
    fcntl.ioctl(fd, TIOCSWINSZ, size)


class RawMode:
    """The terminal `fd` in raw mode, and back on exit: termios(3), cfmakeraw."""

    __slots__ = ("_fd", "_saved")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[object] = []

    def __enter__(self) -> "RawMode":
        import termios

        saved = termios.tcgetattr(self._fd)
        self._saved = list(saved)
        raw = termios.tcgetattr(self._fd)
        raw[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
            | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        raw[1] &= ~termios.OPOST
        raw[2] = (raw[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        raw[6][termios.VMIN] = 1
        raw[6][termios.VTIME] = 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, raw)
        return self

    def __exit__(self, *_: object) -> None:
        import termios

        try:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
        except termios.error:
            pass  # the terminal has hung up
