"""What a container, or all on a network, may reach outside: --egress.  Pure.

    {"mode": "all" | "none" | "allow", "lan": bool, "log": bool, "rules": [RULE, ...]}
    RULE  {"protocol": "" | "tcp" | "udp", "address": "10.0.0.0/8" or "", "name": "example.org",
           "*.example.org" or "", "first": port, "last": port}, ports 0 for every one

It is about what leaves the container's networks; its neighbours there are reached in any case.
"""

from rootless.errors import UsageError
from rootless.network.stack.addresses import packed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Document = dict[str, Any]

# Private, shared, link-local: RFC 1918, 6598, 3927, 4193, 4291; beside what the host is on.
LAN = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
    "fc00::/7", "fe80::/10", "fec0::/10",
)  # fmt: skip
_FORM = "as 10.1.0.0/16:443, example.org:443, *.example.org, udp://192.0.2.1:53, [fd00::/8]:80-90"


def parse(values: "Sequence[str]") -> "Document":
    """The policy of all --egress, {} for none.  Raises UsageError."""
    if not values:
        return {}
    modes: list[str] = []
    rules: list[Document] = []
    lan, log = True, False
    for value in values:
        word, equals, rest = value.partition("=")
        if word == "allow" and equals:
            rules += [_rule(one) for one in rest.split(",") if one]
            if not rules:
                raise UsageError("--egress allow= without a rule", remedy=_FORM)
            modes.append("allow")
        elif value == "lan-off":
            lan = False
        elif value == "log":
            log = True
        elif value in ("none", "all"):
            modes.append(value)
        else:
            raise UsageError(
                f"invalid --egress {value}",
                remedy="it is none, all, lan-off, log, or allow=RULE,…; all but the first two "
                "can be given together",
            )
    if len(set(modes)) > 1:
        raise UsageError(
            f"--egress {' and '.join(dict.fromkeys(modes))} at once", remedy="give one of them"
        )
    return {"mode": modes[0] if modes else "all", "lan": lan, "log": log, "rules": rules}


def _rule(text: str) -> "Document":
    protocol, scheme, rest = text.rpartition("://")
    if protocol not in ("", "tcp", "udp") or (scheme and not protocol):
        raise _bad(text, "the protocol is tcp or udp")
    if rest.startswith("["):
        target, bracket, ports = rest[1:].partition("]")
        if not bracket or (ports and not ports.startswith(":")):
            raise _bad(text, "the ] is missing")
        ports = ports[1:]
    elif rest.count(":") > 1:
        target, ports = rest, ""
    else:
        target, colon, ports = rest.partition(":")
        if colon and not ports:
            raise _bad(text, "there is no port behind the colon")
    first, last = _ports(text, ports)
    rule: Document = {"protocol": protocol, "address": "", "name": "", "first": first, "last": last}
    address, slash, bits = target.partition("/")
    if _is_address(address):
        most = 128 if ":" in address else 32
        if slash and not (bits.isdecimal() and int(bits) <= most):
            raise _bad(text, f"there is no network {target}")
        rule["address"] = f"{address}/{bits or most}"
    elif target == "*":
        rule["address"] = "*"
    elif _is_name(target):
        rule["name"] = target.lower().rstrip(".")
    else:
        raise _bad(text, "it is neither an address nor a name")
    return rule


def _ports(text: str, ports: str) -> tuple[int, int]:
    if not ports:
        return 0, 0
    first, dash, last = ports.partition("-")
    for one in (first, last) if dash else (first,):
        if not (one.isdecimal() and len(one) < 6 and 0 < int(one) < 65536):
            raise _bad(text, "a port is a number from 1 to 65535")
    low, high = int(first), int(last or first)
    if low > high:
        raise _bad(text, "the first port is above the last")
    return low, high


def _is_address(text: str) -> bool:
    try:
        packed(text)
    except OSError:
        return False
    return True


def _is_name(text: str) -> bool:
    name = text.removeprefix("*.").rstrip(".")
    labels = name.split(".")
    return len(name) < 254 and all(
        one and len(one) < 64 and all(c.isascii() and (c.isalnum() or c in "-_") for c in one)
        for one in labels
    )


def _bad(text: str, why: str) -> UsageError:
    return UsageError(f"invalid rule of --egress: {text}: {why}", remedy=_FORM)


def matches(rule: "Document", name: str) -> bool:
    """Whether the name (lower case, without the last dot) is one of the rule's."""
    wanted = str(rule["name"])
    if wanted.startswith("*."):
        return name.endswith(wanted[1:])
    return bool(wanted) and name == wanted


def may_ask(policy: "Document", name: str) -> bool:
    """Whether a name that is not ours may be looked up: not where that alone would carry
    something out.  Where addresses are allowed, names have to be found for them."""
    if not policy or policy["mode"] == "all":
        return True
    if policy["mode"] == "none":
        return False
    return any(one["address"] or matches(one, name) for one in policy["rules"])
