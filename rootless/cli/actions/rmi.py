"""`rl rmi`: untag and remove images."""

from rootless import log
from rootless.context import Context
from rootless.errors import RlError
from rootless.store import image_changes


def main(ctx: Context, values: dict[str, object]) -> int:
    """Remove each of `images`; go on after a failure, as Docker, and end with 1 then."""
    status = 0
    names = values["images"]
    assert isinstance(names, list)
    for name in names:
        try:
            done = image_changes.remove(ctx, str(name), force=bool(values.get("force")))
        except RlError as e:
            if ctx.debug:
                raise
            log.error(e.one_line())
            status = 1
            continue
        for verb, what in done:
            print(f"{verb}: {what}")
    return status
