"""The same traffic through every network driver: in by published ports, out to the host."""

import hashlib
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from support.agent import Box
from support.ports import ask_udp, is_free
from support.program import Rl

DRIVERS = ["slirp4netns", "pasta", "netstack"]
SIZE = 24 << 20


@pytest.fixture(scope="module", params=DRIVERS)
def box(request: pytest.FixtureRequest, shared_rl: Rl, _ports: Iterator[int]) -> Iterator[Box]:
    port = next(_ports)
    while not (is_free(port) and is_free(port, socket.SOCK_DGRAM)):
        port = next(_ports)
    made = Box(shared_rl, request.param, port)
    yield made
    shared_rl.run("rm", "-f", made.id)


def read_all(sock: socket.socket) -> bytes:
    data = bytearray()
    while part := sock.recv(1 << 18):
        data += part
    return bytes(data)


def pour(sock: socket.socket, size: int) -> str:
    digest, left = hashlib.sha256(), size
    while left:
        piece = os.urandom(min(left, 1 << 18))
        digest.update(piece)
        sock.sendall(piece)
        left -= len(piece)
    sock.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def test_large_transfers_in_with_checksums(box: Box) -> None:
    """Up, then half-closed, and the answer still comes; and down."""
    with box.ask("sum") as sock:
        assert pour(sock, SIZE) == read_all(sock).decode()
    with box.ask(f"give {SIZE}") as sock:
        expected = bytes(range(251)) * 4096
        got = read_all(sock)
    assert len(got) == SIZE
    assert hashlib.sha256(got).digest() == hashlib.sha256(
        (expected * (SIZE // len(expected) + 1))[:SIZE]
    ).digest()  # fmt: skip


def test_many_connections_in_none_lost(box: Box) -> None:
    socks = [box.ask("echo") for _ in range(300)]
    for n, sock in enumerate(socks):
        sock.sendall(b"%d" % n)
    for n, sock in enumerate(socks):
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"%d" % n
        sock.close()


def test_a_slow_client_is_alone_with_it(box: Box) -> None:
    with box.ask(f"give {256 << 20}"), box.ask("echo") as quick:
        quick.sendall(b"hello")
        assert quick.recv(5, socket.MSG_WAITALL) == b"hello"


@pytest.mark.parametrize("size", [1, 1400, 9000, 60000])
def test_datagrams_in_of_every_size(box: Box, size: int) -> None:
    data = os.urandom(size)
    assert ask_udp(box.port, data) == data


def test_the_mtu_is_large(box: Box) -> None:
    with box.ask("mtu") as sock:
        assert json.loads(read_all(sock)) == [65520]


def host_server(*, udp: bool = False) -> socket.socket:
    server = socket.socket(type=socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    server.bind(("0.0.0.0", 0))
    server.settimeout(15)
    if not udp:
        server.listen(512)
    return server


@pytest.fixture
def reached(box: Box) -> str:
    if not box.host:
        pytest.skip("a container of pasta has the host's own address, and reaches no port of it")
    return box.host


def test_large_transfers_out_with_checksums(box: Box, reached: str) -> None:
    with host_server() as server:
        ours = box.ask(f"out {reached} {server.getsockname()[1]}")
        theirs, _ = server.accept()
        theirs.settimeout(30)
        assert ours.recv(2, socket.MSG_WAITALL) == b"0\n"
        for source, target in ((ours, theirs), (theirs, ours)):
            told: list[str] = []
            thread = threading.Thread(target=lambda s=source, t=told: t.append(pour(s, SIZE)))
            thread.start()
            got = hashlib.sha256(read_all(target)).hexdigest()
            thread.join()
            assert [got] == told
        ours.close()
        theirs.close()


def test_refused_out_is_refused(box: Box, reached: str) -> None:
    with host_server() as server:
        port = server.getsockname()[1]
    with box.ask(f"out {reached} {port}") as sock:
        assert read_all(sock) == b"111\n"


def test_many_connections_out_none_lost(box: Box, reached: str) -> None:
    with host_server() as server:
        ours = [box.ask(f"out {reached} {server.getsockname()[1]}") for _ in range(200)]
        theirs = [server.accept()[0] for _ in ours]
        for sock in theirs:
            sock.sendall(b"welcome")
            sock.close()
        for sock in ours:
            assert read_all(sock) == b"0\nwelcome"
            sock.close()


@pytest.mark.parametrize("size", [1, 1400, 9000])
def test_datagrams_out(box: Box, reached: str, size: int) -> None:
    with host_server(udp=True) as server:
        sock = box.ask(f"outudp {reached} {server.getsockname()[1]} {size}")
        data, client = server.recvfrom(65536)
        server.sendto(data[::-1] + b"!", client)
        assert read_all(sock) == b"x" * size + b"!"
        sock.close()


def test_dns_answers_as_the_hosts_name_server_does(box: Box) -> None:
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\x07invalid\0\0\1\0\1"
    expected = _ask_name_server(question)
    with box.ask(f"dns {question.hex()}") as sock:
        answer = read_all(sock)
    if expected is None:
        pytest.skip("this host's name server does not answer")
    assert answer[:2] == question[:2] and answer[2] & 0x80, "an answer to our question"


def _ask_name_server(question: bytes) -> bytes | None:
    with open("/etc/resolv.conf") as file:
        servers = [line.split()[1] for line in file if line.startswith("nameserver ")]
    for server in servers[:1]:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            try:
                sock.sendto(question, (server, 53))
                return sock.recv(4096)
            except OSError:
                pass
    return None
