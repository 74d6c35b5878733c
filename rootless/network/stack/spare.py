"""Sockets of another network namespace, made in advance: whoever needs one doesn't wait for a
fork."""

import _socket
import os
import time

from rootless.linux import channel as channels
from rootless.network.stack.loop import IN, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Maker(Protocol):
        """Who can have sockets made; the PID of who makes them, and where they come."""

        def ask_for_sockets(
            self, family: int, kind: int, count: int
        ) -> tuple[int, channels.Channel]: ...

    Taker = Callable[[_socket.socket | None], None]

_FIRST, _MOST = 8, 253
_FAST_S, _SLOW_S = 1.0, 30.0  # between batches
WAITING_MAX = 1 << 14  # each is a client with a descriptor: their limit is the real one


def ask_child(make: "Callable[[], list[_socket.socket]]") -> "tuple[int, channels.Channel]":
    """Have a child make sockets and send them; doesn't wait.  For a Maker."""

    def send(theirs: channels.Channel) -> None:
        made = make()
        theirs.send("sockets", fds=[one.fileno() for one in made])

    return start_child(send)


def start_child(work: "Callable[[channels.Channel], None]") -> "tuple[int, channels.Channel]":
    """A child that does `work` with its end of a channel, and ours.  Raises OSError."""
    ours, theirs = channels.pair()
    try:
        child = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if child == 0:
        try:
            work(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return child, ours


class Spare:
    """Non-blocking sockets of one family and kind.

    They come in batches, each of them twice as large as the one before while they go fast.
    """

    def __init__(self, loop: Loop, maker: "Maker", family: int, kind: int) -> None:
        self._loop = loop
        self._maker = maker
        self._family = family
        self._kind = kind | _socket.SOCK_NONBLOCK
        self._asked_at = 0.0
        self._ready: list[_socket.socket] = []
        self._waiting: list[Taker] = []
        self._batch = _FIRST
        self._asked: tuple[int, channels.Channel] | None = None

    def take(self, taker: "Taker") -> None:
        """Give `taker` a socket, now or soon; None where there is none to be had."""
        if self._ready:
            sock = self._ready.pop()
            if len(self._ready) < self._batch // 4:
                self.refill()
            taker(sock)
        elif len(self._waiting) < WAITING_MAX:
            self._waiting.append(taker)
            self.refill()
        else:
            taker(None)

    def refill(self) -> None:
        """Have a batch made, unless one is on its way."""
        if self._asked is None:
            now = time.monotonic()
            if now - self._asked_at < _FAST_S:
                self._batch = min(2 * self._batch, _MOST)
            elif now - self._asked_at > _SLOW_S:
                self._batch = max(self._batch // 2, _FIRST)
            self._asked_at = now
            try:
                self._asked = self._maker.ask_for_sockets(self._family, self._kind, self._batch)
            except OSError:
                self._give_up()
                return
            self._loop.watch(self._asked[1].fileno(), self._on_sockets, IN)

    def _on_sockets(self, _events: int) -> None:
        assert self._asked is not None
        child, channel = self._asked
        _, _, fds = channel.receive()
        self._loop.forget(channel.fileno())
        channel.close()
        os.waitpid(child, 0)
        self._asked = None
        self._ready += [_socket.socket(self._family, self._kind, 0, fd) for fd in fds]
        if not fds:
            self._give_up()
            return
        waiting, self._waiting = self._waiting, []
        for taker in waiting:
            self.take(taker)

    def _give_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for taker in waiting:
            taker(None)

    def close(self) -> None:
        if self._asked is not None:
            child, channel = self._asked
            self._loop.forget(channel.fileno())
            channel.close()
            os.waitpid(child, 0)
            self._asked = None
        for sock in self._ready:
            sock.close()
        self._ready = []
        self._give_up()
