"""--publish and --expose, in all forms of Docker's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.runtime.options_ports import parse_expose, parse_publish


def short(ports):
    return [
        (p["host_ip"], p["host_port"], p.get("host_port_end"), p["container_port"], p["protocol"])
        for p in ports
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("80", [("", 0, None, 80, "tcp")]),
        (":80", [("", 0, None, 80, "tcp")]),
        ("0:80", [("", 0, None, 80, "tcp")]),
        ("8080:80", [("", 8080, None, 80, "tcp")]),
        ("8080:80/udp", [("", 8080, None, 80, "udp")]),
        ("8080:80/TCP", [("", 8080, None, 80, "tcp")]),
        ("8080:80/", [("", 8080, None, 80, "tcp")]),
        ("127.0.0.1:8080:80", [("127.0.0.1", 8080, None, 80, "tcp")]),
        ("127.0.0.1::80", [("127.0.0.1", 0, None, 80, "tcp")]),
        ("127.0.0.1:0:80", [("127.0.0.1", 0, None, 80, "tcp")]),
        ("[::1]:8080:80", [("::1", 8080, None, 80, "tcp")]),
        ("[::1]::80", [("::1", 0, None, 80, "tcp")]),
        ("::1:8080:80", [("::1", 8080, None, 80, "tcp")]),
        ("[0:0::0]:1:2", [("::", 1, None, 2, "tcp")]),
        ("0.0.0.0:1:2", [("0.0.0.0", 1, None, 2, "tcp")]),
        ("10-11:20-21", [("", 10, None, 20, "tcp"), ("", 11, None, 21, "tcp")]),
        ("20-21/udp", [("", 0, None, 20, "udp"), ("", 0, None, 21, "udp")]),
        ("8000-8010:80", [("", 8000, 8010, 80, "tcp")]),
        ("127.0.0.1:8000-8010:80/udp", [("127.0.0.1", 8000, 8010, 80, "udp")]),
        ("80-80:81", [("", 80, None, 81, "tcp")]),
        ("published=8080,target=80", [("", 8080, None, 80, "tcp")]),
        ("target=80,protocol=udp", [("", 0, None, 80, "udp")]),
        ("target=80-81,published=90-91", [("", 90, None, 80, "tcp"), ("", 91, None, 81, "tcp")]),
    ],
)
def test_publish(spec, expected):
    assert short(parse_publish([spec])) == expected


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("", "no container port"),
        ("8080:", "no container port"),
        ("a", "invalid container port"),
        ("0", "invalid container port"),
        ("-1", "invalid container port"),
        ("65536", "invalid container port"),
        ("80-70", "invalid container port"),
        ("80-", "invalid container port"),
        ("x:80", "invalid host port"),
        ("70000:80", "invalid host port"),
        ("9-8:80", "invalid host port"),
        ("10-12:20-21", "differ in length"),
        ("10:20-21", "differ in length"),
        ("localhost:80:80", "invalid IP address"),
        ("1.2.3:80:80", "invalid IP address"),
        ("[::1:80:80", "invalid IP address"),
        ("80:80/sctp", "no rootless network carries SCTP"),
        ("80:80/icmp", "invalid protocol"),
        ("٣:80", "invalid host port"),
        ("target=80,port=1", "unknown key 'port'"),
        ("target=80,published", "invalid publish option"),
    ],
)
def test_bad_publish(spec, match):
    with pytest.raises(UsageError, match=match):
        parse_publish([spec])


def test_the_same_port_twice_is_refused():
    with pytest.raises(UsageError, match="8080/tcp is published twice"):
        parse_publish(["8080:80", "8080:81"])
    assert len(parse_publish(["80", "80", "8080:80", "8080:80/udp", "127.0.0.1:8080:80"])) == 5


def test_expose():
    assert parse_expose(["80", "53/udp", "8000-8002", "80/tcp"]) == [
        "80/tcp",
        "53/udp",
        "8000/tcp",
        "8001/tcp",
        "8002/tcp",
    ]
    for bad in ("8080:80", "x", "0", ""):
        with pytest.raises(UsageError):
            parse_expose([bad])


_PORT = st.integers(1, 65535)


@given(
    ip=st.sampled_from(["", "127.0.0.1", "0.0.0.0", "10.255.3.4"]) | st.ip_addresses().map(str),
    host=st.none() | st.integers(0, 65535),
    container=_PORT,
    protocol=st.sampled_from(["tcp", "udp"]),
)
def test_what_is_written_is_read(ip, host, container, protocol):
    from ipaddress import ip_address

    shown = f"[{ip}]" if ":" in ip else ip
    spec = f"{'' if host is None else host}:{container}/{protocol}"
    (port,) = parse_publish([f"{shown}:{spec}" if ip else spec])
    assert port["host_port"] == (host or 0)
    assert (port["container_port"], port["protocol"]) == (container, protocol)
    assert not ip or ip_address(port["host_ip"]) == ip_address(ip)


@given(first=_PORT, length=st.integers(0, 30), host=st.integers(1, 65000))
def test_ranges_map_one_to_one(first, length, host):
    last = min(first + length, 65535)
    ports = parse_publish([f"{host}-{host + last - first}:{first}-{last}"])
    assert [p["host_port"] - host for p in ports] == list(range(last - first + 1))
    assert [p["container_port"] - first for p in ports] == list(range(last - first + 1))


@given(st.text(alphabet="0123456789:-/[]tcpudx.=,", max_size=25))
def test_any_text_is_parsed_or_refused(spec):
    try:
        ports = parse_publish([spec])
    except UsageError as e:
        assert e.remedy
        return
    assert ports
    assert all(1 <= p["container_port"] <= 65535 and 0 <= p["host_port"] <= 65535 for p in ports)


def guard(spec, private=()):
    (port,) = parse_publish([spec] if spec else [], private, "/home/me")
    return port["host_ip"], port["host_port"], port["container_port"], port["guard"]


@pytest.mark.parametrize(
    ("spec", "path", "mode", "group"),
    [
        ("unix:/run/web.sock:80", "/run/web.sock", 0o600, ""),
        ("unix:web.sock:80/tcp", "/home/me/web.sock", 0o600, ""),
        ("unix:/a:b,c:80,mode=660,group=students", "/a:b,c", 0o660, "students"),
        ("unix:/a:80,group=5,mode=0666", "/a", 0o666, "5"),
    ],
)
def test_publish_as_a_unix_socket(spec, path, mode, group):
    assert guard(spec) == ("", 0, 80, {"path": path, "mode": mode, "group": group})


@pytest.mark.parametrize(
    "spec",
    ["unix:/a", "unix::80", "unix:/a:0", "unix:/a:80/udp", "unix:/a:80,mode=9", "unix:/a:x",
     f"unix:/{'a' * 107}:80"],
)  # fmt: skip
def test_bad_unix_socket(spec):
    with pytest.raises(UsageError):
        parse_publish([spec])


def test_publish_private():
    assert guard("", ["8080:80"]) == ("127.0.0.1", 8080, 80, {"private": True})
    assert guard("", ["[::1]:8080:80"]) == ("::1", 8080, 80, {"private": True})


@pytest.mark.parametrize("spec", ["0.0.0.0:1:2", "1:2/udp", "unix:/a:80", "192.0.2.1:1:2"])
def test_bad_publish_private(spec):
    with pytest.raises(UsageError):
        parse_publish([], [spec])
