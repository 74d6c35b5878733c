"""How layers go to and from a registry: a bar per layer, for pull and push."""

import sys
from typing import TYPE_CHECKING

from rootless import log

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.progress import TaskID


class Silent:
    """Shows nothing; what the other displays are made of."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        pass

    def tell(self, layer: str, phase: str, done: int, total: int) -> None:
        """Take an event: bytes `done` of `total`; a `layer` of "" is about the whole image."""


class Bars(Silent):
    """A bar per layer on standard output.  rich costs 100 ms: it is imported only here.

    `word` is what is shown of a phase, in a column of `width` characters; of a phase of the whole
    image, above the bars.
    """

    def __init__(self, word: "Callable[[str], str]", *, width: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        self._word = word
        self._progress: Progress = Progress(
            TextColumn(f"{{task.fields[layer]}}: {{task.description:<{width}}}", markup=False),
            BarColumn(bar_width=30),
            DownloadColumn(),
            console=Console(file=sys.stdout, highlight=False),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        self._progress.stop()

    def tell(self, layer: str, phase: str, done: int, total: int) -> None:
        if not layer:
            self._progress.console.print(log.printable(self._word(phase)), markup=False)
            return
        if layer not in self._tasks:
            self._tasks[layer] = self._progress.add_task("", total=total or None, layer=layer)
        self._progress.update(
            self._tasks[layer], description=self._word(phase), completed=done, total=total or None
        )
