"""`rl manifest create`: a manifest list begun."""

from typing import Any

from rootless.cli import manifest_words as words
from rootless.context import Context
from rootless.registry import manifest_lists as remote
from rootless.store import layout
from rootless.store import manifest_lists as store


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Make the list `name` of `images`, or add them to it with `amend`."""
    name = words.list_name(values["name"])
    made = store.ManifestList(name.canonical(), words.annotations(values["annotation"]))
    layout.prepare(ctx.paths)
    if not values["amend"] and store.exists(ctx.paths, made.name):
        store.create(ctx.paths, made, amend=False)  # says so before anything is fetched
    for text in values["images"]:
        for member in remote.members(
            ctx, text, every=bool(values["all"]), tls_verify=words.tls_verify(values)
        ):
            made.add(member)
    store.create(ctx.paths, made, amend=bool(values["amend"]))
    print(f"Created manifest list {name.canonical()}")
    return 0
