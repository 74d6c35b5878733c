"""Published ports: really reachable, refused in time, gone afterwards."""

import os
import socket
import stat
from collections.abc import Callable

import pytest
from support.ports import ask_tcp, ask_udp, get, is_free
from support.program import Rl
from support.traces import wait_until

from rootless.network.pasta import host_address

HTTPD = "echo page >/tmp/index.html; exec busybox httpd -f -p 8000 -h /tmp"
DRIVERS = ["slirp4netns", "pasta", "netstack"]
UDP_ECHO = """
import socket
import stat
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("", 9000))
while True:
    data, client = s.recvfrom(1500)
    s.sendto(b"pong " + data, client)
"""


def serve(rl: Rl, *args: str, command: str = HTTPD) -> str:
    return rl.out("run", "-d", *args, "busybox", "/bin/sh", "-c", command)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.needs("tun")
def test_published_tcp_port_answers(rl: Rl, free_port: Callable[[], int], driver: str) -> None:
    port = free_port()
    container = serve(rl, "--network", driver, "-p", f"127.0.0.1:{port}:8000")
    assert get(port) == (200, b"page\n")
    assert rl.out("port", container) == f"8000/tcp -> 127.0.0.1:{port}"
    assert rl.out("port", container, "8000") == f"127.0.0.1:{port}"
    rl.run("rm", "-f", container)
    wait_until(lambda: is_free(port), 5, "the port is free again")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.needs("tun")
def test_published_udp_port_answers(rl: Rl, free_port: Callable[[], int], driver: str) -> None:
    port = free_port()
    # busybox has no server for datagrams: the host's Python, in the container.
    serve(rl, "--network", driver, "-p", f"127.0.0.1:{port}:9000/udp", "-v", "/usr:/usr:ro",
          "-e", f"ECHO={UDP_ECHO}",
          command='ln -s usr/lib usr/lib64 / ; exec /usr/bin/python3 -ISc "$ECHO"')  # fmt: skip
    assert ask_udp(port, b"ping") == b"pong ping"


@pytest.mark.needs("slirp4netns")
def test_port_range(rl: Rl, free_port: Callable[[], int]) -> None:
    first = free_port()
    while not (is_free(first + 1) and is_free(first + 2)):
        first = free_port()
    command = "for p in 8000 8001 8002; do (while :; do echo $p | nc -l -p $p; done) & done; wait"
    serve(rl, "-p", f"127.0.0.1:{first}-{first + 2}:8000-8002", command=command)
    for n in range(3):
        assert ask_tcp(first + n, b"x\n") == f"{8000 + n}\n".encode()


@pytest.mark.needs("slirp4netns")
def test_port_of_any_address_and_port_chosen_by_rl(rl: Rl) -> None:
    container = serve(rl, "-p", "8000")
    address = rl.out("port", container, "8000/tcp").splitlines()[0]
    host, _, port = address.rpartition(":")
    assert host == "0.0.0.0" and int(port) >= 1024
    assert get(int(port))[0] == 200


@pytest.mark.needs("slirp4netns")
def test_publish_all(rl: Rl, entry_image: str) -> None:
    container = rl.out("run", "-d", "-P", "--entrypoint", "/bin/sleep", entry_image, "100")
    published = {line.split()[0] for line in rl.out("port", container).splitlines()}
    assert published == {"8000/tcp", "9000/udp"}


@pytest.mark.needs("slirp4netns")
def test_ps_and_inspect_show_ports(rl: Rl, free_port: Callable[[], int]) -> None:
    port = free_port()
    container = serve(rl, "-p", f"127.0.0.1:{port}:8000")
    assert rl.out("ps", "--format", "{{.Ports}}") == f"127.0.0.1:{port}->8000/tcp"
    shown = rl.inspect(container)["NetworkSettings"]["Ports"]
    assert shown == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}


@pytest.mark.parametrize("driver", DRIVERS)
def test_taken_port_is_an_error_before_the_container_starts(
    rl: Rl, no_leftovers: None, free_port: Callable[[], int], tmp_path: object, driver: str
) -> None:
    with socket.socket() as s:
        port = free_port()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # former connections may linger
        s.bind(("127.0.0.1", port))
        s.listen()
        line = rl.fails(
            "run", "--rm", "--network", driver, "-p", f"127.0.0.1:{port}:80",
            "-v", f"{tmp_path}:/out", "busybox", "touch", "/out/started", code="RL-PORT",
        )  # fmt: skip
    assert str(port) in line
    assert not os.path.exists(f"{tmp_path}/started")


