"""signal(7) by `_signal`, the C module: signal.py makes enumerations, which cost 4 ms of import."""

import _signal  # type: ignore[import-not-found]  # no stub has it

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGTERM, SIGSTOP = 1, 2, 3, 9, 15, 19
SIGPIPE, SIGCHLD, SIGWINCH, SIGXFSZ = 13, 17, 28, 25
SIGTTIN, SIGTTOU, SIGTSTP, SIGURG = 21, 22, 20, 23

# What `rl run` passes on: all that a program may catch and that isn't about rl's own children,
# its terminal (SIGWINCH becomes a new window size) or its own faults.
FORWARDED = (1, 2, 3, 10, 12, 14, 15, 16, 18, 29, 30)


def handle(numbers: "Iterable[int]", handler: "Callable[[int, object], object]") -> None:
    """Call `handler(number, frame)` for each of these signals."""
    for number in numbers:
        _signal.signal(number, handler)


def wake(fd: int) -> None:
    """Write a byte to the non-blocking `fd` on each handled signal, so that poll(2) returns."""
    _signal.set_wakeup_fd(fd, warn_on_full_buffer=False)


def ignore(number: int) -> None:
    _signal.signal(number, _signal.SIG_IGN)


def block_all() -> None:
    """Hold back every signal that can be held back."""
    # Not those that glibc keeps for itself (32, 33): Python would warn of them.
    _signal.pthread_sigmask(_signal.SIG_SETMASK, _signal.valid_signals())


def reset_for_exec() -> None:
    """Default actions and an empty mask.

    An ignored signal survives exec: Python ignores two, the supervisor and nohup(1) others.
    """
    for number in range(1, 32):
        if number not in (SIGKILL, SIGSTOP):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def restore(numbers: "Iterable[int]") -> None:
    """Give these signals Python's own actions back."""
    for number in numbers:
        default = _signal.default_int_handler if number == SIGINT else _signal.SIG_DFL
        _signal.signal(number, default)
