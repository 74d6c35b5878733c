"""-m: what goes on, by HTTP.

/health     ok
/metrics    counters and gauges, in Prometheus's text form
/debug/pprof/   what of it there is, in the form of a Go program
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.network.standalone.journal import Journal

_REQUEST_MAX = 16384


class Metrics:
    def __init__(self, journal: "Journal") -> None:
        self._journal = journal

    def respond(self, data: bytes, ended: bool) -> "bytes | None":
        """The answer to an HTTP request: requests.Server."""
        if b"\r\n\r\n" not in data:
            too_much = len(data) > _REQUEST_MAX
            return _answer("400 Bad Request", "bad request\n") if ended or too_much else None
        words = data.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3:
            return _answer("400 Bad Request", "bad request\n")
        method, path = words[0], words[1].partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _answer("405 Method Not Allowed", "only GET\n")
        if path == "/health":
            answer = _answer("200 OK", "ok")
        elif path == "/metrics":
            answer = _answer("200 OK", self._text(), "text/plain; version=0.0.4; charset=utf-8")
        elif path.rstrip("/") == "/debug/pprof":
            answer = _answer("200 OK", self._profiles(), "text/html; charset=utf-8")
        else:
            answer = _answer("404 Not Found", "404 page not found\n")
        return answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else answer

    def _gauges(self) -> "dict[str, int]":
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {
            "connections": self._journal.open,
            "descriptors": len(os.listdir("/proc/self/fd")),
            "memory": resident,
        }

    def _text(self) -> str:
        gauges = self._gauges()
        lines = ["# TYPE rl_netstack_connections_total counter"]
        for kind, number in self._journal.counts.items():
            lines.append(f'rl_netstack_connections_total{{kind="{kind}"}} {number}')
        lines += [
            "# TYPE rl_netstack_connections gauge",
            f"rl_netstack_connections {gauges['connections']}",
            "# TYPE process_open_fds gauge",
            f"process_open_fds {gauges['descriptors']}",
            "# TYPE process_resident_memory_bytes gauge",
            f"process_resident_memory_bytes {gauges['memory']}",
        ]
        return "\n".join(lines) + "\n"

    def _profiles(self) -> str:
        rows = "".join(
            f"<tr><td>{number}</td><td>{name}</td></tr>\n"
            for name, number in sorted(self._gauges().items())
        )
        return (
            "<html><head><title>/debug/pprof/</title></head><body>\n/debug/pprof/<br><br>\n"
            "Types of profiles available:\n<table>\n<tr><td>Count</td><td>Profile</td></tr>\n"
            f"{rows}</table>\n</body></html>\n"
        )


def _answer(status: str, text: str, kind: str = "text/plain; charset=utf-8") -> bytes:
    body = text.encode()
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode() + body
