"""`rl rmi`: untag and remove images."""

from rootless import log
from rootless.context import Context
from rootless.errors import RlError
from rootless.store import events, image_changes


def main(ctx: Context, values: dict[str, object]) -> int:
    """Remove each of `images`; go on after a failure, and end with 1 then.

    With `force` an image that does not exist is told, and no failure: as Docker.
    """
    status = 0
    force = bool(values.get("force"))
    names = values["images"]
    assert isinstance(names, list)
    for name in names:
        try:
            done = image_changes.remove(
                ctx, str(name), force=force, prune=not values.get("no_prune")
            )
        except RlError as e:
            if ctx.debug:
                raise
            log.error(e.one_line())
            if not (force and e.code == "RL-IMAGE-NOT-FOUND"):
                status = 1
            continue
        for verb, what in done:
            print(f"{verb}: {what}")
            events.record_image(ctx.paths, "delete" if verb == "Deleted" else "untag", what)
    return status
