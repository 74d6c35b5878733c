"""`rl manifest push`: a manifest list and its images to a registry."""

from typing import Any

from rootless.cli import manifest_words as words
from rootless.cli.actions.push import write_digests
from rootless.context import Context
from rootless.errors import BadReference, UsageError
from rootless.layer import export
from rootless.oci import reference
from rootless.registry import manifest_lists as remote
from rootless.store import manifest_lists as store

_FORMATS = {"": "", "oci": "oci", "v2s2": "v2s2", "docker": "v2s2"}
_DONE = {"pushed": "Pushed", "copied": "Copied", "exists": "Already there:"}


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Push the list `name` to `destination`, else where its name says; then its digest."""
    form = str(values["format"] or "")
    if form not in _FORMATS:
        raise UsageError(f"{form!r} is no kind of index", remedy="--format is oci or v2s2")
    compression = str(values["compression"] or "")
    how = export.packing(compression) if compression else export.Packing()
    name = words.list_name(values["name"])
    made = store.read(ctx.paths, name.canonical())
    text = str(values["destination"] or "").removeprefix("docker://")
    target = reference.parse(text).tagged() if text else name
    if target.digest:
        raise BadReference(
            "cannot push to a digest", remedy="give NAME:TAG; the digest is what comes out"
        )
    quiet = bool(values["quiet"])

    def tell(place: str, done: str) -> None:
        if not quiet:
            print(f"{_DONE[done]} {place}", flush=True)

    pushed = remote.push(
        ctx,
        made,
        target,
        how=how,
        form=_FORMATS[form],
        tls_verify=words.tls_verify(values),
        tell=tell,
    )
    print(pushed.digest, flush=True)
    if values["digestfile"]:
        write_digests(str(values["digestfile"]), [pushed.digest])
    if values["purge"]:
        store.remove(ctx.paths, made.name)
    return 0
