"""rl-netstack as what drives slirpnetstack sees it: lines, statuses, and both ends of each way."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.guest import GATEWAY4, GUEST6, HOST4, HOST6, ROOT, Lab, echoes, seen_soon
from support.traces import wait_until

from rootless.network.stack import packets

pytestmark = pytest.mark.needs("tun")


@pytest.fixture(scope="module")
def namespaces() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


@pytest.fixture
def lab(namespaces: Lab) -> Iterator[Lab]:
    yield namespaces
    namespaces.close_programs()


def port_of(line: str, begin: str) -> int:
    assert line.startswith(begin), line
    return int(line.rpartition(":")[2])


def test_by_default_nothing_is_reached_and_tcp_is_refused(lab: Lab) -> None:
    port, seen = lab.echo(lab.host)
    udp_port, udp_seen = lab.echo(lab.host, udp=True)
    lab.start().started()
    for address in (HOST4, HOST6, GATEWAY4, "192.0.2.1"):
        with pytest.raises(ConnectionRefusedError):
            lab.connect(lab.guest, address, port)
        lab.connect(lab.guest, address, udp_port, udp=True).send(b"anybody?")
    assert echoes(lab.connect(lab.host, HOST4, udp_port, udp=True)) == b"hello"
    assert seen == [] and udp_seen == [HOST4]


@pytest.mark.parametrize("address", [HOST4, HOST6])
def test_the_host_is_reached_when_asked_for(lab: Lab, address: str) -> None:
    port, _ = lab.echo(lab.host)
    udp_port, _ = lab.echo(lab.host, udp=True)
    program = lab.start("-enable-host").started()
    with lab.connect(lab.guest, address, port) as sock:
        assert echoes(sock) == b"hello"
    shown = f"[{address}]" if ":" in address else address
    new = program.out()
    assert re.fullmatch(
        rf"\[\+\] tcp://\S+:\d+/{re.escape(shown)}:\d+-{re.escape(shown)}:{port} Routing conn new",
        new,
    )
    assert program.out() == f"[-]{new[3:-4]} done: l=[EOF]/0 r=EOF/0"
    with lab.connect(lab.guest, address, udp_port, udp=True) as sock:
        for size in (0, 1, 1400, 16385, 65507 if ":" not in address else 65000):
            data = os.urandom(size)
            assert echoes(sock, data) == data
    assert "Routing conn new" in program.out()


def test_large_transfers_through_a_tap_arrive_whole(lab: Lab) -> None:
    port, _ = lab.echo(lab.host)
    lab.start("-enable-host", "-quiet").started()
    data = os.urandom(8 << 20)
    for address in (HOST4, HOST6):
        with lab.connect(lab.guest, address, port) as sock:
            assert _through(sock, data) == data


def _through(sock: socket.socket, data: bytes) -> bytes:
    import threading

    thread = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
    thread.start()
    back = bytearray()
    while part := sock.recv(1 << 20):
        back += part
    thread.join(10)
    return bytes(back)


@pytest.mark.parametrize("mtu", [1280, 1500])
def test_a_tun_device_with_a_small_mtu(mtu: int) -> None:
    lab = Lab("tun", mtu)
    try:
        port, _ = lab.echo(lab.host)
        lab.start("-enable-host").started()
        data = os.urandom(1 << 20)
        for address in (HOST4, HOST6):
            with lab.connect(lab.guest, address, port) as sock:
                assert _through(sock, data) == data
    finally:
        lab.close()


def test_deny_wins_over_allow_and_allow_over_nothing(lab: Lab) -> None:
    port, _ = lab.echo(lab.host)
    udp_port, seen = lab.echo(lab.host, udp=True)
    lab.start(
        f"--allow=tcp://{HOST4},udp://{HOST4}:{udp_port}-{udp_port},tcp://[{HOST6}/64]:{port}",
        f"--deny=tcp://{HOST4}:{port}", f"-allow=[{HOST6}]:1", "-allow", f"127.0.0.0/8:{port}",
    ).started()  # fmt: skip
    for address in (HOST4, "10.0.2.2"):
        with pytest.raises(ConnectionRefusedError):
            lab.connect(lab.guest, address, port)
    assert echoes(lab.connect(lab.guest, HOST6, port)) == b"hello"
    assert echoes(lab.connect(lab.guest, HOST4, udp_port, udp=True)) == b"hello"
    lab.connect(lab.guest, HOST6, udp_port, udp=True).send(b"no")
    assert seen == [HOST4]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--allow=nobódy"], 'invalid value "nobódy" for flag -allow: lookup nobódy: no such host'),
        (["-allow", "localhost:a"], 'invalid value "localhost:a" for flag -allow: '
         'strconv.ParseUint: parsing "a": invalid syntax'),
        (["-deny=localhost:2-1"], 'invalid value "localhost:2-1" for flag -deny: '
         "min port must be smaller equal than max"),
        (["-R", "sctp://80"], 'invalid value "sctp://80" for flag -R: unknown network type "sctp"'),
        (["-nonsense"], "flag provided but not defined: -nonsense"),
        (["-L"], "flag needs an argument: -L"),
        (["-quiet=perhaps"], 'invalid boolean value "perhaps" for -quiet: parse error'),
        (["-dns-ttl=5"], 'invalid value "5" for flag -dns-ttl: parse error'),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_as_go_would(lab: Lab, words: list[str], line: str) -> None:
    program = lab.start(*words, netns=False)
    assert program.err() == line
    assert program.err() == "Usage of rl-netstack:"
    assert program.wait() == 2


def test_help_and_version(lab: Lab) -> None:
    program = lab.start("-h", netns=False)
    assert program.out() == ""
    assert program.err() == "Usage of rl-netstack:"
    assert program.wait() == 2
    program = lab.start("--version", netns=False)
    assert program.out().startswith("slirpnetstack version ")
    assert re.fullmatch(r"build time .* UTC", program.out())
    assert program.wait() == 0


def test_each_failure_has_its_status(lab: Lab, tmp_path: object) -> None:
    port, _ = lab.echo(lab.host)
    for words, line, status in (
        (["-fd", "0"], "Please specify either -fd or -netns", 252),
        (["-m", f"tcp://127.0.0.1:{port}"], "[!] Failed to start metrics: ", 254),
        (["-interface", "nothere"], "Failed to open TUN/TAP: no such device", 253),
        (["-pcap", f"{tmp_path}/not/here"], "[!] Failed to open PCAP file: ", 250),
        (["-L", f"{port}"], f"[!] Failed to listen on tcp://127.0.0.1:{port}: ", 247),
        (["-L", f"udp://{port}", "-L", f"udp://{port}"],
         f"[!] Failed to listen on udp://127.0.0.1:{port}: ", 247),
        (["-R", "tcp://nobody.invalid@srv-1:0::22"], "[!] Failed to resolve bind address. dns "
         'lookup error of tcp addr: failed to lookup SRV "nobody.invalid"', 246),
    ):  # fmt: skip
        program = lab.start(*words)
        said = program.err()
        while said and not said.startswith(line):
            assert said.startswith(("[.] ", "[!] GetMTU")), said
            said = program.err()
        assert said, f"{line} was not said"
        assert program.wait() == status
    program = lab.start("-netns", "/nothere", netns=False)
    lines = [program.err() for _ in range(3)]
    assert lines[1] == "[!] Can't join netns /nothere: no such file or directory"
    assert program.wait() == 253


def test_signals_end_it_with_a_line(lab: Lab) -> None:
    program = lab.start().started()
    program.process.send_signal(2)
    assert program.err() == f"[-] #{program.process.pid} Slirpnetstack closing"
    assert program.wait() == 0


def test_its_parent_is_told_when_it_is_ready(lab: Lab) -> None:
    told: list[int] = []
    former = signal.signal(signal.SIGWINCH, lambda number, _frame: told.append(number))
    try:
        lab.start().started()
        wait_until(lambda: bool(told), 10, "SIGWINCH")
    finally:
        signal.signal(signal.SIGWINCH, former)


def test_it_ends_with_its_parent_when_asked_to(lab: Lab) -> None:
    code = (
        "import os, subprocess, sys\n"
        f"sys.path.insert(0, {ROOT!r})\n"
        "run = 'import sys; sys.path.insert(0, ' + repr(sys.path[0]) + ')\\n'\n"
        "run += 'from rootless.network.standalone.main import main; raise SystemExit(main())'\n"
        "child = subprocess.Popen([sys.executable, '-I', '-S', '-c', run, '-exit-with-parent',"
        f" '-netns', '/proc/{lab.guest_pid}/ns/net'], stderr=subprocess.PIPE)\n"
        "while b'started' not in child.stderr.readline(): pass\n"
        "print(child.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    wait_until(lambda: _has_ended(int(done.stdout)), 10, "it ends")


def _has_ended(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_pings_to_anybody_are_answered_here(lab: Lab, tmp_path: object) -> None:
    path = f"{tmp_path}/all.pcap"
    lab.start("-pcap", path).started()
    for address in ("1.1.1.1", "10.0.2.11", "10.0.2.2", "2606:4700:4700::1111", "fd00::2"):
        assert lab.run_in_guest(sys.executable, "-I", "-c", PING, address) == 0
    with open(path, "rb") as file:
        data = file.read()
    assert struct.unpack_from("=I", data)[0] == 0xA1B2C3D4
    sizes, place = [], 24
    while place < len(data):
        sizes.append(struct.unpack_from("=II", data, place + 8))
        place += 16 + sizes[-1][0]
    assert (28, 28) in sizes, "the ARP request"
    assert (33, 33) in sizes, "the echo request"


PING = """
import socket, struct, sys
six = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW,
                  socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
