"""-L udp://, udprpc:// and udpspp://: datagrams from the host to the guest."""

import os

from rootless.network.stack.inflow import Flow, Inflow, unmapped
from rootless.network.standalone import local, proxy_protocol
from rootless.network.standalone.journal import end_text, ending
from rootless.network.udp_forward import asked_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from rootless.network.stack.incoming import Place
    from rootless.network.stack.loop import Loop
    from rootless.network.stack.spare import Spare
    from rootless.network.standalone.forwards import Forward
    from rootless.network.standalone.journal import Journal
    from rootless.network.standalone.names import Names


class _LocalFlow(Flow):
    """`header` is in front of each datagram, both ways; `line` tells of it when it has ended."""

    __slots__ = ("asked_port", "header", "line", "ways")

    def __init__(self, client: "Any", ancillary: "Any", ways: local.Ways, port: int) -> None:
        super().__init__(client, ancillary)
        self.ways = ways
        self.asked_port = port
        self.header = b""
        self.line = ""


class LocalUdp(Inflow):
    """One UDP forward of -L; `sock` is bound."""

    def __init__(
        self,
        loop: "Loop",
        spares: "dict[int, Spare]",
        place: "Place",
        sock: "_socket.socket",
        forward: "Forward",
        names: "Names",
        journal: "Journal",
    ) -> None:
        super().__init__(loop, spares, place, sock)
        self._forward = forward
        self._names = names
        self._journal = journal
        self._port = sock.getsockname()[1]

    def new_flow(self, client: "Any", ancillary: "Any", data: bytes) -> "Flow | None":
        here = unmapped(asked_address(ancillary)), self._port
        ways = local.Ways(self._forward, local.plain(client[:2]), here)
        flow = _LocalFlow(client, ancillary, ways, self._port)
        if self._forward.proxied:
            try:
                found = proxy_protocol.parse_simple(data)
            except ValueError as e:
                target = end_text(self._forward.host.ip, self._forward.host.port)
                self._journal.told(ways.error(target, str(e)), "failed")
                return None
            assert found.source is not None and found.asked is not None
            flow.header = data[: found.size]
            flow.source, flow.asked_port = (found.source[0], 0), found.asked[1]
        return flow

    def begin(self, flow: Flow) -> None:
        assert isinstance(flow, _LocalFlow)

        def then(found: "tuple[str, int] | None", why: str) -> None:
            if not self.has(flow):
                return
            if found is None:
                self._lose(flow, self._forward.host.label, why)
            else:
                self.connect(flow, (found[0], found[1] or flow.asked_port))

        self._names.find(self._forward.host, then)

    def began(self, flow: Flow) -> None:
        assert isinstance(flow, _LocalFlow) and flow.inside is not None
        guest = flow.inside.getsockname()[:2]
        flow.line = flow.ways.line(guest, flow.goal, "done")
        self._journal.told(f"[+] {flow.ways.line(guest, flow.goal, 'conn')}", "local", 1)

    def unwrap(self, flow: Flow, data: bytes) -> "bytes | None":
        if not self._forward.proxied:
            return data
        size = proxy_protocol.SIMPLE
        return data[size:] if len(data) >= size else None

    def wrap(self, flow: Flow) -> bytes:
        assert isinstance(flow, _LocalFlow)
        return flow.header

    def after_answer(self, flow: Flow) -> None:
        if self._forward.rpc:
            self.end(flow)

    def fail(self, flow: Flow, error: int) -> None:
        assert isinstance(flow, _LocalFlow)
        if flow.inside is None:
            self._lose(flow, end_text(*flow.goal), os.strerror(error).lower())
        else:
            super().fail(flow, error)

    def _lose(self, flow: _LocalFlow, target: str, why: str) -> None:
        self._journal.told(flow.ways.error(target, f"l=0/0 r=[{why}]/0"), "failed")
        self.end(flow)

    def ended(self, flow: Flow) -> None:
        assert isinstance(flow, _LocalFlow)
        self._journal.told(f"[-] {flow.line}: {ending(2, flow.error)}", change=-1)
