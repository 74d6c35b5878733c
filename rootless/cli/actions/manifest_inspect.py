"""`rl manifest inspect`: a manifest list of the store, or what a registry has."""

import json
from typing import Any

from rootless.cli import manifest_words as words
from rootless.cli.output import write
from rootless.context import Context
from rootless.oci import reference
from rootless.registry import manifest_lists as remote
from rootless.store import blobs
from rootless.store import manifest_lists as store


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Show the list `name`, or its member `image`, or else the image's manifest; with `verbose`
    the manifests that are listed, as Docker does."""
    text = str(values["name"])
    tls_verify = words.tls_verify(values)
    if values["image"]:
        made = store.read(ctx.paths, words.list_name(text).canonical())
        member = made.find(str(values["image"]))
        found = _member(ctx, member, tls_verify)
        if values["verbose"]:
            _show(_described(member, found))
        else:
            _show(json.loads(found.data))
        return 0
    name = "" if text.startswith("docker://") else reference.parse(text).tagged().canonical()
    if name and store.exists(ctx.paths, name):
        made = store.read(ctx.paths, name)
        if values["verbose"]:
            _show([_described(one, _member(ctx, one, tls_verify)) for one in made.members])
        else:
            _show(json.loads(made.index()[1]))
        return 0
    found = remote.inspect(ctx, text, tls_verify=tls_verify)
    if values["verbose"]:
        _show(remote.details(ctx, text, found, tls_verify=tls_verify))
    else:
        _show(json.loads(found.data))
    return 0


def _member(ctx: Context, member: store.Member, tls_verify: bool) -> remote.Raw:
    if member.image:
        kind = str(member.descriptor.get("mediaType"))
        return remote.Raw(kind, blobs.read(ctx.paths, member.digest))
    named = reference.parse(member.reference)
    text = f"{named.name}@{member.digest}"
    return remote.inspect(ctx, text, tls_verify=tls_verify)


def _described(member: store.Member, found: remote.Raw) -> dict[str, Any]:
    name = f"{member.reference}@{member.digest}" if member.reference else member.digest
    return remote.detail(name, member.descriptor, found)


def _show(document: object) -> None:
    write(json.dumps(document, indent=3, ensure_ascii=False) + "\n")
