"""What a trace says of a start: sentences that teach what the kernel was asked for."""

from rootless.linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rootless.linux.idmap import Extent, IdMap
    from rootless.network.driver import Driver
    from rootless.runtime.limit_groups import Cgroup
    from rootless.runtime.stage import Plan

STAGE = "inside, as PID 1 of the new PID namespace"
_NAMESPACES = (
    ("user", syscalls.CLONE_NEWUSER),
    ("mount", syscalls.CLONE_NEWNS),
    ("pid", syscalls.CLONE_NEWPID),
    ("network", syscalls.CLONE_NEWNET),
    ("ipc", syscalls.CLONE_NEWIPC),
    ("uts", syscalls.CLONE_NEWUTS),
    ("cgroup", syscalls.CLONE_NEWCGROUP),
)


def names(flags: int) -> list[str]:
    """The kinds of namespaces that these bits of clone(2) make."""
    return [name for name, bit in _NAMESPACES if flags & bit]


def namespaces(flags: int) -> str:
    return f"new namespaces: {', '.join(names(flags))} (one clone(2) made a process in all of them)"


def id_maps(idmap: "IdMap") -> str:
    if idmap.single:
        return f"mapped one ID: {_extents(idmap.uids)}, by writing /proc/PID/uid_map"
    return (
        f"mapped IDs with newuidmap and newgidmap: users {_extents(idmap.uids)}; "
        f"groups {_extents(idmap.gids)}"
    )


def _extents(extents: "Sequence[Extent]") -> str:
    """ "0 is 1000 here, 1-65536 are 100000-165535"."""
    words = []
    for inside, outside, count in extents:
        last = count - 1
        words.append(
            f"{inside} is {outside} here"
            if count == 1
            else f"{inside}-{inside + last} are {outside}-{outside + last}"
        )
    return ", ".join(words)


def prepared(network: "Driver", cgroup: "Cgroup | None", resources: "Mapping[str, object]") -> str:
    words = f"chose the network {network.name}"
    if network.ports:
        words += f", and made sure that its {_count(len(network.ports), 'port')} can be had"
    if cgroup is not None:
        asked = " ".join(f"{name}={value}" for name, value in resources.items() if value)
        words += f"; set limits: {asked} ({cgroup.describe() or 'a scope of systemd'})"
    return words


def network_started(network: "Driver") -> str:
    if network.helpers:
        pids = ", ".join(str(one["pid"]) for one in network.helpers)
        return f"started {network.name} (PID {pids}), which will carry the packets"
    if network.new_namespace:
        return "left the network namespace with nothing but lo"
    return "kept the host's network namespace"


def network_up(network: "Driver") -> str:
    if not network.helpers:
        return "had no network to wait for"
    words = f"network is up: {network.name}, address {network.ip}"
    if network.gateway:
        words += f", gateway {network.gateway}"
    bound = [
        f"{port.host_text()} to {port.container_port}/{port.protocol}" for port in network.ports
    ]
    return words + (f"; bound {_count(len(bound), 'port')}: {', '.join(bound)}" if bound else "")


def command(plan: "Plan") -> str:
    process = plan.process
    kept = process.capabilities.get("bounding", ())
    user = process.user or "root"
    return f"{' '.join(process.args)} as {user}, with {len(kept)} capabilities at most"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)
