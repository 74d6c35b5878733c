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
        ("mynet", "named networks are not in this version", "RL-NOT-YET"),
        ("container:web", "cannot join the network of another container", "RL-NOT-YET"),
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