s.settimeout(10)
s.connect((sys.argv[1], 0))
body = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 7, 1) + b"hello"
total = sum(struct.unpack("!7H", body + b"\\0"))
s.send(body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + body[4:])
while True:
    got = s.recv(100)
    if got.endswith(b"hello") and got[-13] == (129 if six else 0):
        break
"""


def test_frames_of_a_datagram_socket(lab: Lab) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    program = lab.start("-fd", str(theirs.fileno()), netns=False, fds=(theirs.fileno(),))
    theirs.close()
    assert "Slirpnetstack started" in program.err()
    ours.settimeout(10)
    mac = bytes.fromhex("020000000001")
    request = (
        b"\0\1\x08\0\6\4\0\1" + mac + bytes((10, 0, 2, 100)) + bytes(6) + bytes((10, 0, 2, 10))
    )
    ours.send(b"\xff" * 6 + mac + b"\x08\x06" + request)
    while (got := ours.recv(2000))[20:22] != b"\0\2":
        pass
    assert got[:6] == mac and got[28:32] == bytes((10, 0, 2, 10))
    gateway = got[22:28]
    echo = b"\x08\0\xf7\xfd\0\1\0\1"  # its checksum is right
    packet = packets.ip(packets.ICMP, bytes((10, 0, 2, 100)), bytes((10, 0, 2, 2)), echo)
    packet = packet[:10] + struct.pack("!H", packets.checksum(packet[:20])) + packet[12:]
    ours.send(gateway + mac + b"\x08\0" + packet)
    while (got := ours.recv(2000))[12:14] != b"\x08\0" or got[23] != 1:
        pass
    assert got[34:] == b"\0\0\xff\xfd\0\1\0\1" and got[26:34] == bytes((10, 0, 2, 2, 10, 0, 2, 100))
    ours.close()


def test_it_joins_the_user_namespace_of_a_guest_that_is_ours(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        lab.start("-R", f"80::{server.getsockname()[1]}", outside=True).started()
        with lab.connect(lab.guest, GATEWAY4, 80) as client:
            server.settimeout(10)
            other, _ = server.accept()
            with other:
                other.sendall(b"hello")
                assert client.recv(5, socket.MSG_WAITALL) == b"hello"


def test_a_datagram_socket_needs_no_rights(lab: Lab) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs:
        number = theirs.fileno()
        program = lab.start("-fd", str(number), netns=False, fds=(number,), outside=True)
    assert "Slirpnetstack started" in program.err()
    ours.settimeout(10)
    assert ours.recv(2000)[12:22] == b"\x08\x06\0\1\x08\0\6\4\0\1", "who has 10.0.2.100?"
    ours.close()


def test_metrics(lab: Lab) -> None:
    program = lab.start("-m", "tcp://127.0.0.1:0")
    port = port_of(program.err(), f"[ ] #{program.process.pid} Running metrics on 127.0.0.1:")
    program.started()
    for path, word in (
        ("/health", b"ok"),
        ("/debug/pprof", b"Types of profiles available:"),
        ("/metrics", b"rl_netstack_connections 0\n"),
    ):
        with lab.connect(lab.host, "127.0.0.1", port) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = b""
            while part := sock.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and word in answer
    program.process.send_signal(15)
    assert "closing" in program.err() and "Stopping metrics" in program.err()
    assert program.wait() == 0


# Forwards to the host.


@pytest.mark.parametrize(
    ("flag", "said", "address", "port"),
    [
        ("{0}", "tcp://10.0.2.2:{0}", GATEWAY4, 0),
        ("80:127.0.0.1:{0}", "tcp://10.0.2.2:80", GATEWAY4, 80),
        ("192.0.2.5:80:localhost:{0}", "tcp://192.0.2.5:80", "192.0.2.5", 80),
        ("[fd00::2]:80::{0}", "tcp://fd00::2:80", "fd00::2", 80),
    ],
)
def test_remote_tcp(lab: Lab, flag: str, said: str, address: str, port: int) -> None:
    echo_port, seen = lab.echo(lab.host)
    program = lab.start("-R", flag.format(echo_port)).started()
    assert program.out() == f"[+] Accepting on remote side {said.format(echo_port)}"
    for _ in range(2):
        assert echoes(lab.connect(lab.guest, address, port or echo_port)) == b"hello"
    assert re.search(rf":{echo_port} remote-fwd conn new$", program.out())
    assert set(seen) == {"::1" if ":" in address else "127.0.0.1"}


@pytest.mark.parametrize("address", ["10.0.2.2", "192.0.2.5", "fd00::2"])
def test_remote_udp(lab: Lab, address: str) -> None:
    port, _ = lab.echo(lab.host, udp=True)
    shown = f"[{address}]" if ":" in address else address
    program = lab.start("-R", f"udp://{shown}:0::{port}").started()
    assert program.out() == f"[+] Accepting on remote side udp://{address}:0"
    sock = lab.connect(lab.guest, address, 0, udp=True)
    assert [echoes(sock, data) for data in (b"one", b"two", b"")] == [b"one", b"two", b""]
    assert re.search(rf"\]?:\d+-\S+:{port} remote-fwd conn new$", program.out())


def test_remote_udprpc_forgets_a_flow_with_its_answer(lab: Lab) -> None:
    port, _ = lab.echo(lab.host, udp=True)
    program = lab.start("-R", f"udprpc://53:127.0.0.1:{port}").started()
    program.out()
    for _ in range(2):
        assert echoes(lab.connect(lab.guest, GATEWAY4, 53, udp=True)) == b"hello"
        assert "remote-fwd conn new" in program.out()
        assert "remote-fwd conn done: l=" in program.out()


@pytest.mark.parametrize("name_server", ["127.0.0.1", "::1"])
def test_remote_to_a_service_by_name(lab: Lab, name_server: str) -> None:
    import threading

    port, _ = lab.echo(lab.host)
    udp_port, _ = lab.echo(lab.host, udp=True)
    family = socket.AF_INET6 if ":" in name_server else socket.AF_INET
    server = lab.make(lab.host, family, socket.SOCK_DGRAM)
    server.bind((name_server, 0))
    server.settimeout(None)
    ports = {b"tcp": port, b"udp": udp_port}
    threading.Thread(target=_name_server, args=(server, ports), daemon=True).start()
    number = server.getsockname()[1]
    where = f"srv-{number}" if family == socket.AF_INET else f"srv-[::1]:{number}"
    program = lab.start(
        "-dns-ttl=0", f"-R=tcp://:2222:[tcp.echo@{where}]:0",
        f"-R=udp://:2222:[udp.echo@{where}]:0", "-R", "2223:nobody.invalid@srv-1:0",
    ).started()  # fmt: skip
    for _ in range(3):
        assert "Accepting on remote side" in program.out()
    assert echoes(lab.connect(lab.guest, GATEWAY4, 2222)) == b"hello"
    assert f":{port} remote-fwd conn new" in program.out()
    assert "done" in program.out()
    assert echoes(lab.connect(lab.guest, GATEWAY4, 2222, udp=True)) == b"hello"
    assert f":{udp_port} remote-fwd conn new" in program.out()
    # Without an answer it is accepted, and ended.
    with lab.connect(lab.guest, GATEWAY4, 2223) as sock:
        assert sock.recv(1) == b""
    assert program.out().endswith(
        "-10.0.2.2:2223/nobody.invalid@srv-1-failed remote-fwd dns lookup error of tcp addr: "
        'failed to lookup SRV "nobody.invalid" on "127.0.0.1:1"'
    )
    server.sendto(b"", server.getsockname())


def _name_server(server: socket.socket, ports: dict[bytes, int]) -> None:
    """SRV records that point to localhost; no other records.  An empty question ends it."""
    while True:
        question, client = server.recvfrom(4096)
        if not question:
            server.close()
            return
        end = question.index(b"\0", 12) + 5
        answer = b""
        if question[end - 4 : end - 2] == b"\0\x21":
            data = struct.pack("!HHH", 1, 1, ports[question[13:16]]) + b"\x09localhost\0"
            answer = b"\xc0\x0c\0\x21\0\1\0\0\0\0" + struct.pack("!H", len(data)) + data
        counts = struct.pack("!HHHHH", 0x8180, 1, 1 if answer else 0, 0, 0)
        server.sendto(question[:2] + counts + question[12:end] + answer, client)


# Forwards to the guest.


@pytest.mark.parametrize(
    ("flag", "listens", "clients"),
    [
        ("{0}", "127.0.0.1", ["127.0.0.1"]),
        ("0:10.0.2.100:{0}", "127.0.0.1", ["127.0.0.1"]),
        ("127.1.2.3:0::{0}", "127.1.2.3", ["127.1.2.3"]),
        ("localhost:0::{0}", "127.0.0.1", ["127.0.0.1"]),
        (":0:[fd00::100]:{0}", "[::1]", ["::1"]),
        ("[::]:0:10.0.2.100:{0}", "[::]", ["::1", HOST6, "127.0.0.1"]),
        ("0.0.0.0:0:[fd00::100]:{0}", "[::]", ["127.0.0.1", HOST4, "::1"]),
    ],
)
@pytest.mark.parametrize("network", ["tcp", "udp"])
def test_local(lab: Lab, network: str, flag: str, listens: str, clients: list[str]) -> None:
    udp = network == "udp"
    echo_port, _ = lab.echo(lab.guest, udp=udp)
    program = lab.start("-L", f"{network}://{flag.format(echo_port)}").started()
    port = port_of(program.out(), f"[+] local-fwd Local listen {network}://{listens}:")
    for address in clients:
        with lab.connect(lab.host, address, port, udp=udp) as sock:
            assert [echoes(sock, one) for one in (b"one", b"three")] == [b"one", b"three"]
        line = program.out()
        inside = r"\[fd00::2\]:\d+-\[fd00::100\]" if "fd00" in flag else r"10.0.2.2:\d+-10.0.2.100"
        assert re.search(rf"/{inside}:{echo_port} local-fwd conn$", line), line
        if not udp:
            assert program.out() == f"[-]{line[3:-4]}done: l=[EOF]/0 r=EOF/0"


@pytest.mark.parametrize("network", ["tcp", "udp"])
def test_local_shows_the_clients_address(lab: Lab, network: str) -> None:
    udp = network == "udp"
    echo_port, seen = lab.echo(lab.guest, udp=udp)
    to6, to4 = f"{network}://[::]:0:[{GUEST6}]:{echo_port}", f"{network}://0.0.0.0:0::{echo_port}"
    program = lab.start("-L", to6, "-L", to4).started()
    six, four = (port_of(program.out(), "[+] local-fwd Local listen") for _ in range(2))
    assert echoes(lab.connect(lab.host, HOST6, six, source=HOST6, udp=udp)) == b"hello"
    seen_soon(seen, HOST6)
    assert echoes(lab.connect(lab.host, HOST4, four, source=HOST4, udp=udp)) == b"hello"
    seen_soon(seen, HOST4)


def test_local_udprpc_forgets_a_flow_with_its_answer(lab: Lab) -> None:
    echo_port, _ = lab.echo(lab.guest, udp=True)
    program = lab.start("-L", f"udprpc://0:10.0.2.100:{echo_port}").started()
    port = port_of(program.out(), "[+] local-fwd Local listen udp://127.0.0.1:")
    with lab.connect(lab.host, "127.0.0.1", port, udp=True) as sock:
        for _ in range(2):
            assert echoes(sock) == b"hello"
            assert "local-fwd conn" in program.out()
            assert "local-fwd done: l=" in program.out()


def test_a_guest_that_refuses_resets_the_client(lab: Lab) -> None:
    program = lab.start("-L", "0:10.0.2.100:9").started()
    port = port_of(program.out(), "[+] local-fwd Local listen")
    with pytest.raises(ConnectionResetError), lab.connect(lab.host, "127.0.0.1", port) as sock:
        sock.recv(1)
    assert program.out().endswith("local-fwd error: l=0/0 r=[connection refused]/0")


BINARY = bytes.fromhex("0d0a0d0a000d0a515549540a2111000c")


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"PROXY TCP4 1.2.3.4 4.3.2.1 1 {port}\r\n", "1.2.3.4"),
        (b"PROXY UNKNOWN\r\n", GATEWAY4),
        (BINARY + bytes((4, 4, 4, 4, 5, 5, 5, 5, 0, 7)) + b"{bytes}", "4.4.4.4"),
        (b"PROXY TCP6 abcd::1 dcba::1 1 {port}\r\n", GATEWAY4),
        (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 {port}\r\n", GATEWAY4),
    ],
)
@pytest.mark.parametrize("cut", [0, 3])
def test_tcp_behind_a_proxy(lab: Lab, header: bytes, address: str, cut: int) -> None:
    echo_port, seen = lab.echo(lab.guest)
    guest_port = 0 if b"{" in header else echo_port
    program = lab.start("-L", f"tcppp://0:10.0.2.100:{guest_port}").started()
    port = port_of(program.out(), "[+] local-fwd Local PP listen tcp://127.0.0.1:")
    header = header.replace(b"{port}", b"%d" % echo_port)
    header = header.replace(b"{bytes}", echo_port.to_bytes(2, "big"))
    with lab.connect(lab.host, "127.0.0.1", port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if cut:
            sock.sendall(header[:cut])
        sock.sendall(header[cut:] + b"first")
        assert "local-fwd PP conn" in program.out()
        assert sock.recv(5, socket.MSG_WAITALL) == b"first"
        assert echoes(sock) == b"hello"
    seen_soon(seen, address)
    assert "local-fwd PP done" in program.out()


@pytest.mark.parametrize("header", [b"GET / HTTP/1.0\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"P" * 200])
def test_a_bad_proxy_header_ends_the_connection(lab: Lab, header: bytes) -> None:
    program = lab.start("-L", "tcppp://0:10.0.2.100:9").started()
    port = port_of(program.out(), "[+] local-fwd Local PP listen")
    with lab.connect(lab.host, "127.0.0.1", port) as sock:
        sock.sendall(header)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert program.out().endswith("local-fwd PP error: spp: bad magic number")


def test_datagrams_behind_a_proxy(lab: Lab) -> None:
    echo_port, seen = lab.echo(lab.guest, udp=True)
    program = lab.start("-L", f"udpspp://0:10.0.2.100:{echo_port}").started()
    port = port_of(program.out(), "[+] local-fwd Local PP listen udp://127.0.0.1:")
    for client in ("1.2.3.4", "4.4.4.4"):
        mapped = bytes(10) + b"\xff\xff" + socket.inet_aton(client)
        header = b"\x56\xec" + mapped + bytes(16) + struct.pack("!HH", 1, 2)
        with lab.connect(lab.host, "127.0.0.1", port, udp=True) as sock:
            assert echoes(sock, header + b"hello") == header + b"hello"
            assert echoes(sock, bytes(38) + b"more") == header + b"more"
        assert "local-fwd PP conn" in program.out()
        seen_soon(seen, client)


def test_many_connections_one_after_the_other(lab: Lab) -> None:
    port, _ = lab.echo(lab.host)
    program = lab.start("-enable-host").started()
    for _ in range(100):
        with lab.connect(lab.guest, HOST4, port) as sock:
            assert echoes(sock) == b"hello"
    lines = [program.out() for _ in range(200)]
    assert sum("conn new" in line for line in lines) == 100
    assert sum("conn done: l=[EOF]/0 r=EOF/0" in line for line in lines) == 100


# slirp4netns's API socket.


def ask(path: str, request: bytes) -> object:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return json.loads(answer)


def test_forwards_come_and_go_by_the_api_socket(lab: Lab, tmp_path: object) -> None:
    path = f"{tmp_path}/api.sock"
    tcp, _ = lab.echo(lab.guest)
    udp, _ = lab.echo(lab.guest, udp=True)
    program = lab.start("-api-socket", path).started()
    assert os.stat(path).st_mode & 0o777 == 0o600
    free = lab.make(lab.host)
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    added = []
    for proto, guest_port in (("tcp", tcp), ("udp", udp)):
        arguments = {"proto": proto, "host_addr": "127.0.0.1", "host_port": port,
                     "guest_addr": "10.0.2.100", "guest_port": guest_port}  # fmt: skip
        request = json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode()
        added.append({"id": len(added) + 1, **arguments})
        assert ask(path, request) == {"return": {"id": len(added)}}
        assert ask(path, request) == {
            "error": {"desc": "bad request: add_hostfwd: slirp_add_hostfwd failed"}
        }
        answered = echoes(lab.connect(lab.host, "127.0.0.1", port, udp=proto == "udp"))
        assert answered == b"hello"
    assert ask(path, b'{"execute": "list_hostfwd"}\n') == {"return": {"entries": added}}
    kept = lab.connect(lab.host, "127.0.0.1", port)
    assert echoes(kept) == b"hello"
    for number in (1, 2):
        request = b'{"execute": "remove_hostfwd", "arguments": {"id": %d}}' % number
        assert ask(path, request) == {"return": {}}
        assert ask(path, request) == {
            "error": {"desc": "bad request: remove_hostfwd: bad arguments.id"}
        }
    assert ask(path, b'{"execute": "list_hostfwd"}') == {"return": {"entries": []}}
    with pytest.raises(ConnectionRefusedError):
        lab.connect(lab.host, "127.0.0.1", port)
    assert echoes(kept) == b"hello", "what is connected stays"
    program.close()
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (b"badjson", "cannot parse JSON"),
        (b'{"unexpected": 42}', "no execute found"),
        (b"[]", "no execute found"),
        (b'{"execute": "bad"}', "unknown execute"),
        (b'{"execute": "add_hostfwd", "arguments": {"proto": "bad"}}',
         "add_hostfwd: bad arguments.proto"),
        (b'{"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_addr": "x"}}',
         "add_hostfwd: bad arguments.host_addr"),
        (b'{"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_port": 0}}',
         "add_hostfwd: bad arguments.host_port"),
        (b'{"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_port": 80}}',
         "add_hostfwd: bad arguments.guest_port"),
        (b'{"execute": "add_hostfwd", "arguments": {"proto": "udp", "host_port": 80,'
         b'"guest_port": 80, "guest_addr": 5}}', "add_hostfwd: bad arguments.guest_addr"),
        (b" " * 5000, "too large message"),
    ],
)  # fmt: skip
def test_bad_requests_are_told_why(lab: Lab, tmp_path: object, request_: bytes, why: str) -> None:
    path = f"{tmp_path}/api.sock"
    lab.start("-api-socket", path).started()
    assert ask(path, request_) == {"error": {"desc": f"bad request: {why}"}}
