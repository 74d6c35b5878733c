"""Free loopback ports for one test worker, and clients that ask a published port."""

import itertools
import os
import socket
import time
from collections.abc import Iterator

# Below the ephemeral range (32768-60999): a port is never taken by a client's connection.
FIRST, PER_WORKER = 20000, 1000


def port_numbers(worker: str) -> Iterator[int]:
    """Ports that no other worker of this test run hands out."""
    index = int(worker[2:]) if worker.startswith("gw") and worker[2:].isdigit() else 11
    first = FIRST + index % 12 * PER_WORKER
    # Another start for each process, so that two test runs at once seldom meet.
    yield from itertools.cycle(
        first + (os.getpid() * 7 + n) % PER_WORKER for n in range(PER_WORKER)
    )


def is_free(port: int, kind: int = socket.SOCK_STREAM, host: str = "0.0.0.0") -> bool:
    with socket.socket(socket.AF_INET, kind) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
        except OSError:
            return False
        return True


def ask_tcp(port: int, data: bytes = b"", host: str = "127.0.0.1", timeout_s: float = 10) -> bytes:
    """Connect, send, and read to the end; tries again until the service answers something."""
    deadline = time.monotonic() + timeout_s
    error: OSError | None = None
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), timeout=2) as s:
                if data:
                    s.sendall(data)
                answer = b""
                while part := s.recv(65536):
                    answer += part
                if answer:
                    return answer
        except OSError as e:
            error = e
        time.sleep(0.05)
    raise AssertionError(f"no answer from {host}:{port}: {error}")


def get(port: int, path: str = "/", host: str = "127.0.0.1") -> tuple[int, bytes]:
    """HTTP GET: the status and the body."""
    answer = ask_tcp(port, f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode(), host)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def ask_udp(port: int, data: bytes, host: str = "127.0.0.1", timeout_s: float = 10) -> bytes:
    """Send a datagram until an answer comes."""
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        while time.monotonic() < deadline:
            try:
                s.sendto(data, (host, port))
                return s.recv(65536)
            except OSError:
                continue
    raise AssertionError(f"no datagram from {host}:{port}")
