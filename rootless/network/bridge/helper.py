"""The helper of a user's networks with names: one process per store, while a container is on one.

It stays in the host's namespaces, holds those of the bridges (gateway.py), answers DNS in them
(dns.py), and has them connected to the host by a driver as a container's would be.  Packets between
containers, and the ports that are published, do not pass it.

Who joins keeps a connection open, and is a member as long as that is: client.py.  When the last has
gone, the helper ends.  When the helper is killed, a member's own process starts the next one with
the same namespaces, so that containers go on talking to each other meanwhile.
"""

import _socket
import os

from rootless.context import Context
from rootless.errors import RlError, StoreError
from rootless.linux import channel as channels
from rootless.linux import process, signals
from rootless.network import driver as drivers
from rootless.network.bridge import endpoints, guard, leases, settings
from rootless.network.bridge import gateway as gateways
from rootless.network.bridge.dns import Server
from rootless.network.bridge.names import Member, Names
from rootless.network.bridge.watch import Watch
from rootless.paths import Paths
from rootless.store import networks
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Document = dict[str, Any]

LINGER_S = 1.0  # a command that comes after the last one finds all ready
_TAKE_MAX = 16


def main(argv: "list[str]") -> int:
    """STORE RUNTIME LISTENER-FD [USER-FD NETWORK-FD], the descriptors inherited."""
    store, runtime, *numbers = argv
    fds = [int(number) for number in numbers]
    for fd in fds:
        os.set_inheritable(fd, False)
    for number in (signals.SIGHUP, signals.SIGINT, signals.SIGQUIT):
        signals.ignore(number)
    process.set_title("rl-networks")
    ctx = Context(
        paths=Paths(store, runtime),
        uid=os.getuid(),
        gid=os.getgid(),
        home=os.environ.get("HOME", "/"),
        environ=os.environ,
        config={},
        debug=False,
    )
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fds[0])
    try:
        helper = Helper(ctx, listener, fds[1:])
    except RlError as e:
        _refuse_all(listener, e)
        return 1
    helper.watch.run()
    helper.close()
    return 0


def _refuse_all(listener: "_socket.socket", failure: RlError) -> None:
    """Tell who has come why there are no networks."""
    listener.setblocking(True)
    fd, _ = listener._accept()  # type: ignore[attr-defined]
    channel = channels.from_fd(fd)
    channel.receive()
    channel.send("error", _told(failure))


def _told(failure: RlError) -> "Document":
    return {"what": failure.what, "remedy": failure.remedy, "code": failure.code}


class _Network:
    """One that a member is on."""

    __slots__ = ("device", "document", "settings")

    def __init__(self, document: "Document") -> None:
        self.document = document
        self.device = endpoints.device_name(document)
        self.settings = settings.of(document["options"], ipv6=document["ipv6"])


