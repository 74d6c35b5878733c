"""`rl quadlet stop`."""

from rootless.cli import quadlets
from rootless.context import Context
from rootless.quadlet.collection import Quadlet
from rootless.runtime import user_systemd


def main(ctx: Context, values: dict[str, object]) -> int:
    """Stop quadlets, and the containers that require them."""
    installed = quadlets.Installed(ctx)

    def act(quadlet: Quadlet) -> None:
        if installed.systemd:
            user_systemd.systemctl(ctx, "stop", quadlet.service)
        else:
            installed.starter().stop(quadlet.file)

    return quadlets.for_each(quadlets.startable(installed, values, "stop"), act)
