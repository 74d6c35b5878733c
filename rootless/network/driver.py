"""What a network driver is, and the choice among them.  Warm.

A driver serves one container.  The parent (rl or the supervisor) makes it before the container,
so that everything that can be refused is refused first, and then:

    start(pid)      the container's namespaces exist: begin to connect them; doesn't wait
    finish()        wait until the network works and the TCP ports are published

    close()         the container has ended: end the helper, don't wait for it

UDP ports are forwarded by the parent itself: rootless.network.udp_forward.
"""

from rootless.errors import HostError, UsageError
from rootless.linux import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootless.network.ports import Port


class Driver:
    """No network but loopback (`none`), or the host's own (`host`): nothing to start."""

    name = "none"
    new_namespace = True
    ip = ""
    gateway = ""
    nameserver = ""  # the address that the driver answers DNS on, "" for none

    def __init__(self, ports: "Sequence[Port]" = ()) -> None:
        self.ports = list(ports)
        self.helpers: list[dict[str, object]] = []

    def start(self, pid: int) -> None:
        """Connect the namespaces of the process `pid`, which belong to us."""

    def finish(self) -> None:
        """Wait until the network works.  Raises NetworkError."""

    def close(self) -> None:
        """End the helper."""

    def descriptors(self) -> "list[int]":
        """What must stay open for the helper to live."""
        return []


class Host(Driver):
    """The host's network namespace."""

    name = "host"
    new_namespace = False


def choose(asked: str, environ: "Mapping[str, str]") -> str:
    """The driver for `--network asked`: "none", "host", "slirp4netns" or "pasta".

    For "default" the first rung that is installed: slirp4netns, which starts in 3 ms and takes
    0.5 MiB, then pasta.  Raises HostError RL-NETWORK-NO-HELPER, UsageError.
    """
    if asked in ("none", "host"):
        return asked
    if asked in ("slirp4netns", "pasta"):
        process.need_program(
            asked, environ, f"ask the admin for: apt-get install {_PACKAGE[asked]}, "
            "or use --network host or none", "RL-NETWORK-NO-HELPER",
        )  # fmt: skip
        return asked
    if asked in ("", "default", "bridge", "private"):
        for name in ("slirp4netns", "pasta"):
            if process.find_program(name, environ):
                return name
        raise HostError(
            "neither slirp4netns nor pasta is installed, so a container gets no network",
            remedy="ask the admin for: apt-get install slirp4netns, or use --network host or none",
            code="RL-NETWORK-NO-HELPER",
        )
    raise UsageError(
        f"there is no network named {asked}",
        remedy="use one of: default, none, host, slirp4netns, pasta",
        code="RL-NETWORK-UNKNOWN",
    )


_PACKAGE = {"slirp4netns": "slirp4netns", "pasta": "passt"}


def make(
    name: str, ports: "Sequence[Port]", runtime_directory: str, environ: "Mapping[str, str]"
) -> Driver:
    """The driver `name` for one container; its sockets go below `runtime_directory`."""
    if name == "slirp4netns":
        from rootless.network.slirp4netns import Slirp4netns

        return Slirp4netns(ports, runtime_directory, environ)
    if name == "pasta":
        from rootless.network.pasta import Pasta

        return Pasta(ports, runtime_directory, environ)
    return Host() if name == "host" else Driver()
