"""The loop of a network: epoll(7), and what has to be gone on with."""

import os
import select

from rootless.linux import rlimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IN, OUT, ERR, HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLERR, select.EPOLLHUP
REST_S = 0.1  # of a listener, when there are no descriptors left
_ROUNDS = 32  # before whoever runs us has others look after


class Loop:
    """Handlers of descriptors.  It is itself a descriptor, readable when step() has work, so that
    it runs inside of another loop.  `call_after(seconds, action)` is that loop's."""

    def __init__(self, call_after: "Callable[[float, Callable[[], None]], None]") -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._soon: list[Callable[[], None]] = []
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake_fd, IN)
        self.call_after = call_after
        # Two descriptors for each connection: as many as there may be.
        self._former_limit = rlimit.get("nofile")
        rlimit.set_limit("nofile", self._former_limit[1], self._former_limit[1])

    def fileno(self) -> int:
        return self._epoll.fileno()

    def watch(self, fd: int, handler: "Callable[[int], None]", events: int) -> None:
        """Call `handler(events)` when `fd` is ready."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def change(self, fd: int, handler: "Callable[[int], None]", events: int) -> None:
        """As watch(), for a descriptor that is watched."""
        self._epoll.modify(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Stop watching `fd`, which is open still."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def soon(self, action: "Callable[[], None]") -> None:
        """Call `action()` after the others have had their turn."""
        self._soon.append(action)

    def step(self) -> None:
        """Do what there is to do, for a while; doesn't wait."""
        handlers = self._handlers
        for _ in range(_ROUNDS):
            ready = self._epoll.poll(0)
            if not ready and not self._soon:
                return
            actions, self._soon = self._soon, []
            for fd, events in ready:
                handler = handlers.get(fd)
                if handler is not None:
                    handler(events)
                elif fd == self._wake_fd:
                    os.eventfd_read(fd)
            for action in actions:
                action()
        if self._soon:
            os.eventfd_write(self._wake_fd, 1)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._wake_fd)
        rlimit.set_limit("nofile", *self._former_limit)  # the container's next run inherits it
