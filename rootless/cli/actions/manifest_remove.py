"""`rl manifest remove`: images out of a manifest list."""

from typing import Any

from rootless.cli import manifest_words as words
from rootless.context import Context
from rootless.store import manifest_lists as store


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Take the members `images` out of the list `name`: all of them or none."""

    def remove(made: store.ManifestList) -> None:
        for text in values["images"]:
            made.members.remove(made.find(text))

    name = words.list_name(values["name"])
    store.change(ctx.paths, name.canonical(), remove)
    for text in values["images"]:
        print(text)
    return 0
