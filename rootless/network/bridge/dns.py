"""The name server of the networks: their own names, and a way to the host's resolvers.

RFC 1035, RFC 6891 (sizes), RFC 7766 (TCP).  It listens on the gateways' addresses, and knows who
asks by the address that a question comes from.  A name that nobody on the asker's networks has
goes, as it came, to the servers of the host's resolv.conf, or those of the asker's --dns; what
they answer comes back as it is, if it answers the question.
"""

import _socket
import errno

from rootless.network.bridge.names import Member, Names
from rootless.network.stack.addresses import packed
from rootless.network.stack.policy import Resolvers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.network.bridge.watch import Watch

PORT = 53
TTL_S = 0  # a container that is restarted may have another address
ANSWER_TIMEOUT_S = 2.0
TRIES = 3
WAITING_MAX = 1024  # questions that others are asked
CACHE_MAX = 4096
_HEADER = 12
_UDP_MAX, _UDP_PLAIN = 65535, 512
_BURST = 64
_FORMAT_ERROR, _SERVER_FAILURE, _NO_NAME, _NOT_IMPLEMENTED, _REFUSED = 1, 2, 3, 4, 5
_QR, _TC, _RD, _RA = 0x80, 0x02, 0x01, 0x80
_A, _PTR, _AAAA, _OPT, _ANY = 1, 12, 28, 41, 255


class Server:
    """All sockets of the networks' name server.

    `may_ask(member, name)` tells whether a member may ask about a name that is not ours;
    `answered(member, name, answer)` is called before it gets an answer to that.
    """

    def __init__(
        self,
        watch: "Watch",
        names: Names,
        may_ask: "Callable[[Member, str], bool]",
        answered: "Callable[[Member, str, bytes], None]",
    ) -> None:
        self._watch = watch
        self._names = names
        self._may_ask = may_ask
        self.answered = answered
        self._resolvers = Resolvers()
        self._sockets: dict[str, list[_socket.socket]] = {}
        self._by_fd: dict[int, _socket.socket] = {}
        self._cache: dict[bytes, bytes] = {}
        self._cached_generation = -1
        self._waiting: set[Asked] = set()
        self._streams = 0

    def add(self, network_id: str, sockets: "list[_socket.socket]") -> None:
        """Serve on the sockets that rootless.network.bridge.gateway.dns_sockets() made."""
        self._sockets[network_id] = sockets
        for sock in sockets:
            sock.setblocking(False)
            self._by_fd[sock.fileno()] = sock
            kind = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_TYPE)
            handler = self._on_datagrams if kind == _socket.SOCK_DGRAM else self._on_clients
            self._watch.watch(sock.fileno(), handler, sock.fileno())

    def remove(self, network_id: str) -> None:
        for sock in self._sockets.pop(network_id, ()):
            self._watch.forget(sock.fileno())
            del self._by_fd[sock.fileno()]
            sock.close()

    def _on_datagrams(self, fd: int) -> None:
        sock = self._by_fd.get(fd)
        if sock is None:
            return
        for _ in range(_BURST):
            try:
                data, client = sock.recvfrom(_UDP_MAX)
            except OSError:
                return
            asker = self._names.who(client[0].partition("%")[0])

            def reply(answer: bytes, to: "Any" = client) -> None:
                try:
                    sock.sendto(answer, to)
                except OSError:
                    pass  # it has gone

            if asker is not None:
                self.ask(asker, data, reply, stream=False)

    def ask(
        self, asker: Member, data: bytes, reply: "Callable[[bytes], None]", *, stream: bool
    ) -> None:
        """Answer a question, now or later; one that is none gets no answer."""
        if len(data) < _HEADER or data[2] & _QR:
            return
        if self._cached_generation != self._names.generation:
            self._cache = {}
            self._cached_generation = self._names.generation
        key = asker.container.encode() + data[2:]
        known = self._cache.get(key)
        if known is not None:
            reply(data[:2] + known)
            return
        answer, kept, name = self._own(asker, data)
        if answer is not None:
            if kept and len(self._cache) < CACHE_MAX:
                self._cache[key] = answer[2:]
            reply(answer)
        elif not self._may_ask(asker, name):
            reply(_bare(data, _NO_NAME))
        elif len(self._waiting) >= WAITING_MAX:
            reply(_bare(data, _SERVER_FAILURE))
        else:
            Asked(self, asker, name, data, reply, stream=stream)

    def _own(self, asker: Member, data: bytes) -> "tuple[bytes | None, bool, str]":
        """The answer if the question is about our networks, whether it is the next one's, too,
        and the name that is asked for."""
        import dnslib  # type: ignore[import-untyped]  # 40 ms: not before somebody asks

        if data[2] & 0x78:
            return _bare(data, _NOT_IMPLEMENTED), False, ""
        try:
            request = dnslib.DNSRecord.parse(data)
        except Exception:
            # dnslib raises more than its DNSError for what strangers send.
            return _bare(data, _FORMAT_ERROR), False, ""
        if len(request.questions) != 1:
            return _bare(data, _FORMAT_ERROR), False, ""
        name = str(request.q.qname).rstrip(".").lower()
        response = request.reply(ra=1, aa=1)
        address = _reversed(name)
        if address is not None:
            found = self._names.reverse(asker, address)
            if found is None:
                return None, False, name
            if request.q.qtype in (_PTR, _ANY):
                response.add_answer(
                    dnslib.RR(request.q.qname, _PTR, ttl=TTL_S, rdata=dnslib.PTR(found))
                )
            return bytes(response.pack()), True, name
        endpoints = self._names.forward(asker, name)
        if endpoints is None:
            return None, False, name
        for endpoint in endpoints:
            for kind, value, make in (
                (_A, endpoint["ip"], dnslib.A), (_AAAA, endpoint["ip6"], dnslib.AAAA),
            ):  # fmt: skip
                if value and request.q.qtype in (kind, _ANY):
                    response.add_answer(
                        dnslib.RR(request.q.qname, kind, ttl=TTL_S, rdata=make(value))
                    )
        return bytes(response.pack()), len(endpoints) == 1, name

    # Names of others.

    def servers(self, asker: Member) -> "list[str]":
        """Whom to ask for this member, at most TRIES."""
        if asker.dns:
            return asker.dns[:TRIES]
        found: list[str] = []
        for _ in range(TRIES):
            server = self._resolvers.current()
            if not server or server in found:
                break
            found.append(server)
            self._resolvers.give_up(server)
        for server in reversed(found):  # as they were
            self._resolvers.give_up(server)
        return found[:TRIES]

    # TCP.

    def _on_clients(self, listener_fd: int) -> None:
        listener = self._by_fd.get(listener_fd)
        if listener is None:
            return
        for _ in range(_BURST):
            try:
                fd, client = listener._accept()  # type: ignore[attr-defined]
            except OSError:
                return
            sock = _socket.socket(listener.family, _socket.SOCK_STREAM, 0, fd)
            asker = self._names.who(client[0].partition("%")[0])
            if asker is None or self._streams >= Stream.MOST:
                sock.close()
                continue
            self._streams += 1
            Stream(self, self._watch, sock, asker)

    def stream_ended(self) -> None:
        self._streams -= 1


