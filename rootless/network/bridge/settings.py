"""The options of a network, `-o KEY=VALUE` of `rl network create`.  Warm, pure.

    mtu                 of its devices; com.docker.network.driver.mtu is the same
    isolate             false: other networks with false are reached, too; true is the default
    enable_icc          false: containers reach each other by no address, only what lies outside
    enable_ip_masquerade   false: what leaves is not given the host's address, so nothing returns

The last two may have Docker's prefix, com.docker.network.bridge.
"""

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MTU_DEFAULT = 65520  # of the connection to the host; between containers nothing limits it
_MTU_MIN, _MTU_MIN6, _MTU_MAX = 68, 1280, 65535
_PREFIXES = ("com.docker.network.driver.", "com.docker.network.bridge.")
_BOOLEANS = {"isolate": True, "enable_icc": True, "enable_ip_masquerade": True}


class Settings:
    """What the options come to."""

    __slots__ = ("icc", "isolate", "masquerade", "mtu")

    def __init__(self, mtu: int, isolate: bool, icc: bool, masquerade: bool) -> None:
        self.mtu = mtu
        self.isolate = isolate
        self.icc = icc
        self.masquerade = masquerade


def parse(options: "Sequence[str]") -> "dict[str, str]":
    """Options as they are kept.  Raises UsageError for what is no KEY=VALUE."""
    found = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise UsageError(f"invalid --opt {option}", remedy="write KEY=VALUE, as mtu=1400")
        found[key] = value
    return found


def of(options: "Mapping[str, str]", *, ipv6: bool = False) -> Settings:
    """What `options` ask for.  Raises UsageError for those that rl has not."""
    mtu, flags = MTU_DEFAULT, dict(_BOOLEANS)
    for key, value in options.items():
        name = key
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if name == "mtu":
            least = _MTU_MIN6 if ipv6 else _MTU_MIN
            if not (value.isdecimal() and len(value) < 6 and least <= int(value) <= _MTU_MAX):
                raise UsageError(
                    f"invalid mtu of a network: {value}",
                    remedy=f"a number from {least} to {_MTU_MAX}",
                )
            mtu = int(value)
        elif name in flags:
            if value not in ("true", "false", "1", "0"):
                raise UsageError(f"invalid value of {key}: {value}", remedy="true or false")
            flags[name] = value in ("true", "1")
        else:
            raise UsageError(
                f"a bridge network has no option {key}",
                remedy="known are mtu, " + ", ".join(sorted(flags)),
            )
    return Settings(mtu, flags["isolate"], flags["enable_icc"], flags["enable_ip_masquerade"])
