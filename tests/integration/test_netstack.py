"""The network netstack: TCP and UDP through a real namespace, as both ends see it."""

import contextlib
import errno
import hashlib
import os
import resource
import select
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from support.netns import NAME_SERVER, OUR_ADDRESS, Namespace
from support.traces import wait_until

RESET = struct.pack("=ii", 1, 0)


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    namespace = Namespace()
    yield namespace
    namespace.close()


def listen(family: int = socket.AF_INET, address: str = "127.0.0.1") -> socket.socket:
    """A server on the host's loopback; its clients wait for 10 s at most."""
    server = socket.socket(family)
    server.bind((address, 0))
    server.listen(1024)
    server.settimeout(10)
    return server


def pair(inside: Namespace) -> tuple[socket.socket, socket.socket]:
    """A connection to the host's loopback: the end inside, the end outside."""
    with listen() as server:
        client = inside.connect(server.getsockname()[1])
        other, _ = server.accept()
        other.settimeout(10)
        return client, other


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while part := sock.recv(1 << 20):
        data += part
    return data


def pour(sock: socket.socket, size: int) -> str:
    """Send `size` bytes that never repeat, end, and tell their digest."""
    digest = hashlib.sha256()
    left = size
    while left:
        piece = os.urandom(min(left, 1 << 18))
        digest.update(piece)
        sock.sendall(piece)
        left -= len(piece)
    sock.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def drain(sock: socket.socket) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while part := sock.recv(1 << 18):
        digest.update(part)
        size += len(part)
    return size, digest.hexdigest()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_connection_ends_at_the_hosts_loopback(inside: Namespace, family: int) -> None:
    address = ("127.0.0.1", "10.0.2.2") if family == socket.AF_INET else ("::1", "fd00::2")
    with listen(family, address[0]) as server:
        client = inside.connect(server.getsockname()[1], address[1])
        other, _ = server.accept()
        client.sendall(b"question")
        assert other.recv(100) == b"question"
        other.sendall(b"answer")
        assert client.recv(100) == b"answer"
        assert client.getpeername()[:2] == (address[1], server.getsockname()[1])
        client.close()
        assert other.recv(1) == b""
        other.close()


def test_each_side_may_end_before_the_other(inside: Namespace) -> None:
    client, other = pair(inside)
    client.sendall(b"all that I have")
    client.shutdown(socket.SHUT_WR)
    assert read_all(other) == b"all that I have"
    other.sendall(b"an answer to it")
    other.shutdown(socket.SHUT_WR)
    assert read_all(client) == b"an answer to it"


def test_large_transfers_arrive_whole_in_both_directions(inside: Namespace) -> None:
    client, other = pair(inside)
    sent: dict[str, str] = {}
    size = 48 << 20
    threads = [
        threading.Thread(target=lambda: sent.update(up=pour(client, size))),
        threading.Thread(target=lambda: sent.update(down=pour(other, size))),
    ]
    got: dict[str, tuple[int, str]] = {}
    threads += [
        threading.Thread(target=lambda: got.update(up=drain(other))),
        threading.Thread(target=lambda: got.update(down=drain(client))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == {name: (size, digest) for name, digest in sent.items()} and len(sent) == 2


def test_pieces_of_every_size_keep_their_order(inside: Namespace) -> None:
    client, other = pair(inside)
    data = b"".join(bytes([n % 251]) * n for n in (1, 2, 65535, 65536, 65537, 131072, 3, 200000))
    thread = threading.Thread(target=lambda: (client.sendall(data), client.close()))
    thread.start()
    assert read_all(other) == data
    thread.join(10)


def test_a_refused_connection_is_refused(inside: Namespace) -> None:
    with listen() as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        inside.connect(port)


@pytest.mark.parametrize(
    "address",
    ["10.0.2.77", "169.254.169.254", "0.1.2.3", "240.0.0.1", "::ffff:10.0.2.2",
     "64:ff9b::7f00:1"],
)  # fmt: skip
def test_what_is_never_to_be_reached_is_refused(inside: Namespace, address: str) -> None:
    with pytest.raises(OSError) as caught:
        inside.connect(80, address)
    assert caught.value.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EINVAL)


def test_an_unreachable_network_is_unreachable(inside: Namespace) -> None:
    """To documentation's addresses; as the host itself finds them."""
    target = ("2001:db8::1", 9)
    with socket.socket(socket.AF_INET6) as sock:
        sock.settimeout(8)
        expected = sock.connect_ex(target)
    if expected not in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        pytest.skip(f"this host answers {os.strerror(expected)}")
    with inside.make(socket.AF_INET6) as sock:
        assert sock.connect_ex(target) == expected


def test_a_reset_is_passed_on_in_both_directions(inside: Namespace) -> None:
    for turned in (False, True):
        ends = pair(inside)
        first, second = reversed(ends) if turned else ends
        first.sendall(b"x")
        assert second.recv(1) == b"x"
        first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        first.close()
        with pytest.raises(ConnectionResetError):
            second.recv(1)
        second.close()


def test_a_slow_reader_holds_the_writer_and_nobody_else(inside: Namespace) -> None:
    client, _slow = pair(inside)
    client.setblocking(False)
    sent = 0
    while _may_write(client):
        sent += client.send(bytes(1 << 16))
        assert sent < 64 << 20
    quick, other = pair(inside)
    quick.sendall(b"still here")
    assert other.recv(100) == b"still here"
    client.setblocking(True)
    client.settimeout(10)
    client.shutdown(socket.SHUT_WR)
    assert len(read_all(_slow)) == sent


def _may_write(sock: socket.socket) -> bool:
    """False when nothing has left it for a while."""
    return bool(select.select([], [sock], [], 0.5)[1])


def test_many_connections_at_once_none_lost(inside: Namespace) -> None:
    count = 500
    with listen() as server:
        clients = inside.make_many(count)
        for client in clients:
            client.setblocking(False)
            assert client.connect_ex(("10.0.2.2", server.getsockname()[1])) == errno.EINPROGRESS
        others = [server.accept()[0] for _ in range(count)]
    for other in others:
        other.sendall(b"welcome")
        other.close()
    for client in clients:
        client.settimeout(10)
        assert read_all(client) == b"welcome"
        client.close()
    pid = inside.network.pid
    few = 60
    wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) < few, 10, "all is closed again")


