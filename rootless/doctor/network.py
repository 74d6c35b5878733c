"""Network helpers, really started on a network namespace for a moment."""

import errno
import os
import socket
import tempfile

from rootless.context import Context
from rootless.doctor.namespaces import Target
from rootless.doctor.verdict import UNAVAILABLE, UNTESTED, Ladder, Rung
from rootless.errors import RlError
from rootless.linux import hostfacts, process, syscalls
from rootless.linux.hostneeds import device_problem
from rootless.linux.hostread import HostProblem, number, read, sysctl_request
from rootless.linux.idmap import IdMap
from rootless.network import driver

PACKAGES = {"slirp4netns": "slirp4netns", "pasta": "passt"}
COSTS = {
    "slirp4netns": "0.5 MiB per container, IPv4 only",
    "pasta": "15 MiB per container, IPv6 too",
    "netstack": "no program needed, IPv6 too",
}


def probe_helper(ctx: Context, maps: IdMap | None, name: str) -> list[Ladder]:
    """Connect a network namespace with slirp4netns, pasta or netstack."""
    if name != "netstack":
        problem = _problem_of_program(ctx, name)
        if problem is not None:
            return _one(problem)
    if maps is None:
        return _one(Rung(name, UNTESTED, "needs user namespaces"))
    try:
        with tempfile.TemporaryDirectory(prefix="rl-doctor-") as directory:
            _connect(ctx, maps, name, directory)
    except RlError as e:
        return _one(Rung.failed(name, e))
    return _one(Rung(name, why=COSTS[name]))


def _problem_of_program(ctx: Context, name: str) -> Rung | None:
    """What is missing for slirp4netns and pasta."""
    if process.find_program(name, ctx.environ) is None:
        package = PACKAGES[name]
        return Rung(
            name,
            UNAVAILABLE,
            f"{name} is not installed",
            f"fetch it with rl setup {name}, or install the package {package}",
            f"sudo apt-get install {package}      # or: sudo dnf install {package}",
            "RL-NETWORK-NO-HELPER",
        )
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as e:
        return Rung.failed(name, hostfacts.explain_tun_failure(e.errno or errno.EIO))
    return None


def _connect(ctx: Context, maps: IdMap, name: str, directory: str) -> None:
    network = driver.make(name, [], f"{directory}/n", ctx.environ, alone=True)
    with Target(ctx, maps, syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS) as target:
        try:
            network.start(target.pid)
            network.finish()
        finally:
            network.close()


def _one(rung: Rung) -> list[Ladder]:
    return [Ladder("network", "Network", [rung], required=True)]


def merge(ladders: list[Ladder], pick: str, possible: bool) -> Ladder:
    """One ladder; `none` and `host` need no helper and are the user's to ask for."""
    rungs = [rung for ladder in ladders for rung in ladder.rungs]
    rungs.append(Rung("host", why="--network host: the host's own network, no isolation"))
    if possible:
        rungs.append(Rung("none", why="--network none: loopback only"))
    else:
        rungs.append(Rung("none", UNTESTED, "needs user namespaces"))
    # Without one that connects them there still are containers, for who asks for host or none.
    return Ladder("network", "Network", rungs, pick=pick, on_request=["host", "none"])


# Ports and ping.


def probe_ports(ctx: Context) -> list[Ladder]:
    """Which ports of the host can be published, and whether ping works."""
    first = number("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    first = 1024 if first is None else first
    ladder = Ladder("low-ports", "Ports below 1024")
    if first <= 80 or _can_bind(80):
        ladder.rungs.append(Rung("-p 80:80", why=f"ports from {first} on can be published"))
    else:
        problem = HostProblem(
            f"ports below {first} are for root (sysctl net.ipv4.ip_unprivileged_port_start)",
            code="RL-PORT-PRIVILEGED",
            remedy="publish a higher port, such as -p 8080:80",
            admin=sysctl_request("net.ipv4.ip_unprivileged_port_start", "80"),
        )
        ladder.rungs.append(Rung.failed("-p 80:80", problem))
    return [ladder, _ping(ctx)]


def _can_bind(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as e:
            return e.errno == errno.EADDRINUSE  # the permission is checked first
    return True


def _ping(ctx: Context) -> Ladder:
    ladder = Ladder("ping", "Ping")
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
        ladder.rungs.append(Rung("ICMP sockets", why="allowed for this user's group"))
    except OSError as e:
        shown = " ".join(read("/proc/sys/net/ipv4/ping_group_range").split())
        problem = HostProblem(
            f"group {ctx.gid} may not send echo requests: {e.strerror} "
            f"(sysctl net.ipv4.ping_group_range is {shown})",
            code="RL-HOST-PING",
            remedy="test with a TCP connection; or ask an administrator for: "
            'sysctl -w net.ipv4.ping_group_range="0 2147483647"',
            admin=sysctl_request("net.ipv4.ping_group_range", "0 2147483647"),
        )
        ladder.rungs.append(Rung.failed("ICMP sockets", problem))
    return ladder


# Devices.


def probe_devices(ctx: Context) -> list[Ladder]:
    """The two device nodes that helpers open."""
    ladders = []
    for path, module, use in (
        ("/dev/net/tun", "tun", "slirp4netns and pasta"),
        ("/dev/fuse", "fuse", "fuse-overlayfs"),
    ):
        ladder = Ladder(module, "Devices")
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            ladder.rungs.append(Rung(path, why=f"for {use}"))
        except OSError as e:
            problem = device_problem(path, module, e.errno or errno.EIO)
            ladder.rungs.append(Rung.failed(path, problem))
        ladders.append(ladder)
    return ladders
