"""`rl push`: images to a registry, with Docker's words."""

import sys

from rootless.cli.progress import Bars, Silent
from rootless.context import Context
from rootless.errors import RlError, UsageError
from rootless.layer import export
from rootless.oci import reference
from rootless.registry import push
from rootless.store import events

_WORDS = {
    "preparing": "Preparing",
    "pushing": "Pushing",
    "exists": "Layer already exists",
    "foreign": "Skipped foreign layer",
    "pushed": "Pushed",
}


def main(ctx: Context, values: dict[str, object]) -> int:
    """Push `name`, or every tag of it with `all_tags`."""
    text = str(values["name"])
    quiet = bool(values["quiet"])
    named = reference.parse(text)
    compression = str(values["compression"] or "")
    how = export.packing(compression) if compression else export.Packing()
    if not values["all_tags"]:
        if not (named.tag or named.digest or quiet):
            print("Using default tag: latest", flush=True)
        wanted = [named]
    elif named.tag or named.digest:
        raise UsageError("tag can't be used with --all-tags/-a", remedy="leave the tag out")
    else:
        wanted = push.names_to_push(ctx, text)
    if not quiet:
        print(f"The push refers to repository [{named.name}]", flush=True)
    digests = []
    for one in wanted:
        with _display(quiet) as display:
            pushed = push.push_image(
                ctx,
                one.canonical(),
                how=how,
                platform=str(values["platform"] or ""),
                tls_verify=values["tls_verify"] is not False,
                progress=display.tell,
            )
        digests.append(pushed.digest)
        familiar = pushed.reference.familiar()
        events.record_image(ctx.paths, "push", familiar, familiar)
        if quiet:
            print(pushed.reference.canonical(), flush=True)
        else:
            tag = pushed.reference.tag
            print(f"{tag}: digest: {pushed.digest} size: {pushed.size}", flush=True)
    if values["digestfile"]:
        write_digests(str(values["digestfile"]), digests)
    return 0


def write_digests(path: str, digests: list[str]) -> None:
    """One digest, without a line feed, as podman; more of them a line each."""
    try:
        with open(path, "w") as file:
            file.write("\n".join(digests))
    except OSError as e:
        raise RlError(
            f"cannot write {path}: {e.strerror}",
            remedy="the push itself has succeeded; check the path of --digestfile",
            code="RL-OUTPUT",
        ) from e


def _display(quiet: bool) -> Silent:
    if quiet:
        return Silent()
    return Bars(_word, width=20) if sys.stdout.isatty() else _Lines()


class _Lines(Silent):
    """One line per change of a layer's phase, as Docker without a terminal."""

    def tell(self, layer: str, phase: str, done: int, total: int) -> None:
        if phase != "pushing":
            print(f"{layer}: {_word(phase)}", flush=True)


def _word(phase: str) -> str:
    kind, _, repository = phase.partition(" ")
    return f"Mounted from {repository}" if kind == "mounted" else _WORDS[kind]