def test_ten_thousand_connections_at_once_none_lost() -> None:
    """As many as the limit on descriptors lets us, and netstack, have: two for each."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 16
    count = min(10000, hard // 2 - 150)
    namespace = Namespace()
    try:
        with soft_limit(hard), listen() as server:
            before = pss(namespace.network.pid)
            clients = namespace.make_many(count)
            others = connect_all(clients, server)
            for other in others:
                other.sendall(b"hi")
            for client in clients:
                client.setblocking(True)
                client.settimeout(20)
                assert client.recv(2, socket.MSG_WAITALL) == b"hi"
            each = (pss(namespace.network.pid) - before) / count
            for sock in clients + others:
                sock.close()
        assert each < 4096, f"{each} bytes for a connection that rests"
        few = 60
        wait_until(
            lambda: len(os.listdir(f"/proc/{namespace.network.pid}/fd")) < few, 20, "all is closed"
        )
    finally:
        namespace.close()


def connect_all(clients: list[socket.socket], server: socket.socket) -> list[socket.socket]:
    """Connect `clients`, 500 at a time; the other ends."""
    server.setblocking(False)
    poll, waiting, others = select.epoll(), list(clients), []
    poll.register(server.fileno(), select.EPOLLIN)
    going: dict[int, socket.socket] = {}
    while len(others) < len(clients) or going:
        while waiting and len(going) < 500:
            client = waiting.pop()
            client.setblocking(False)
            assert client.connect_ex(("10.0.2.2", server.getsockname()[1])) == errno.EINPROGRESS
            going[client.fileno()] = client
            poll.register(client.fileno(), select.EPOLLOUT)
        ready = poll.poll(20)
        assert ready, f"{len(others)} of {len(clients)} are connected, {len(going)} wait"
        for fd, _ in ready:
            if fd in going:
                poll.unregister(fd)
                assert going.pop(fd).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
                continue
            while True:
                try:
                    others.append(server.accept()[0])
                except BlockingIOError:
                    break
    return others


def pss(pid: int) -> int:
    """Memory of a process in bytes, what it shares divided among those who do."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024


@contextlib.contextmanager
def soft_limit(number: int) -> Iterator[None]:
    """As many descriptors for this process."""
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, former)


@pytest.mark.parametrize("size", [0, 1, 1400, 9000, 60000])
def test_datagrams_go_out_and_answers_come_back(inside: Namespace, size: int) -> None:
    data = os.urandom(size)
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        with inside.make(kind=socket.SOCK_DGRAM) as client:
            for _ in range(2):
                client.sendto(data, ("10.0.2.2", server.getsockname()[1]))
                got, sender = server.recvfrom(65536)
                assert got == data
                server.sendto(got[::-1], sender)
                answer, replier = client.recvfrom(65536)
                assert answer == data[::-1]
                assert replier == ("10.0.2.2", server.getsockname()[1])


def test_a_datagram_to_nobody_is_refused(inside: Namespace) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    with inside.make(kind=socket.SOCK_DGRAM) as client:
        client.connect(("10.0.2.2", port))
        client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


def test_the_name_server_listens_to_dns_alone(inside: Namespace) -> None:
    with pytest.raises(ConnectionRefusedError):
        inside.connect(54, NAME_SERVER)


