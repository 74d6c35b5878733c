"""`rl image unpublish`."""

from rootless.cli.actions import image_publish
from rootless.context import Context


def main(ctx: Context, values: dict[str, object]) -> int:
    """Take `images` out of the shared store `directory`."""
    return image_publish.main(ctx, {**values, "remove": True})
