"""What rl-netstack reads: flags, forwards, networks, proxy headers, DNS messages; any bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.network.stack import packets
from rootless.network.stack.addresses import packed
from rootless.network.standalone import flags, forwards, frames, names, proxy_protocol
from rootless.network.standalone.options import Options, table


def options(*argv: str) -> Options:
    found = Options()
    flags.parse(table(found), argv)
    found.finish()
    return found


def test_one_dash_and_two_are_the_same_and_values_come_either_way() -> None:
    found = options("-netns", "/a", "--interface=tap1", "-quiet", "--enable-host=false",
                    "-mtu=0x500", "-dns-ttl", "1m30s", "--", "-version")  # fmt: skip
    assert (found.netns, found.interface, found.quiet) == ("/a", "tap1", True)
    assert (found.enable_host, found.mtu, found.dns_ttl, found.version) == (False, 1280, 90, False)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("300ms", 0.3), ("1h30m", 5400), ("1.5s", 1.5), ("-2s", -2)]
)
def test_durations(text: str, seconds: float) -> None:
    assert flags.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1x", "1s2", "+", "1..2s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="parse error"):
        flags.duration(text)


@pytest.mark.parametrize(
    ("text", "network", "bind", "host"),
    [
        ("80", "tcp", ("127.0.0.1", 80), ("10.0.2.100", 80)),
        ("127.1.2.3:80", "tcp", ("127.1.2.3", 80), ("10.0.2.100", 80)),
        ("8080:10.0.2.9:80", "tcp", ("127.0.0.1", 8080), ("10.0.2.9", 80)),
        ("udp://:0::53", "udp", ("127.0.0.1", 0), ("10.0.2.100", 53)),
        ("udp://[::1]:0::53", "udp", ("::1", 0), ("fd00::100", 53)),
        (":0:[fd00::9]:53", "tcp", ("::1", 0), ("fd00::9", 53)),
        ("udp://[::]:::53", "udp", ("::", 0), ("fd00::100", 53)),
    ],
)
def test_forwards(text: str, network: str, bind: object, host: object) -> None:
    (found,) = options("-L", text).local
    assert found.network == network
    assert (found.bind.ip, found.bind.port) == bind
    assert (found.host.ip, found.host.port) == host


def test_names_in_forwards() -> None:
    (found,) = options("-R", ":2222:[tcp.echo@srv-[::1]:8600]:0").remote
    assert (found.bind.ip, found.host.label, found.host.port) == (
        "10.0.2.2", "tcp.echo@srv-[::1]:8600", 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sctp://1", "unknown network type"), ("x", "invalid syntax"), ("1:2:3:4:5", "four parts"),
        ("65536", "out of range"), ("1:a:b", "invalid syntax"),
    ],
)  # fmt: skip
def test_forwards_that_make_no_sense(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        forwards.parse_forward(text)


def test_ranges() -> None:
    ranges = forwards.parse_ranges("udp://192.168.1.0/24:53-60,[3ffe::/16],10.1.2.3:80", str)

    def has(address: str, port: int, protocol: int) -> bool:
        return any(one.has(packed(address), port, protocol) for one in ranges)

    assert has("192.168.1.7", 53, packets.UDP) and has("192.168.1.255", 60, packets.UDP)
    assert not has("192.168.1.7", 61, packets.UDP) and not has("192.168.1.7", 53, packets.TCP)
    assert has("3ffe:1::", 9, packets.TCP) and not has("3fff::", 9, packets.TCP)
    assert has("10.1.2.3", 80, packets.TCP) and not has("10.1.2.3", 81, packets.TCP)
    assert len(forwards.parse_ranges("all", str)) == 4


@given(st.text(alphabet="tcpud:/[]0123456789.,-af%", max_size=40))
def test_any_text_is_a_forward_and_a_range_or_a_value_error(text: str) -> None:
    def no_name(name: str) -> str:
        raise ValueError(name)

    for parse in (forwards.parse_forward, lambda one: forwards.parse_ranges(one, no_name)):
        try:
            parse(text)
        except ValueError:
            pass


@given(st.binary(max_size=200))
def test_any_bytes_are_a_proxy_header_or_not(data: bytes) -> None:
    for begin in (b"", b"PROXY TCP4 ", b"\r\n\r\n\0\r\nQUIT\n"):
        for parse in (proxy_protocol.parse, proxy_protocol.parse_simple):
            try:
                parse(begin + data)
            except ValueError:
                pass


def test_a_proxy_header_is_found_whole_only() -> None:
    header = b"PROXY TCP6 1::2 3::4 5 6\r\n"
    for size in range(len(header)):
        assert proxy_protocol.parse(header[:size]) is None
    found = proxy_protocol.parse(header + b"more")
    assert found is not None
    assert (found.size, found.source, found.asked) == (len(header), ("1::2", 5), ("3::4", 6))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_dns_message_or_not(data: bytes) -> None:
    header = struct.pack("!HHHHHH", 1, 0x8180, 1, 3, 0, 0)
    for message in (data, header + data, header + b"\xc0\x0c" + data):
        try:
            names.records(message, 33)
        except ValueError:
            pass


@given(st.binary(max_size=100))
def test_any_frame_is_answered_or_not(data: bytes) -> None:
    frames.arp_reply(data)
    frames.arp_reply(b"\0\1\x08\0\6\4\0\1" + data)
    if frames.is_solicitation(data):
        frames.advertisement(data, bytes(6))


def test_nobody_is_told_that_a_free_address_is_taken() -> None:
    mac, ours = bytes(6), bytes((10, 0, 2, 100))
    begin = b"\0\1\x08\0\6\4\0\1" + mac
    assert frames.arp_reply(begin + ours + mac + ours) == b""
    assert frames.arp_reply(begin + bytes(4) + mac + ours) == b""
    assert frames.arp_reply(begin + ours + mac + bytes((10, 0, 2, 2))) != b""
    probe = struct.pack("!IHBB", 6 << 28, 24, 58, 255) + bytes(16) + packed("ff02::1")
    assert frames.advertisement(probe + b"\x87\0\0\0\0\0\0\0" + packed("fd00::100"), mac) == b""
