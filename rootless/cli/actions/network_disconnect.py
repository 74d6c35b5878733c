"""`rl network disconnect`."""

from rootless.context import Context
from rootless.errors import NetworkError
from rootless.runtime import connecting


def main(ctx: Context, values: dict[str, object]) -> int:
    """Take a container off a network."""
    network, container = connecting.find(ctx, str(values["network"]), str(values["container"]))
    try:
        connecting.disconnect(ctx, network, container)
    except NetworkError as e:
        if not (values["force"] and e.code == "RL-NETWORK-CONNECTED"):
            raise
    return 0
