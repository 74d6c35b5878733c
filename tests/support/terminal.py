"""A program on a pseudoterminal, for tests that type and look."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time


class Terminal:
    """A child with a controlling terminal of its own.

    `expect` waits for a pattern in what comes out and consumes up to its end; `send` types.
    """

    def __init__(
        self, argv: list[str], env: dict[str, str], *, rows: int = 24, columns: int = 80
    ) -> None:
        self._master, slave = pty.openpty()
        self.resize(rows, columns, notify=False)
        initial = list(termios.tcgetattr(slave))  # as `settings` gives them

        def take_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.child = subprocess.Popen(
            argv,
            env=env,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        self.initial = initial
        self._slave = slave  # kept open: a read of the master then never fails with EIO
        self.seen = ""  # everything that came out, for messages of failed tests
        self._waiting = ""

    def send(self, text: str) -> None:
        """Type `text` ("\\x03" is Ctrl-C)."""
        os.write(self._master, text.encode())

    def resize(self, rows: int, columns: int, *, notify: bool = True) -> None:
        """Change the window size, as a terminal emulator does."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if notify:  # the kernel signals the foreground process group by itself
            os.kill(self.child.pid, signal.SIGWINCH)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, timeout_s))[0]:
            return False
        text = os.read(self._master, 65536).decode(errors="replace")
        self.seen += text
        self._waiting += text
        return True

    def expect(self, pattern: str, timeout_s: float = 15) -> str:
        """Wait for the regular expression; return what came up to its end."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(pattern, self._waiting)
            if found:
                text, self._waiting = (
                    self._waiting[: found.end()],
                    self._waiting[found.end() :],
                )
                return text
            if not self._read(min(0.2, deadline - time.monotonic())):
                ended = self.child.poll()
                if time.monotonic() > deadline or (ended is not None and not self._read(0.1)):
                    raise AssertionError(
                        f"{pattern!r} did not come (program's status: {ended}); seen:\n{self.seen}"
                    )

    def wait(self, timeout_s: float = 15) -> int:
        """Wait until the program has ended, reading all that comes; its status as a shell's."""
        deadline = time.monotonic() + timeout_s
        while self.child.poll() is None:
            self._read(0.05)
            if time.monotonic() > deadline:
                raise AssertionError(f"the program has not ended; seen:\n{self.seen}")
        while self._read(0.05):
            pass
        status = self.child.returncode
        return status if status >= 0 else 128 - status

    def settings(self) -> list[object]:
        """The terminal's attributes as tcgetattr(3) gives them."""
        return list(termios.tcgetattr(self._slave))

    def echoes(self) -> bool:
        """Whether what is typed is shown."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def close(self) -> None:
        """End the program if it still runs, and close the terminal."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self._slave)
        os.close(self._master)