def test_port_taken_by_another_container(rl: Rl, free_port: Callable[[], int]) -> None:
    port = free_port()
    serve(rl, "-p", f"127.0.0.1:{port}:8000")
    rl.fails("run", "--rm", "-p", f"127.0.0.1:{port}:8000", "busybox", "true", code="RL-PORT")
    assert get(port)[0] == 200


def test_privileged_port_names_its_remedy(rl: Rl, no_leftovers: None) -> None:
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
        start = int(f.read())
    if start <= 1:
        pytest.skip("this host lets everybody bind any port")
    line = rl.fails("run", "--rm", "-p", f"{min(start - 1, 80)}:80", "busybox", "true")
    assert "RL-PORT" in line and "ip_unprivileged_port_start" in line


def test_port_of_an_address_the_host_does_not_have(rl: Rl, no_leftovers: None) -> None:
    rl.fails("run", "--rm", "-p", "192.0.2.1:18080:80", "busybox", "true")


@pytest.mark.parametrize("network", ["none", "host"])
def test_publishing_without_a_network_of_ones_own(
    rl: Rl, free_port: Callable[[], int], network: str
) -> None:
    """Docker discards the ports with a word; nothing listens on them."""
    port = free_port()
    rl.run("run", "--rm", "--network", network, "-p", f"127.0.0.1:{port}:80", "busybox", "true",
           check=False)  # fmt: skip
    assert is_free(port)


@pytest.mark.needs("slirp4netns")
def test_port_works_again_after_stop_and_start(rl: Rl, free_port: Callable[[], int]) -> None:
    port = free_port()
    container = serve(rl, "-p", f"127.0.0.1:{port}:8000")
    assert get(port)[0] == 200
    rl.run("stop", "-t", "0", container)
    wait_until(lambda: is_free(port), 5)
    rl.run("start", container)
    assert get(port)[0] == 200


@pytest.mark.needs("slirp4netns")
def test_port_of_a_killed_supervisor_is_free(rl: Rl, free_port: Callable[[], int]) -> None:
    import json
    import signal

    port = free_port()
    container = serve(rl, "-p", f"127.0.0.1:{port}:8000")
    with open(f"{rl.store}/containers/{container}/state.json") as f:
        os.kill(json.load(f)["supervisor"]["pid"], signal.SIGKILL)
    wait_until(lambda: is_free(port), 5)


def test_hundred_requests_in_a_row(rl: Rl, free_port: Callable[[], int]) -> None:
    port = free_port()
    serve(rl, "-p", f"127.0.0.1:{port}:8000")
    assert {get(port)[0] for _ in range(100)} == {200}


WHO_ASKS = """
import socket
import stat
s = socket.create_server(("0.0.0.0", 8000))
while True:
    client, address = s.accept()
    client.sendall(address[0].encode())
    client.close()
"""


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.needs("tun")
def test_container_sees_the_clients_address(
    rl: Rl, free_port: Callable[[], int], driver: str
) -> None:
    """That of the host's loopback nobody can have there: such clients come from the gateway."""
    port = free_port()
    serve(rl, "--network", driver, "-p", f"{port}:8000", "-p", f"[::1]:{port}:8000",
          "-v", "/usr:/usr:ro", "-e", f"WHO={WHO_ASKS}",
          command='ln -s usr/lib usr/lib64 / ; exec /usr/bin/python3 -ISc "$WHO"')  # fmt: skip
    gateway = b"169.254.1.1" if driver == "pasta" else b"10.0.2.2"
    assert ask_tcp(port) == gateway
    assert ask_tcp(port, host="::1") == gateway
    # 127.0.0.0/8 is hidden, and the only other address that a test may have is the host's own.
    own = host_address()
    if own and driver != "pasta":  # whose containers have the host's address themselves
        assert ask_tcp(port, host=own) == own.encode()


WHO_ASKS_BY_UDP = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 9000))
while True:
    data, client = s.recvfrom(1500)
    s.sendto(client[0].encode() + b" " + data, client)