class Asked:
    """A question that goes to one server after the other until there is an answer to it."""

    def __init__(
        self,
        server: Server,
        asker: Member,
        name: str,
        data: bytes,
        reply: "Callable[[bytes], None]",
        *,
        stream: bool,
    ) -> None:
        self._server = server
        self._asker = asker
        self._name = name
        self._data = data
        self._reply = reply
        self._stream = stream
        self._left = server.servers(asker)
        self._sock: _socket.socket | None = None
        self._got = b""
        self._turn = 0
        server._waiting.add(self)
        self._next()

    def _next(self) -> None:
        """Ask the next server, or give up."""
        self._forget()
        self._turn += 1
        turn = self._turn
        while self._left:
            sock = self._reach(self._left.pop(0))
            if sock is not None:
                self._sock = sock
                self._got = b""
                watch = self._server._watch
                if self._stream:
                    watch.watch(sock.fileno(), self._on_connected, 0, watch.OUT)
                else:
                    watch.watch(sock.fileno(), self._on_datagram, 0)
                watch.call_after(ANSWER_TIMEOUT_S, lambda: self._on_time(turn))
                return
        self._finish(_bare(self._data, _SERVER_FAILURE))

    def _reach(self, where: str) -> "_socket.socket | None":
        """A socket to that server, with the question sent where it is one for datagrams."""
        family = _socket.AF_INET6 if ":" in where else _socket.AF_INET
        kind = _socket.SOCK_STREAM if self._stream else _socket.SOCK_DGRAM
        sock = None
        try:
            sock = _socket.socket(family, kind)
            sock.setblocking(False)
            sock.connect((where, PORT))
            if not self._stream:
                sock.send(self._data)
        except BlockingIOError:
            pass
        except OSError:
            if sock is not None:
                sock.close()
            return None
        return sock

    def _on_time(self, turn: int) -> None:
        if self in self._server._waiting and turn == self._turn:
            self._next()

    def _on_datagram(self, _argument: int) -> None:
        assert self._sock is not None
        try:
            answer = self._sock.recv(_UDP_MAX)
        except OSError as e:
            if e.errno not in (errno.EAGAIN, errno.EINTR):
                self._next()
            return
        if _answers(self._data, answer):
            self._finish(answer)

    def _on_connected(self, _argument: int) -> None:
        assert self._sock is not None
        watch = self._server._watch
        watch.forget(self._sock.fileno())
        try:
            self._sock.send(len(self._data).to_bytes(2, "big") + self._data)
        except OSError:
            self._next()
            return
        watch.watch(self._sock.fileno(), self._on_stream, 0)

    def _on_stream(self, _argument: int) -> None:
        assert self._sock is not None
        try:
            data = self._sock.recv(_UDP_MAX + 2)
        except OSError as e:
            if e.errno not in (errno.EAGAIN, errno.EINTR):
                self._next()
            return
        self._got += data
        size = int.from_bytes(self._got[:2], "big")
        if len(self._got) >= 2 + size > 2:
            answer = self._got[2 : 2 + size]
            if _answers(self._data, answer):
                self._finish(answer)
                return
            data = b""
        if not data:
            self._next()

    def _finish(self, answer: bytes) -> None:
        self._forget()
        self._server.answered(self._asker, self._name, answer)
        self._server._waiting.discard(self)
        self._reply(answer if self._stream else _fitting(self._data, answer))

    def _forget(self) -> None:
        if self._sock is not None:
            self._server._watch.forget(self._sock.fileno())
            self._sock.close()
            self._sock = None


