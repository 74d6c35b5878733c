"""Where the time of unpacking goes, for RL_DEBUG=timing."""

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


class Spent:
    """The time that one thread spends in functions, each without those that it calls.

    `seconds` is by name.  A Spent that is not `on` leaves the functions as they are.
    """

    def __init__(self, *, on: bool) -> None:
        self.seconds: dict[str, float] = {}
        self._on = on
        self._inner = 0.0  # seconds in functions called by the current one

    def timed(self, name: str, function: "Callable[P, R]") -> "Callable[P, R]":
        """`function`, with what it takes counted as `name`."""
        if not self._on:
            return function
        self.seconds[name] = 0.0

        def call(*args: "P.args", **kwargs: "P.kwargs") -> "R":
            outer, self._inner = self._inner, 0.0
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - start
                self.seconds[name] += took - self._inner
                self._inner = outer + took

        return call


class Timed:
    """A source of bytes that does more than to get them."""

    def time(self, spent: Spent) -> None:
        """Have what it does counted: "hash" for the digest of the blob, "write" for its file."""
        raise NotImplementedError
