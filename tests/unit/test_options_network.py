"""Networks, hosts, name servers and the modes of namespaces."""

import pytest

from rootless.errors import UsageError
from rootless.runtime import options_network as network
from rootless.runtime.options import RunOptions


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ("", [])),
        ("bridge", ("", [])),
        ("default", ("", [])),
        ("private", ("", [])),
        ("none", ("none", [])),
        ("host", ("host", [])),
        ("pasta", ("pasta", [])),
        ("pasta:-T,80", ("pasta", ["-T", "80"])),
        ("slirp4netns:mtu=9,cidr=10.1.0.0/24", ("slirp4netns", ["mtu=9", "cidr=10.1.0.0/24"])),
    ],
)
def test_network(value, expected):
    assert network.parse_network(value) == expected


@pytest.mark.parametrize(
    ("value", "match", "code"),
    [
        ("mynet", "steps of a build have no networks with names", "RL-NOT-YET"),
        ("container:", "invalid --network container:", "RL-USAGE"),
        ("host:x", "takes no options", "RL-USAGE"),
        ("slirp4netns:foo=1", "unknown option of slirp4netns", "RL-USAGE"),
    ],
)
def test_bad_network(value, match, code):
    with pytest.raises(UsageError, match=match) as caught:
        network.parse_network(value)
    assert caught.value.code == code
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("db:10.0.0.1", ["db", "10.0.0.1"]),
        ("db=10.0.0.1", ["db", "10.0.0.1"]),
        ("db:::1", ["db", "::1"]),
        ("db=::1", ["db", "::1"]),
        ("db:[fe80::1]", ["db", "fe80::1"]),
        ("db=[::1]", ["db", "::1"]),
        ("host.docker.internal:host-gateway", ["host.docker.internal", "host-gateway"]),
    ],
)
def test_add_host(spec, expected):
    assert network.parse_add_host([spec]) == [expected]


@pytest.mark.parametrize("spec", ["", "db", ":1.2.3.4", "db:", "db:x", "db:1.2.3", "a b:1.2.3.4"])
def test_bad_add_host(spec):
    with pytest.raises(UsageError, match="--add-host"):
        network.parse_add_host([spec])


def test_dns():
    assert network.parse_dns(["1.1.1.1", "2606:4700::1111"]) == ["1.1.1.1", "2606:4700::1111"]
    assert network.parse_dns_search(["example.com", "."]) == ["example.com", "."]
    assert network.parse_dns_options(["ndots:1"]) == ["ndots:1"]
    for function, bad in (
        (network.parse_dns, "dns.example"),
        (network.parse_dns, "1.2.3.4.5"),
        (network.parse_dns_search, "a..b"),
        (network.parse_dns_search, ""),
        (network.parse_dns_search, "a b"),
        (network.parse_dns_options, "a b"),
        (network.parse_dns_options, ""),
    ):
        with pytest.raises(UsageError):
            function([bad])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ("", None, None)),
        ("host", ("", None, None)),
        ("keep-id", ("keep-id", None, None)),
        ("keep-id:uid=1000,gid=100", ("keep-id", 1000, 100)),
        ("keep-id:uid=0", ("keep-id", 0, None)),
        ("nomap", ("nomap", None, None)),
    ],
)
def test_userns(value, expected):
    found = network.parse_userns(value)
    assert (found["mode"], found["uid"], found["gid"]) == expected


@pytest.mark.parametrize(
    "value",
    ["keep-id:uid", "keep-id:uid=x", "keep-id:size=5", "host:x", "private:1", "AUTO", "nomap:x"],
)
def test_bad_userns(value):
    with pytest.raises(UsageError, match="--userns"):
        network.parse_userns(value)


@pytest.mark.parametrize("value", ["auto", "auto:size=1000", "container:web", "ns:/proc/1/ns/user"])
def test_userns_of_podman_alone_says_why_not(value):
    with pytest.raises(UsageError, match="cannot use --userns") as caught:
        network.parse_userns(value)
    assert caught.value.code == "RL-NOT-YET"


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"ipc": "host"}, ""),
        ({"ipc": "shareable"}, ""),
        ({"ipc": "none"}, ""),
        ({"pid": "host"}, ""),
        ({"uts": "host"}, ""),
        ({"cgroupns": "host"}, ""),
        ({"pid": "container:x"}, "cannot share the pid namespace of another container"),
        ({"ipc": "container:x"}, "cannot share the ipc namespace"),
        ({"uts": "none"}, "invalid --uts mode"),
        ({"cgroupns": "x"}, "invalid --cgroupns mode"),
        ({"pid": "shareable"}, "invalid --pid mode"),
    ],
)
def test_namespaces(values, refused):
    if refused:
        with pytest.raises(UsageError, match=refused):
            RunOptions.from_values({"image": "x", **values}, environ={}, cwd="/")
    else:
        options = RunOptions.from_values({"image": "x", **values}, environ={}, cwd="/")
        ((name, value),) = values.items()
        assert getattr(options, name) == value


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["web"], {"web": {}}),
        (["bridge", "web"], {"bridge": {}, "web": {}}),
        (["web:ip=10.9.0.7,alias=a,alias=b"], {"web": {"ip": "10.9.0.7", "aliases": ["a", "b"]}}),
        (["name=web,ip6=fd00::9"], {"web": {"ip6": "fd00::9"}}),
        (["web:mac=02-42-AC-11-00-02"], {"web": {"mac": "02:42:ac:11:00:02"}}),
    ],
)
def test_networks_with_names(given, expected):
    empty = {"aliases": [], "ip": "", "ip6": "", "mac": ""}
    mode, options, networks = network.parse_networks(given, [], "", "", "")
    assert (mode, options) == ("bridge", [])
    assert networks == {name: {**empty, **wanted} for name, wanted in expected.items()}
    assert list(networks) == list(expected)


def test_one_network_has_what_belongs_to_it():
    given = ["db"], ["primary"], "10.9.0.3", "fd00::3", "02:00:00:00:00:01"
    assert network.parse_networks(*given)[2]["db"] == {
        "aliases": ["primary"], "ip": "10.9.0.3", "ip6": "fd00::3", "mac": "02:00:00:00:00:01",
    }  # fmt: skip
    assert network.parse_networks(["host"], [], "", "", "") == ("host", [], {})


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ((["web", "host"], [], "", "", ""), "cannot be on web and host at once"),
        ((["web", "web"], [], "", "", ""), "given twice"),
        (([], [], "10.0.0.1", "", ""), "--ip needs a network with a name"),
        ((["host"], ["a"], "", "", ""), "--network-alias needs a network with a name"),
        ((["one", "two"], [], "10.0.0.1", "", ""), "--ip with several networks"),
        ((["web"], [], "fd00::1", "", ""), "invalid IPv4 address"),
        ((["web"], [], "", "10.0.0.1", ""), "invalid IPv6 address"),
        ((["web"], [], "", "", "01:00:00:00:00:01"), "invalid MAC address"),
        ((["web"], ["a b"], "", "", ""), "invalid network alias"),
        ((["web:aliaz=x"], [], "", "", ""), "unknown word in --network web:aliaz=x: aliaz"),
    ],
)
def test_bad_networks_with_names(given, match):
    with pytest.raises(UsageError, match=match) as caught:
        network.parse_networks(*given)
    assert caught.value.remedy
