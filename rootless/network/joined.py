"""The network of another container, or of a namespace that is there: container:ID and ns:PATH.

The container shares the user namespace that the network namespace belongs to, so that its root has
the same rights over the network as the one that was there before.
"""

import errno
import os

from rootless.errors import ContainerError, NetworkError
from rootless.linux import syscalls
from rootless.network import driver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.store.containers import Container

_NS_GET_USERNS, _NS_GET_NSTYPE = 0xB701, 0xB703  # ioctl_ns(2)


class Joined(driver.Driver):
    """A network that others look after.  `name` is "container:…" or "ns:…"."""

    def __init__(self, name: str, user_fd: int, network_fd: int, like: "Container | None") -> None:
        """`like` is the container that it is of, whose /etc/hosts and resolv.conf it has too."""
        super().__init__()
        self.name = name
        self.user_namespace_fd = user_fd
        self.network_namespace_fd = network_fd
        self.like = like.directory if like is not None else ""

    def close(self) -> None:
        for fd in (self.user_namespace_fd, self.network_namespace_fd):
            if fd >= 0:
                os.close(fd)
        self.user_namespace_fd = self.network_namespace_fd = -1


def join(ctx: "Context", name: str) -> Joined:
    """The driver for "container:ID" or "ns:PATH".  Raises ContainerError, NetworkError."""
    kind, _, what = name.partition(":")
    if kind == "container":
        from rootless.store import containers

        other = containers.find(ctx, what)
        pidfd = other.pidfd()
        if pidfd < 0:
            raise ContainerError(
                f"cannot join the network of {other.name}: the container is not running",
                remedy=f"start it first: rl start {other.name}",
                code="RL-CONTAINER-NOT-RUNNING",
            )
        os.close(pidfd)
        place = f"/proc/{other.state['pid']}/ns"
        user_fd = os.open(f"{place}/user", os.O_RDONLY | os.O_CLOEXEC)
        return Joined(name, user_fd, os.open(f"{place}/net", os.O_RDONLY | os.O_CLOEXEC), other)
    return _at_path(ctx, name, what)


def _at_path(ctx: "Context", name: str, path: str) -> Joined:
    import fcntl

    try:
        network_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as e:
        raise _refused(path, e.strerror or "") from e
    user_fd = -1
    try:
        if fcntl.ioctl(network_fd, _NS_GET_NSTYPE) != syscalls.CLONE_NEWNET:
            raise _refused(path, "it is a namespace of another kind")
        user_fd = fcntl.ioctl(network_fd, _NS_GET_USERNS)
        os.set_inheritable(user_fd, False)
        _check_owner(ctx, path, user_fd)
    except BaseException as e:
        os.close(network_fd)
        if user_fd >= 0:
            os.close(user_fd)
        if isinstance(e, OSError):
            why = "it is no namespace" if e.errno == errno.ENOTTY else "it is not yours"
            raise _refused(path, why) from e
        raise
    return Joined(name, user_fd, network_fd, None)


def _check_owner(ctx: "Context", path: str, user_fd: int) -> None:
    """Whether containers can be in the user namespace that the network namespace belongs to."""
    from rootless.store import mapping

    mine = os.stat("/proc/self/ns/user")
    there = os.fstat(user_fd)
    if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
        raise _refused(path, "it belongs to the host's root")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            syscalls.setns(user_fd, syscalls.CLONE_NEWUSER)
            with open("/proc/self/uid_map", "rb") as file:
                os.write(writing, file.read())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        lines = [line.split() for line in file.read().splitlines()]
    os.waitpid(child, 0)
    extents = [tuple(int(word) for word in line) for line in lines]
    if extents != [tuple(one) for one in mapping.default_map(ctx).uids]:
        raise _refused(path, "its user namespace has other IDs than containers have")


def _refused(path: str, why: str) -> NetworkError:
    return NetworkError(
        f"cannot join the network namespace {path}: {why}",
        remedy="join one that was made in `rl unshare` by unshare --net, as /proc/PID/ns/net",
        code="RL-NETWORK-JOIN",
    )