"""


def test_container_of_netstack_sees_the_address_of_datagrams(
    rl: Rl, free_port: Callable[[], int]
) -> None:
    """Over IPv6 too, where nobody in the container listens to that."""
    port = free_port()
    serve(rl, "--network", "netstack", "-p", f"{port}:9000/udp", "-p", f"[::1]:{port}:9000/udp",
          "-v", "/usr:/usr:ro", "-e", f"WHO={WHO_ASKS_BY_UDP}",
          command='ln -s usr/lib usr/lib64 / ; exec /usr/bin/python3 -ISc "$WHO"')  # fmt: skip
    assert ask_udp(port, b"hello") == b"10.0.2.2 hello"
    own = host_address()
    if own:
        assert ask_udp(port, b"hello", host=own) == own.encode() + b" hello"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(("::1", port))
        for data in (b"one", b"two"):
            client.send(data)
            assert client.recv(100) == b"10.0.2.2 " + data


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.needs("tun")
def test_port_published_as_a_unix_socket(rl: Rl, tmp_path: object, driver: str) -> None:
    path = f"{tmp_path}/web.sock"
    container = serve(rl, "--network", driver, "-p", f"unix:{path}:8000,mode=660")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    assert ask_path(path).endswith(b"page\n")
    assert rl.out("port", container) == f"8000/tcp -> unix:{path}"
    assert rl.out("ps", "--format", "{{.Ports}}") == f"unix:{path}->8000/tcp"
    bound = rl.inspect(container)["NetworkSettings"]["Ports"]
    assert bound == {"8000/tcp": [{"HostIp": f"unix:{path}", "HostPort": ""}]}
    line = rl.fails("run", "--rm", "-p", f"unix:{path}:80", "busybox", "true", code="RL-PORT-TAKEN")
    assert path in line
    rl.run("stop", "-t", "0", container)
    wait_until(lambda: not os.path.exists(path), 5, "the socket is gone")
    # One that a killed supervisor left behind is no obstacle; a file of somebody's is.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    rl.run("start", container)
    assert ask_path(path).endswith(b"page\n")
    rl.run("rm", "-f", container)
    with open(path, "w"):
        pass
    rl.fails("run", "--rm", "-p", f"unix:{path}:80", "busybox", "true", code="RL-PORT-PATH")


def ask_path(path: str) -> bytes:
    """The answer of a web server behind a UNIX socket, as soon as there is one."""
    answer = b""

    def ask() -> bool:
        nonlocal answer
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            try:
                s.connect(path)
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: s.recv(65536), b""))
            except ConnectionResetError:
                return False
        return bool(answer)

    wait_until(ask, 10, "an answer")
    return answer


@pytest.mark.needs("slirp4netns")
def test_private_port_is_for_its_owner_alone(rl: Rl, free_port: Callable[[], int]) -> None:
    """Another user of the host is one of the subordinate IDs here."""
    port = free_port()
    container = serve(rl, "--publish-private", f"{port}:8000")
    assert get(port) == (200, b"page\n")
    assert rl.out("port", container) == f"8000/tcp -> 127.0.0.1:{port}"
    ask = f"(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 1) | nc 127.0.0.1 {port}"
    words = ["run", "--rm", "--network", "host"]
    assert "page" in rl.out(*words, "busybox", "sh", "-c", ask)
    done = rl.run(*words, "-u", "1000", "busybox", "sh", "-c", ask, check=False)
    assert "page" not in done.stdout


def test_privileged_port_with_a_fallback(rl: Rl) -> None:
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as f:
        start = int(f.read())
    if start <= 1:
        pytest.skip("this host lets everybody bind any port")
    asked = min(start - 1, 80)
    done = rl.run("run", "-d", "--port-fallback", "-p", f"127.0.0.1:{asked}:8000", "busybox",
                  "/bin/sh", "-c", HTTPD)  # fmt: skip
    chosen = rl.out("port", done.stdout.strip()).rpartition(":")[2]
    assert f"127.0.0.1:{asked} is privileged" in done.stderr
    assert f"127.0.0.1:{chosen}" in done.stderr
    assert get(int(chosen)) == (200, b"page\n")