class Stream:
    """A client's TCP connection: questions with their length before them."""

    MOST = 128
    IDLE_S = 10.0

    def __init__(
        self, server: Server, watch: "Watch", sock: "_socket.socket", asker: Member
    ) -> None:
        self._server = server
        self._watch = watch
        self._sock: _socket.socket | None = sock
        self._asker = asker
        self._got = b""
        self._turn = 0
        sock.setblocking(False)
        watch.watch(sock.fileno(), self._on_data, 0)
        self._rest()

    def _rest(self) -> None:
        self._turn += 1
        turn = self._turn
        self._watch.call_after(self.IDLE_S, lambda: self.close() if turn == self._turn else None)

    def _on_data(self, _argument: int) -> None:
        if self._sock is None:
            return
        try:
            data = self._sock.recv(_UDP_MAX + 2)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._got += data
        while len(self._got) >= 2:
            size = int.from_bytes(self._got[:2], "big")
            if len(self._got) < 2 + size:
                break
            question, self._got = self._got[2 : 2 + size], self._got[2 + size :]
            if len(question) < _HEADER:
                self.close()
                return
            self._rest()
            self._server.ask(self._asker, question, self._send, stream=True)

    def _send(self, answer: bytes) -> None:
        if self._sock is None:
            return
        data = len(answer).to_bytes(2, "big") + answer
        try:
            # Its buffer takes any one answer; who reads none of many is let go.
            if self._sock.send(data) == len(data):
                return
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        if self._sock is not None:
            self._watch.forget(self._sock.fileno())
            self._sock.close()
            self._sock = None
            self._server.stream_ended()


def _bare(question: bytes, code: int) -> bytes:
    """An answer without records: the question's header, and the question if it is whole."""
    flags = bytes([_QR | question[2] & (0x78 | _RD), _RA | code])
    end = _question_end(question)
    count = b"\0\1" if end else b"\0\0"
    return question[:2] + flags + count + bytes(6) + (question[_HEADER:end] if end else b"")


def _question_end(data: bytes) -> int:
    """Where the first question ends; 0 when there is none, or it does not end."""
    if data[4:6] == b"\0\0":
        return 0
    place = _HEADER
    while place < len(data) and data[place]:
        if data[place] > 63:
            return 0  # a pointer has nothing to point to
        place += 1 + data[place]
    end = place + 5
    return end if end <= len(data) else 0


def _answers(question: bytes, answer: bytes) -> bool:
    """Whether `answer` is one to `question`: the same ID, and the same question."""
    if len(answer) < _HEADER or answer[:2] != question[:2] or not answer[2] & _QR:
        return False
    if answer[4:6] == b"\0\0":
        return bool(answer[3] & 0x0F)
    end = _question_end(question)
    return bool(end) and answer[_HEADER:end].lower() == question[_HEADER:end].lower()


def _fitting(question: bytes, answer: bytes) -> bytes:
    """`answer`, or where it is larger than the asker takes, the word to ask over TCP."""
    if len(answer) <= _UDP_PLAIN or len(answer) <= _size_taken(question):
        return answer
    cut = _bare(question, answer[3] & 0x0F)
    return cut[:2] + bytes([cut[2] | _TC]) + cut[3:]


def _size_taken(question: bytes) -> int:
    """The size of datagrams that the asker takes: its OPT record (RFC 6891, 6.1.2)."""
    place = _question_end(question)
    if question[6:10] != bytes(4) or question[10:12] == b"\0\0" or not place:
        return _UDP_PLAIN
    if question[place : place + 3] != b"\0\0\x29":
        return _UDP_PLAIN
    return max(_UDP_PLAIN, int.from_bytes(question[place + 3 : place + 5], "big"))


def _reversed(name: str) -> "bytes | None":
    """The address of a name in in-addr.arpa or ip6.arpa; None for any other name."""
    labels = name.split(".")
    try:
        if name.endswith(".in-addr.arpa") and len(labels) == 6:
            return packed(".".join(reversed(labels[:4])))
        if name.endswith(".ip6.arpa") and len(labels) == 34:
            return bytes.fromhex("".join(reversed(labels[:32])))
    except (OSError, ValueError):
        pass
    return None