class Helper:
    """The loop's handlers."""

    def __init__(self, ctx: Context, listener: "_socket.socket", held: "Sequence[int]") -> None:
        self._ctx = ctx
        self._gateway = gateways.Gateway(ctx, held)
        self.watch = Watch()
        self._names = Names()
        self._guard = guard.Guard(self.watch, self._names, ctx.paths)
        self._dns = Server(self.watch, self._names, self._may_ask, self._guard.answered)
        self._networks: dict[str, _Network] = {}
        self._outside: drivers.Driver | None = None
        self._outside_pidfd = -1
        self._channels: dict[int, tuple[channels.Channel, str]] = {}
        self._listener = listener
        self._ending = 0
        listener.setblocking(False)
        self.watch.watch(listener.fileno(), self._on_client, 0)
        # Whoever started it comes next; if not, nobody does.
        self._leave_soon()

    # Members.

    def _on_client(self, _argument: int) -> None:
        for _ in range(_TAKE_MAX):
            try:
                fd, _ = self._listener._accept()  # type: ignore[attr-defined]
            except OSError:
                return
            os.set_inheritable(fd, False)
            channel = channels.Channel(
                _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd)
            )
            self._channels[fd] = (channel, "")
            self.watch.watch(fd, self._on_message, fd)

    def _on_message(self, fd: int) -> None:
        channel, _ = self._channels[fd]
        try:
            name, body, _ = channel.receive()
        except (RlError, ValueError):
            name, body = "", None
        if not name:
            self._let_go(fd)
            return
        try:
            assert isinstance(body, dict)
            if name == "join":
                self._join(channel, body)
                self._channels[fd] = (channel, str(body["container"]))
            elif name == "change":
                self._change(body)
                channel.send("changed", None, [self._gateway.user_fd, self._gateway.network_fd])
        except RlError as e:
            channel.send("error", _told(e))
        except OSError as e:
            channel.send("error", _told(gateways.failure(e.strerror or str(e))))

    def _join(self, channel: channels.Channel, body: "Document") -> None:
        member = Member(body)
        self._names.add(member)
        try:
            self._prepare(member)
        except RlError:
            self._names.remove(member.container)
            raise
        channel.send(
            "joined",
            {
                "pid": os.getpid(),
                "uids": self._gateway.idmap.uids,
                "gids": self._gateway.idmap.gids,
            },
            [self._gateway.user_fd, self._gateway.network_fd],
        )
        self._ending += 1
        self.watch.call_after(0.1, _load_dns)

    def _change(self, body: "Document") -> None:
        """A member is on other networks now, or has another name."""
        member = self._names.get(str(body["container"]))
        if member is None:
            return
        former = member.endpoints
        member.name = str(body["name"])
        member.endpoints = dict(body["endpoints"])
        self._names.add(member)
        try:
            self._prepare(member)
        except RlError:
            member.endpoints = former
            self._names.add(member)
            raise
        self._forget_unused()

    def _let_go(self, fd: int) -> None:
        channel, container = self._channels.pop(fd)
        self.watch.forget(fd)
        channel.close()
        if container and not any(one == container for _, one in self._channels.values()):
            self._names.remove(container)
            self._forget_unused()
        if not self._channels:
            self._leave_soon()

    # Networks.

    def _prepare(self, member: Member) -> None:
        """Have the bridges of a member's networks, and the way out where one leads there."""
        new = []
        for network_id, endpoint in member.endpoints.items():
            if network_id not in self._networks:
                document = networks.find(self._ctx.paths, endpoint["network"])
                if document["id"] != network_id:
                    networks.find(self._ctx.paths, network_id)  # removed, and made anew
                new.append(_Network(document))
        if not new and not self._guard.wanted:
            return
        if new:
            # One that was removed a moment ago may have had the addresses of a new one.
            self._forget_unused()
        if not all(one.document["internal"] for one in new):
            self._connect()
        there = [*self._networks.values(), *new]
        rules = self._rules(there)
        guards = self._guard.wanted and not self._guard.ready

        def work() -> "list[_socket.socket]":
            sockets = guard.sockets() if guards else []
            for one in new:
                gateways.add_bridge(one.device, one.document, one.settings.mtu)
                if one.document["dns"]:
                    subnets = one.document["subnets"]
                    sockets += gateways.dns_sockets([row["gateway"] for row in subnets])
            rules.load()
            return sockets

        made = [_socket.socket(fileno=fd) for fd in self._gateway.run(work)]
        if guards:
            self._guard.use(made.pop(0), made.pop(0))
        for one in new:
            self._networks[one.document["id"]] = one
            if one.document["dns"]:
                count = 2 * len(one.document["subnets"])
                self._dns.add(one.document["id"], made[:count])
                del made[:count]

    def _rules(self, there: "Sequence[_Network]") -> gateways.Rules:
        self._guard.set_networks(
            {one.document["id"]: one.document.get("egress") or {} for one in there}
        )
        found = [(one.device, one.document, one.settings) for one in there]
        return gateways.Rules(found, self._guard)

    def _forget_unused(self) -> None:
        """Remove the bridges that nobody is on any more."""
        used = {one for member in self._names.everyone() for one in member.endpoints}
        unused = [one for key, one in self._networks.items() if key not in used]
        if not used or not (unused or self._guard.wanted):
            return  # the last ones stay for who comes next, or go with the namespace
        for one in unused:
            del self._networks[one.document["id"]]
            self._dns.remove(one.document["id"])
        rules = self._rules(list(self._networks.values()))

        def work() -> "list[_socket.socket]":
            for one in unused:
                gateways.remove_bridge(one.device)
            rules.load()
            return []

        try:
            self._gateway.run(work)
        except RlError:
            pass  # a bridge without containers harms nobody

    def _may_ask(self, member: Member, name: str) -> bool:
        """Whether a member may look up a name that is not ours: one of its networks is not
        internal, and no policy is against it."""
        outside = any(
            not self._networks[one].document["internal"]
            for one in member.endpoints
            if one in self._networks
        )
        return outside and self._guard.may_ask(member, name)

    # The way out.

    def _connect(self) -> None:
        """Connect the namespace to the host, as a container's would be."""
        if self._outside is not None:
            return
        name = drivers.choose("", self._ctx.environ)
        runtime_directory = f"{self._ctx.paths.networks_runtime}/outside"
        outside = drivers.make(name, [], runtime_directory, self._ctx.environ)
        try:
            outside.start(self._gateway.holder)
            outside.finish()
        except RlError:
            outside.close()
            raise
        outside.serve(self.watch)
        self._outside = outside
        for one in outside.helpers:
            self._outside_pidfd = os.pidfd_open(int(str(one["pid"])))
            self.watch.watch(self._outside_pidfd, self._on_outside_end, 0)

    def _on_outside_end(self, _argument: int) -> None:
        """What carried the packets was killed: start it anew."""
        self._disconnect()
        try:
            self._connect()
        except RlError:
            self.watch.call_after(1.0, lambda: self._on_outside_end(0))

    def _disconnect(self) -> None:
        if self._outside_pidfd >= 0:
            self.watch.forget(self._outside_pidfd)
            os.close(self._outside_pidfd)
            self._outside_pidfd = -1
        if self._outside is not None:
            self._outside.close()
            for one in self._outside.helpers:
                try:
                    os.waitpid(int(str(one["pid"])), 0)
                except ChildProcessError:
                    pass  # its driver has done so
            self._outside = None

    # The end.

    def _leave_soon(self) -> None:
        self._ending += 1
        turn = self._ending
        self.watch.call_after(LINGER_S, lambda: self._leave(turn))

    def _leave(self, turn: int) -> None:
        """End, unless somebody has come; the lock keeps others from starting the next helper
        before the socket is gone."""
        if turn != self._ending or self._channels:
            return
        directory = self._ctx.paths.networks_runtime
        try:
            with Locked(f"{directory}/lock", wait_s=0):
                self._on_client(0)
                if not self._channels:
                    os.unlink(f"{directory}/socket")
                    self.watch.end()
                    self._clear(directory)
        except StoreError:
            self._leave_soon()  # another command is about to come
        except FileNotFoundError:
            self.watch.end()

    def _clear(self, directory: str) -> None:
        """Leave nothing in the runtime directory.  Who waits for a lock there finds that its file
        has gone, and makes it anew."""
        leases.clear(self._ctx.paths)
        os.unlink(f"{directory}/lock")
        try:
            os.rmdir(directory)
        except OSError:
            pass  # a container is about to start, and has an address already

    def close(self) -> None:
        self._disconnect()


def _load_dns() -> None:
    """Before the first question waits for it."""
    import dnslib  # type: ignore[import-untyped]  # noqa: F401
