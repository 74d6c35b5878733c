"""`rl pull`: images from a registry, with Docker's words."""

import sys
from typing import TYPE_CHECKING

from rootless import log
from rootless.context import Context
from rootless.errors import UsageError
from rootless.oci import reference
from rootless.registry import pull

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID

_WORDS = {
    "waiting": "Waiting",
    "downloading": "Downloading",
    "verifying": "Verifying",
    "extracting": "Extracting",
    "exists": "Already exists",
    "done": "Pull complete",
}


def main(ctx: Context, values: dict[str, object]) -> int:
    """Pull each of `references`."""
    names = values["references"]
    assert isinstance(names, list)
    if not names:
        raise UsageError("pull needs the name of an image", remedy="try: rl pull busybox")
    for name in names:
        for text in _wanted(ctx, str(name), values):
            print(fetch(ctx, text, values))
    return 0


def _wanted(ctx: Context, text: str, values: dict[str, object]) -> list[str]:
    """The references to pull for one argument."""
    named = reference.parse(text)
    if not values.get("all_tags"):
        if not (named.tag or named.digest) and not values.get("quiet"):
            print("Using default tag: latest")
        return [text]
    if named.tag or named.digest:
        raise UsageError("tag can't be used with --all-tags/-a", remedy="leave the tag out")
    tags = pull.list_tags(ctx, text, tls_verify=values.get("tls_verify") is not False)
    return [named.with_tag(tag).canonical() for tag in tags]


def fetch(ctx: Context, text: str, values: dict[str, object]) -> str:
    """Pull one image and show how it goes; its canonical name."""
    named = reference.parse(text).tagged()
    platform = values.get("platform")
    with _display(named, bool(values.get("quiet"))) as display:
        pulled = pull.pull_image(
            ctx,
            text,
            platform=str(platform) if platform else None,
            tls_verify=values.get("tls_verify") is not False,
            progress=display.tell,
        )
    if not values.get("quiet"):
        state = "Downloaded newer image for" if pulled.changed else "Image is up to date for"
        print(f"Digest: {pulled.digest}\nStatus: {state} {named.familiar()}")
    return named.canonical()


def _display(named: reference.Reference, quiet: bool) -> "_Quiet":
    if quiet:
        return _Quiet(named)
    if sys.stdout.isatty():
        return _Bars(named)
    return _Lines(named)


class _Quiet:
    """Shows nothing."""

    def __init__(self, named: reference.Reference) -> None:
        self.named = named

    def __enter__(self) -> "_Quiet":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        value: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        pass

    def tell(self, layer: str, phase: str, done: int, total: int) -> None:
        """Take an event of registry/pull.py."""

    def title(self) -> str:
        return f"{self.named.digest or self.named.tag}: Pulling from {self.named.path}"


class _Lines(_Quiet):
    """One line per change of a layer's phase, as Docker without a terminal."""

    def __init__(self, named: reference.Reference) -> None:
        super().__init__(named)
        self._phases: dict[str, str] = {}

    def tell(self, layer: str, phase: str, done: int, total: int) -> None:
        if not layer:
            print(self.title(), flush=True)
        elif phase in ("exists", "done") and self._phases.get(layer) != phase:
            print(f"{layer}: {_WORDS[phase]}", flush=True)
        self._phases[layer] = phase


class _Bars(_Quiet):
    """A bar per layer.  rich costs 100 ms: it is imported only here."""

    def __init__(self, named: reference.Reference) -> None:
        super().__init__(named)
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        self._progress: Progress = Progress(
            TextColumn("{task.fields[layer]}: {task.description:<14}", markup=False),
            BarColumn(bar_width=30),
            DownloadColumn(),
            console=Console(file=sys.stdout, highlight=False),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Bars":
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
            self._progress.console.print(log.printable(self.title()), markup=False)
            return
        if layer not in self._tasks:
            self._tasks[layer] = self._progress.add_task("", total=total or None, layer=layer)
        self._progress.update(
            self._tasks[layer], description=_WORDS[phase], completed=done, total=total or None
        )
