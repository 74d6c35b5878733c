"""The way to the helper of the networks with names, which is started where there is none.

Warm for containers on such networks.  The helper (rootless.network.bridge.helper) listens on a
socket of the runtime directory.  Who keeps its connection open keeps the helper, and the networks:
it leaves after the last one has gone.  Messages:

    join    {container, name, hostname, dns, endpoints}  ->  joined {pid, start_time, uids, gids},
            [user namespace, network namespace]           or  error
    change  {container, name, endpoints}, from another command  ->  changed [the same two]
                                                              or  error
"""

import _socket
import os
import sys

from rootless.errors import KernelError, NetworkError
from rootless.linux import channel as channels
from rootless.linux import process
from rootless.linux.idmap import IdMap
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.context import Context

_KIND = _socket.SOCK_SEQPACKET | 0o2000000
_BACKLOG = 512
_TRIES = 5


class Lease:
    """A connection to the helper, and what it gave: both namespaces of the networks."""

    __slots__ = ("channel", "idmap", "network_fd", "pid", "user_fd")

    def __init__(
        self, channel: channels.Channel, pid: int, idmap: IdMap, user_fd: int, network_fd: int
    ) -> None:
        self.channel = channel
        self.pid = pid
        self.idmap = idmap
        self.user_fd = user_fd
        self.network_fd = network_fd

    def close(self) -> None:
        self.channel.close()
        for fd in (self.user_fd, self.network_fd):
            os.close(fd)


def join(ctx: "Context", member: "dict[str, object]", held: "Sequence[int]" = ()) -> Lease:
    """Become a member of the networks, with a helper that is started if there is none.

    `held` are the namespaces of a helper that has gone, user and network: the new one goes on with
    them.  Raises NetworkError, HostError.
    """
    directory = ctx.paths.networks_runtime
    for _ in range(_TRIES):
        os.makedirs(directory, 0o700, exist_ok=True)
        lease = _ask(directory, member)
        if lease is not None:
            return lease
        try:
            with Locked(f"{directory}/lock", what="the networks' helper"):
                lease = _ask(directory, member)  # another command may have started it
                if lease is None:
                    _start(ctx, directory, held)
                    lease = _ask(directory, member)
        except FileNotFoundError:
            continue  # a helper has just left, and has taken the directory along
        if lease is not None:
            return lease
    raise NetworkError(
        "the helper of the networks ends as soon as it is started",
        remedy="it may have been killed for memory; `rl doctor` tries what it needs",
        code="RL-NETWORK-GATEWAY",
    )


def change(ctx: "Context", body: "dict[str, object]") -> "tuple[int, int] | None":
    """Tell the helper what a member is now: {container, name, endpoints}.  Both namespaces, for
    the caller to close; None where there is no helper.

    Raises NetworkError with what it says.
    """
    channel = _connect(ctx.paths.networks_runtime)
    if channel is None:
        return None
    try:
        channel.send("change", body)
        name, content, fds = channel.receive()
    finally:
        channel.close()
    if name == "error":
        raise _error(content)
    return (fds[0], fds[1]) if name else None


def _ask(directory: str, member: "dict[str, object]") -> "Lease | None":
    """Join, None where nobody listens or who did has just left."""
    channel = _connect(directory)
    if channel is None:
        return None
    try:
        channel.send("join", member)
        name, body, fds = channel.receive()
        if name == "error":
            raise _error(body)
        if name != "joined":
            channel.close()
            return None
    except BaseException:
        channel.close()
        raise
    assert isinstance(body, dict)
    idmap = IdMap([tuple(one) for one in body["uids"]], [tuple(one) for one in body["gids"]])
    return Lease(channel, body["pid"], idmap, fds[0], fds[1])


def _error(body: object) -> NetworkError:
    assert isinstance(body, dict)
    return NetworkError(body["what"], remedy=body.get("remedy"), code=body["code"])


def _connect(directory: str) -> "channels.Channel | None":
    sock = _socket.socket(_socket.AF_UNIX, _KIND)
    try:
        with _Short(directory) as short:
            sock.connect(f"{short}/socket")
    except OSError:  # also where there is no directory
        sock.close()
        return None
    return channels.Channel(sock)


class _Short:
    """A path for a directory that leaves room for a name in sun_path: unix(7)."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._fd = -1

    def __enter__(self) -> str:
        self._fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _start(ctx: "Context", directory: str, held: "Sequence[int]") -> None:
    """Start the helper with a socket that listens already.  The caller has the lock."""
    listener = _socket.socket(_socket.AF_UNIX, _KIND)
    try:
        with _Short(directory) as short:
            try:
                os.unlink(f"{directory}/socket")
            except FileNotFoundError:
                pass
            listener.bind(f"{short}/socket")
        listener.listen(_BACKLOG)
    except OSError as e:
        listener.close()
        raise KernelError("bind", e.errno or 0, f"{directory}/socket") from e
    package = os.path.dirname(
        os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    )
    site = process.site_directories()
    given = [listener.fileno(), *held]
    argv = [
        sys.executable, "-I", "-S", ctx.helper("networks/networks.py"), package, site,
        ctx.paths.store, ctx.paths.runtime, *(str(fd) for fd in given),
    ]  # fmt: skip
    for fd in given:
        os.set_inheritable(fd, True)
    try:
        pid = os.posix_spawn(
            sys.executable,
            argv,
            ctx.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
            setsigdef=process.PYTHON_IGNORES,
        )
    finally:
        listener.close()
        for fd in held:
            os.set_inheritable(fd, False)
    os.waitpid(pid, 0)  # it goes on as somebody else's child: a container's end is not its own
