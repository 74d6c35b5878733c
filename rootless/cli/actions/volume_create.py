"""`rl volume create`."""

from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.runtime.options_environment import labels, read_file
from rootless.runtime.options_mounts import check_volume_name
from rootless.runtime.options_text import texts
from rootless.runtime.volume_options import parse_options
from rootless.store import volume_changes


def main(ctx: Context, values: dict[str, object]) -> int:
    """Make a volume and print its name."""
    name = str(values["name"] or "")
    if name:
        check_volume_name(name)
    if values["driver"] not in ("", "local"):
        raise UsageError(
            f"there is no volume driver {values['driver']}: plugins run as root",
            remedy="leave --driver out",
        )
    given = labels(texts(values, "label"), [], read_file)
    made = volume_changes.create(ctx, name, given, parse_options(texts(values, "opt")))
    write(f"{made}\n")
    return 0
