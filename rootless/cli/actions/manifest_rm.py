"""`rl manifest rm`: manifest lists forgotten."""

from typing import Any

from rootless import log
from rootless.cli import manifest_words as words
from rootless.context import Context
from rootless.errors import RlError
from rootless.store import manifest_lists as store


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Remove each list of `names`; one that is not there does not keep the others."""
    status = 0
    for text in values["names"]:
        try:
            name = words.list_name(text)
            store.remove(ctx.paths, name.canonical())
            print(f"Removed manifest list {name.canonical()}", flush=True)
        except RlError as e:
            log.error(e.one_line())
            status = 1
    return status
