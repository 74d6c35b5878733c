"""`rl network connect`."""

from rootless.context import Context
from rootless.runtime import connecting
from rootless.runtime.options_network import parse_networks
from rootless.runtime.options_text import text, texts


def main(ctx: Context, values: dict[str, object]) -> int:
    """Put a container on a network."""
    network, container = connecting.find(ctx, str(values["network"]), str(values["container"]))
    name = str(network["name"])
    wanted = parse_networks(
        [name], texts(values, "alias"), text(values, "ip"), text(values, "ip6"),
        text(values, "mac_address"),
    )[2][name]  # fmt: skip
    connecting.connect(ctx, network, container, wanted)
    return 0
