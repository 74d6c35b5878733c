"""`rl manifest annotate`: what a member of a list is made for."""

from typing import Any

from rootless.cli import manifest_words as words
from rootless.context import Context
from rootless.errors import UsageError
from rootless.store import manifest_lists as store


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Change the platform and annotations of the member `image`, or annotate the `index`."""
    name = words.list_name(values["name"]).canonical()
    changes = words.Changes.of(values)
    if values["index"]:
        if values["image"] or changes.platform:
            raise UsageError(
                "--index is about the list, not about one of its images",
                remedy="give --annotation with it, and nothing else",
            )
    elif not values["image"]:
        raise UsageError("IMAGE is missing", remedy="give a member's name or digest, or --index")
    if not (changes.platform or changes.annotations):
        raise UsageError("nothing to change was given", remedy="see rl manifest annotate --help")

    def annotate(made: store.ManifestList) -> None:
        if values["index"]:
            made.annotations.update(changes.annotations)
        else:
            changes.apply(made.find(str(values["image"])))

    store.change(ctx.paths, name, annotate)
    return 0
