"""The rules of --egress."""

import pytest

from rootless.errors import UsageError
from rootless.network.bridge import egress


def rule(**more: object) -> dict[str, object]:
    return {"protocol": "", "address": "", "name": "", "first": 0, "last": 0, **more}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", rule(address="10.0.0.0/8")),
        ("192.0.2.1", rule(address="192.0.2.1/32")),
        ("192.0.2.1:53", rule(address="192.0.2.1/32", first=53, last=53)),
        ("udp://*:5000-5010", rule(protocol="udp", address="*", first=5000, last=5010)),
        ("2001:db8::/32", rule(address="2001:db8::/32")),
        ("tcp://[2001:db8::1]:443", rule(protocol="tcp", address="2001:db8::1/128", first=443,
                                         last=443)),
        ("*.Example.org:443", rule(name="*.example.org", first=443, last=443)),
        ("example.org.", rule(name="example.org")),
    ],
)  # fmt: skip
def test_rules(text: str, expected: dict[str, object]) -> None:
    assert egress.parse([f"allow={text}"])["rules"] == [expected]


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (["some"], "invalid --egress some"),
        (["none", "allow=a.org"], "none and allow at once"),
        (["allow="], "without a rule"),
        (["allow=a.org:0"], "a port is"),
        (["allow=a.org:"], "no port behind"),
        (["allow=a.org:9-8"], "above the last"),
        (["allow=10.0.0.0/33"], "there is no network"),
        (["allow=icmp://a.org"], "tcp or udp"),
        (["allow=[::1:80"], "the ] is missing"),
        (["allow=a..org"], "neither an address nor a name"),
        (["allow=*.*.org"], "neither an address nor a name"),
    ],
)
def test_bad_rules(given: list[str], match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        egress.parse(given)
    assert caught.value.remedy


def test_several_words_hold_together() -> None:
    found = egress.parse(["allow=a.org", "allow=b.org", "lan-off", "log"])
    assert (found["mode"], found["lan"], found["log"]) == ("allow", False, True)
    assert [one["name"] for one in found["rules"]] == ["a.org", "b.org"]
    assert egress.parse([]) == {}
    assert egress.parse(["log"])["mode"] == "all"


def test_which_names_may_be_asked_for() -> None:
    allow = egress.parse(["allow=*.example.org:443,plain.org"])
    for name, expected in (("a.example.org", True), ("a.b.example.org", True), ("plain.org", True),
                           ("example.org", False), ("notexample.org", False), ("evil.com", False),
                           ("x.plain.org", False)):  # fmt: skip
        assert egress.may_ask(allow, name) is expected, name
    assert egress.may_ask(egress.parse(["allow=10.0.0.0/8"]), "any.org")
    assert not egress.may_ask(egress.parse(["none"]), "any.org")
    assert egress.may_ask(egress.parse(["lan-off"]), "any.org")
    assert egress.may_ask({}, "any.org")
