"""`rl pull`: images from a registry, with Docker's words."""

import sys

from rootless import log
from rootless.cli.entry import tell_unpacked
from rootless.cli.progress import Bars, Silent
from rootless.context import Context
from rootless.errors import RlError, UsageError
from rootless.oci import reference
from rootless.registry import pull
from rootless.store import events

_WORDS = {
    "waiting": "Waiting",
    "downloading": "Downloading",
    "verifying": "Verifying",
    "extracting": "Extracting",
    "exists": "Already exists",
    "done": "Pull complete",
}


def main(ctx: Context, values: dict[str, object]) -> int:
    """Pull each of `references`; of several go on after a failure, and end with 1 then."""
    names = values["references"]
    assert isinstance(names, list)
    if not names:
        raise UsageError("pull needs the name of an image", remedy="try: rl pull busybox")
    status = 0
    for name in names:
        try:
            for text in _wanted(ctx, str(name), values):
                print(fetch(ctx, text, values).reference.canonical(), flush=True)
        except RlError as e:
            if ctx.debug or len(names) == 1 or isinstance(e, UsageError):
                raise
            log.error(e.one_line())
            status = 1
    return status


def _wanted(ctx: Context, text: str, values: dict[str, object]) -> list[str]:
    """The references to pull for one argument."""
    named = reference.parse(text)
    if not values.get("all_tags"):
        if not (named.tag or named.digest) and not values.get("quiet"):
            print("Using default tag: latest", flush=True)
        return [text]
    if named.tag or named.digest:
        raise UsageError("tag can't be used with --all-tags/-a", remedy="leave the tag out")
    tags = pull.list_tags(ctx, text, tls_verify=values.get("tls_verify") is not False)
    return [f"{text}:{tag}" for tag in tags]


def fetch(ctx: Context, text: str, values: dict[str, object]) -> pull.Pulled:
    """Pull one image and show how it goes."""
    platform = values.get("platform")
    with _display(bool(values.get("quiet"))) as display:
        pulled = pull.pull_image(
            ctx,
            text,
            platform=str(platform) if platform else None,
            tls_verify=values.get("tls_verify") is not False,
            progress=display.tell,
        )
    tell_unpacked(ctx)  # before what is run of it says something
    named = pulled.reference
    events.record_image(ctx.paths, "pull", named.familiar(), named.familiar())
    if not values.get("quiet"):
        state = "Downloaded newer image for" if pulled.changed else "Image is up to date for"
        print(f"Digest: {pulled.digest}\nStatus: {state} {named.familiar()}")
    return pulled


def _display(quiet: bool) -> Silent:
    if quiet:
        return Silent()
    return Bars(_word, width=14) if sys.stdout.isatty() else _Lines()


def _word(phase: str) -> str:
    """What is shown of a layer's phase, or of the image that is pulled."""
    if phase in _WORDS:
        return _WORDS[phase]
    named = reference.parse(phase)
    return f"{named.digest or named.tag}: Pulling from {named.path}"


class _Lines(Silent):
    """One line per change of a layer's phase, as Docker without a terminal."""

    def __init__(self) -> None:
        self._phases: dict[str, str] = {}

    def tell(self, layer: str, phase: str, done: int, total: int) -> None:
        if not layer:
            print(_word(phase), flush=True)
        elif phase in ("exists", "done") and self._phases.get(layer) != phase:
            print(f"{layer}: {_word(phase)}", flush=True)
        self._phases[layer] = phase
