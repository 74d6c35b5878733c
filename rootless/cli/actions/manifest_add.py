"""`rl manifest add`: images into a manifest list."""

from typing import Any

from rootless.cli import manifest_words as words
from rootless.context import Context
from rootless.errors import UsageError
from rootless.registry import manifest_lists as remote
from rootless.store import manifest_lists as store


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Add `images` to the list `name`, and say what they are made for, if that is given."""
    name = words.list_name(values["name"]).canonical()
    store.read(ctx.paths, name)  # there, before anything is fetched
    changes = words.Changes.of(values)
    found = [
        member
        for text in values["images"]
        for member in remote.members(
            ctx, text, every=bool(values["all"]), tls_verify=words.tls_verify(values)
        )
    ]
    if changes.platform and len(found) > 1:
        raise UsageError(
            f"{len(found)} images cannot all be made for the same",
            remedy="add them one by one, or without --arch, --os and --variant",
        )
    for member in found:
        changes.apply(member)

    def add(made: store.ManifestList) -> None:
        for member in found:
            made.add(member)

    store.change(ctx.paths, name, add)
    for member in found:
        print(member.digest)
    return 0
