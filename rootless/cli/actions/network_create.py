"""`rl network create`."""

from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.network.bridge import definition, egress
from rootless.runtime.options_environment import labels, read_file
from rootless.runtime.options_text import texts
from rootless.store import layout


def main(ctx: Context, values: dict[str, object]) -> int:
    """Make a network and print its ID."""
    if values["driver"] not in ("", "bridge"):
        raise UsageError(
            f"cannot make a network with the driver {values['driver']}: without root the only one "
            "is bridge",
            remedy="leave --driver out",
        )
    if values["ipam_driver"] not in ("", "default", "host-local"):
        raise UsageError(
            f"cannot have addresses from the driver {values['ipam_driver']}: plugins run as root",
            remedy="leave --ipam-driver out",
        )
    asked = definition.check(
        str(values["name"]),
        subnets=_words(values, "subnet"),
        gateways=_words(values, "gateway"),
        ranges=_words(values, "ip_range"),
        aux=texts(values, "aux_address"),
        flags={
            "internal": bool(values["internal"]),
            "ipv4": bool(values["ipv4"]),
            "ipv6": bool(values["ipv6"]),
            "dns": not values["disable_dns"],
        },
        labels=labels(texts(values, "label"), [], read_file),
        options=texts(values, "opt"),
    )
    asked["egress"] = egress.parse(texts(values, "egress"))
    layout.prepare(ctx.paths)
    made = definition.create(ctx.paths, asked, ignore=bool(values["ignore"]))
    write(f"{made['id']}\n")
    return 0


def _words(values: dict[str, object], key: str) -> list[str]:
    """Several values may be in one, with commas between, as Docker has it."""
    return [word for one in texts(values, key) for word in one.split(",") if word]
