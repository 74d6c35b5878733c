"""`rl quadlet start`."""

from rootless.cli import quadlets
from rootless.context import Context
from rootless.quadlet.collection import Quadlet
from rootless.runtime import user_systemd


def main(ctx: Context, values: dict[str, object]) -> int:
    """Start quadlets, by systemd where it is, else by rl itself."""
    installed = quadlets.Installed(ctx)

    def act(quadlet: Quadlet) -> None:
        if installed.systemd:
            user_systemd.systemctl(ctx, "start", quadlet.service)
        else:
            installed.starter().start(quadlet.file)

    return quadlets.for_each(quadlets.startable(installed, values, "start"), act)
