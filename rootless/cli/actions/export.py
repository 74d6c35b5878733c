"""`rl export`: a container's root file system as a tar archive."""

from typing import TYPE_CHECKING

from rootless.cli.actions import several
from rootless.cli.archive_output import archive_output
from rootless.context import Context
from rootless.layer.archive import Writer
from rootless.layer.tarwriter import END
from rootless.runtime import container_root
from rootless.store import events

if TYPE_CHECKING:
    from rootless.linux import mount


def main(ctx: Context, values: dict[str, object]) -> int:
    """Write the whole file system, of what is mounted in it only the empty places."""
    container = several.find(ctx, str(values["container"]))
    config = container.runtime_config()
    mounted = {str(entry["destination"]) for entry in config["mounts"]}
    with archive_output(str(values["output"] or ""), "export") as write:

        def work(roots: "list[mount.Root]") -> object:
            writer = Writer(write, layer=False, hollow=mounted)
            writer.tree(container_root.readable(roots[0]))
            write(END)
            return None

        container_root.work(ctx, [container], work, volumes=False)
    events.record_container(ctx.paths, container, "export")
    return 0