def test_pings_of_the_gateway_are_answered(inside: Namespace) -> None:
    for family, protocol, kind, address in (
        (socket.AF_INET, socket.IPPROTO_ICMP, 8, "10.0.2.2"),
        (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, "fd00::2"),
    ):
        code = (
            "import socket, struct\n"
            f"s = socket.socket({int(family)}, socket.SOCK_RAW, {int(protocol)})\n"
            "s.settimeout(10)\n"
            f"body = struct.pack('!BBHHH', {kind}, 0, 0, 7, 1) + b'hello'\n"
            "total = sum(struct.unpack('!7H', body + b'\\0'))\n"
            "body = body[:2] + struct.pack('!H', ~(total + (total >> 16)) & 0xffff) + body[4:]\n"
            f"s.sendto(body, ({address!r}, 0))\n"
            "while b'hello' not in (got := s.recv(100)) or got[-13] == "
            f"{kind}: pass\n"
        )
        done = inside.run("/usr/bin/python3", "-I", "-c", code)
        assert done.returncode == 0, done.stderr


def test_without_being_asked_the_host_is_out_of_reach() -> None:
    closed = Namespace(options="")
    with listen() as server:
        port = server.getsockname()[1]
        own = _own_address()
        for address in ["10.0.2.2", "fd00::2", *([own] if own else [])]:
            with pytest.raises(ConnectionRefusedError):
                closed.connect(port, address)
    closed.close()


def _own_address() -> str:
    from rootless.network.pasta import host_address

    return host_address()


# Published ports.


def test_a_published_port_shows_the_clients_address(free_port) -> None:
    port = free_port()
    namespace = Namespace(f"0.0.0.0/{port}/8000", f"::/{port}/8000")
    try:
        with namespace.make() as server, namespace.make(socket.AF_INET6) as server6:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("0.0.0.0", 8000))
            server.listen()
            server6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server6.bind(("::", 8000))
            server6.listen()
            _answers(server, socket.create_connection(("127.0.0.1", port), 10), "10.0.2.2")
            _answers(server6, socket.create_connection(("::1", port), 10), "fd00::2")
            own = _own_address()
            if own:
                client = socket.create_connection((own, port), 10)
                seen = _answers(server, client, own)
                assert seen[1] != 0
        # A program that knows IPv4 alone, asked over IPv6.
        with namespace.make() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((OUR_ADDRESS, 8000))
            server.listen()
            _answers(server, socket.create_connection(("::1", port), 10), "10.0.2.2")
        # And nobody at all.
        with pytest.raises(ConnectionResetError):
            socket.create_connection(("127.0.0.1", port), 10).recv(1)
    finally:
        namespace.close()


def _answers(server: socket.socket, client: socket.socket, expected: str) -> tuple[str, int]:
    name = client.getsockname()
    other, peer = server.accept()
    assert peer[0] == expected
    if expected == name[0]:
        assert peer[1] == name[1]
    other.sendall(b"hello")
    other.close()
    with client:
        assert read_all(client) == b"hello"
    return peer[:2]


def test_many_clients_of_a_published_port_at_once_none_lost(free_port) -> None:
    """All of them come before one is served."""
    port, count = free_port(), 2500
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    hard = 1 << 16 if hard == resource.RLIM_INFINITY else hard
    count = min(count, hard // 2 - 150)
    namespace = Namespace(f"127.0.0.1/{port}/8000")
    try:
        with soft_limit(hard), namespace.make() as server:
            server.bind(("0.0.0.0", 8000))
            server.listen(4096)
            server.settimeout(20)
            clients = []
            for _ in range(count):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
                clients.append(client)
            for _ in clients:
                other, _peer = server.accept()
                other.sendall(b"so be it")
                other.close()
            for client in clients:
                client.settimeout(20)
                assert read_all(client) == b"so be it"
                client.close()
    finally:
        namespace.close()


@pytest.mark.parametrize("name", ["slirp4netns", "pasta"])
@pytest.mark.needs("tun", "slirp4netns", "pasta")
def test_where_netstack_cannot_work_another_takes_its_place(
    free_port, test_dir: str, name: str
) -> None:
    port = free_port()
    namespace = Namespace(f"127.0.0.1/{port}/8000", options="", other=name, directory=test_dir)
    try:
        assert namespace.driver == name
        with namespace.make() as server:
            server.bind((OUR_ADDRESS, 8000))
            server.listen()
            _answers(server, socket.create_connection(("127.0.0.1", port), 10), "10.0.2.2")
        assert namespace.run("/bin/sh", "-c", "grep -q '^[a-z0-9]*\t00000000\t0202000A' "
                             "/proc/net/route").returncode == 0  # fmt: skip
    finally:
        namespace.close()
