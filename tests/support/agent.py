"""A container with a program in it that does what its clients say: traffic in and out."""

import socket

from rootless.network.pasta import host_address
from support.ports import ask_tcp
from support.program import Rl

# Runs in the container, on the host's Python.  A connection begins with a line that says what to
# do; out of the container by "out ADDRESS PORT", whose bytes go both ways from then on.
AGENT = r"""
import hashlib, json, os, socket, threading

def udp():
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.bind(("", 9000))
    while True:
        data, client = s.recvfrom(65536)
        s.sendto(data, client)

def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass

def serve(client):
    line = b""
    while not line.endswith(b"\n"):
        line += client.recv(1)
    word, *rest = line.decode().split()
    try:
        if word == "echo":
            copy(client, client)
        elif word == "sum":
            digest = hashlib.sha256()
            while data := client.recv(1 << 18):
                digest.update(data)
            client.sendall(digest.hexdigest().encode())
        elif word == "give":
            data = bytes(range(251)) * 4096
            left = int(rest[0])
            while left:
                left -= client.send(data[:left])
        elif word == "mtu":
            found = [open(f"/sys/class/net/{n}/mtu").read() for n in os.listdir("/sys/class/net")
                     if n != "lo"]
            client.sendall(json.dumps([int(one) for one in found]).encode())
        elif word == "dns":
            lines = [l.split() for l in open("/etc/resolv.conf")]
            server = [l[1] for l in lines if l[:1] == ["nameserver"]][0]
            s = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET,
                              socket.SOCK_DGRAM)
            s.settimeout(8)
            s.sendto(bytes.fromhex(rest[0]), (server, 53))
            client.sendall(s.recv(4096))
        elif word == "out":
            address, port = rest[0], int(rest[1])
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            s.settimeout(10)
            try:
                s.connect((address, port))
            except OSError as e:
                client.sendall(f"{e.errno}\n".encode())
                return
            s.settimeout(None)
            client.sendall(b"0\n")
            t = threading.Thread(target=copy, args=(s, client))
            t.start()
            copy(client, s)
            t.join()
        elif word == "outudp":
            s = socket.socket(type=socket.SOCK_DGRAM)
            s.settimeout(8)
            s.sendto(b"x" * int(rest[2]), (rest[0], int(rest[1])))
            client.sendall(s.recv(65536))
    except OSError as e:
        client.sendall(f"E{e.errno}".encode())
    finally:
        client.close()

threading.Thread(target=udp, daemon=True).start()
server = socket.create_server(("", 8000), backlog=1024)
while True:
    client, _ = server.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"""


class Box:
    """A container of one driver with the agent in it."""

    def __init__(self, rl: Rl, driver: str, port: int) -> None:
        self.rl, self.driver, self.port = rl, driver, port
        option = ":allow_host_loopback=true" if driver == "netstack" else ""
        self.id = rl.out(
            "run", "-d", "--network", driver + option, "-p", f"127.0.0.1:{port}:8000",
            "-p", f"127.0.0.1:{port}:9000/udp", "-v", "/usr:/usr:ro", "-e", f"AGENT={AGENT}",
            "busybox", "/bin/sh", "-c",
            'ln -s usr/lib usr/lib64 / ; exec /usr/bin/python3 -ISc "$AGENT"',
        )  # fmt: skip
        assert ask_tcp(port, b"mtu\n")

    @property
    def host(self) -> str:
        """The host's address for the container, "" where it reaches no service of the host."""
        addresses = {"netstack": "10.0.2.2", "slirp4netns": host_address()}
        return addresses.get(self.driver, "")

    def ask(self, line: str) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), 15)
        sock.sendall(line.encode() + b"\n")
        return sock
