"""`rl volume export`."""

from rootless.cli.archive_output import archive_output
from rootless.context import Context
from rootless.layer import pack
from rootless.store import volume_changes


def main(ctx: Context, values: dict[str, object]) -> int:
    """Write a volume's files as a tar archive; into a file all of it or nothing."""
    document = volume_changes.find(ctx, str(values["name"]))
    directory = volume_changes.data_directory(ctx, document)
    with archive_output(str(values["output"] or ""), "export") as write:
        for chunk in pack.tar_of(ctx, directory, layer=False):
            write(chunk)
    return 0
