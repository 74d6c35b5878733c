"""Who has which address of a network.  Warm for containers on networks with names.

    addresses.json   {network ID: {"next": {"4": n, "6": n}, "taken": {address: container ID}}}

An address is its container's from before its start until after its end.  What a killed supervisor
has left is taken back when it is wanted: the container's lock says that nobody runs it.
"""

import os

from rootless.errors import NetworkError, RlError
from rootless.network.stack.addresses import packed, shown
from rootless.store import atomic, containers
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rootless.paths import Paths

    Document = dict[str, Any]


class Taken:
    """A container's addresses on one network; "" and 0 for a family that it has not."""

    __slots__ = ("bits", "bits6", "gateway", "gateway6", "ip", "ip6")

    def __init__(self) -> None:
        self.ip = self.ip6 = self.gateway = self.gateway6 = ""
        self.bits = self.bits6 = 0


def take(
    paths: "Paths", network: "Document", container_id: str, ip: str = "", ip6: str = ""
) -> Taken:
    """Addresses of `network` for a container: those that it asks for, or the next free ones.

    Raises NetworkError RL-NETWORK-ADDRESS, RL-NETWORK-ADDRESS-TAKEN, RL-NETWORK-FULL.
    """
    found = Taken()
    with _Book(paths) as book:
        own = book.of(network["id"])
        for row in network["subnets"]:
            if ":" in row["subnet"]:
                found.ip6 = _one(paths, network["name"], row, own, container_id, ip6, "6")
                found.bits6 = int(row["subnet"].partition("/")[2])
                found.gateway6 = row["gateway"]
            else:
                found.ip = _one(paths, network["name"], row, own, container_id, ip, "4")
                found.bits = int(row["subnet"].partition("/")[2])
                found.gateway = row["gateway"]
        for asked, got, name in ((ip, found.ip, "IPv4"), (ip6, found.ip6, "IPv6")):
            if asked and not got:
                raise NetworkError(
                    f"the network {network['name']} has no {name}, so no address {asked}",
                    remedy="leave it out, or make the network with such a --subnet",
                    code="RL-NETWORK-ADDRESS",
                )
    return found


def give_back(paths: "Paths", network_id: str, container_id: str) -> None:
    """The container has left the network."""
    try:
        with _Book(paths) as book:
            taken = book.of(network_id)["taken"]
            for address in [one for one, owner in taken.items() if owner == container_id]:
                del taken[address]
    except OSError:
        pass  # the directory is gone, with all that is in it


def clear(paths: "Paths") -> None:
    """Remove the book, if no container that runs is in it.  Its lock is there as long as it is."""
    try:
        with _Book(paths) as book:
            for own in book.everyone():
                taken = own["taken"]
                for address, owner in list(taken.items()):
                    if _is_free(paths, owner, ""):
                        del taken[address]
            if not any(own["taken"] for own in book.everyone()):
                # With what killed supervisors have left of their endpoints: endpoints.py.
                for name in os.listdir(paths.networks_runtime):
                    if name not in ("addresses.json", "addresses.lock", "lock", "socket"):
                        os.unlink(f"{paths.networks_runtime}/{name}")
                book.remove()
    except (OSError, RlError):
        pass


class _Book:
    """addresses.json, locked; written at the end of a block that raised nothing."""

    def __init__(self, paths: "Paths") -> None:
        self._path = f"{paths.networks_runtime}/addresses.json"
        self._lock = Locked(
            f"{paths.networks_runtime}/addresses.lock", what="the addresses of networks"
        )
        self._content: Document = {}
        self._removed = False

    def of(self, network_id: str) -> "Document":
        empty: Document = {"next": {}, "taken": {}}
        own: Document = self._content.setdefault(network_id, empty)
        return own

    def everyone(self) -> "list[Document]":
        return list(self._content.values())

    def remove(self) -> None:
        """Instead of writing it."""
        self._removed = True

    def __enter__(self) -> "_Book":
        while True:
            try:
                self._lock.__enter__()
                break
            except FileNotFoundError:  # the helper has gone, and its directory with it
                os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
        try:
            self._content = atomic.read_json(self._path)
        except FileNotFoundError:
            self._content = {}
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        try:
            if self._removed:
                for path in (self._path, f"{self._path[:-4]}lock"):
                    if os.path.exists(path):
                        os.unlink(path)
            elif kind is None:
                self._content = {key: one for key, one in self._content.items() if one["taken"]}
                atomic.write_json(self._path, self._content, sync=False)
        finally:
            self._lock.release()


def _one(
    paths: "Paths",
    name: str,
    row: "Document",
    own: "Document",
    container_id: str,
    wanted: str,
    family: str,
) -> str:
    """One address of a subnet, noted as taken."""
    taken: dict[str, str] = own["taken"]
    reserved = {row["gateway"], *row["aux"].values()}
    if wanted:
        wanted = shown(packed(wanted))
        _check_inside(name, row, wanted)
        owner = taken.get(wanted, "")
        if wanted in reserved or not _is_free(paths, owner, container_id):
            whose = owner[:12] if owner else "the network itself"
            raise NetworkError(
                f"the address {wanted} of the network {name} is taken by {whose}",
                remedy=f"choose another one of {row['subnet']}, or leave it to rl",
                code="RL-NETWORK-ADDRESS-TAKEN",
            )
        taken[wanted] = container_id
        return wanted
    for number, address in _candidates(row, int(own["next"].get(family, 0))):
        if address in reserved:
            continue
        if address not in taken or _is_free(paths, taken[address], container_id):
            own["next"][family] = number + 1
            taken[address] = container_id
            return address
    raise NetworkError(
        f"the network {name} has no address left in {row['ip_range'] or row['subnet']}",
        remedy="stop containers that are on it, or make a larger one",
        code="RL-NETWORK-FULL",
    )


def _candidates(row: "Document", start: int) -> "Iterator[tuple[int, str]]":
    """(number, address) of each host of the range, from `start` on and around."""
    first, last = _bounds(row["subnet"])
    size = 4 if ":" not in row["subnet"] else 16
    if size == 4:
        last -= 1  # broadcast
    first += 1
    if row["ip_range"]:
        low, high = _bounds(row["ip_range"])
        first, last = max(first, low), min(last, high)
    count = last - first + 1
    for step in range(min(count, 1 << 20)):
        number = (start + step) % count
        yield number, shown((first + number).to_bytes(size, "big"))


def _bounds(subnet: str) -> tuple[int, int]:
    """The first and the last address of a subnet, as numbers."""
    address, _, bits = subnet.partition("/")
    data = packed(address)
    host_bits = len(data) * 8 - int(bits)
    first = int.from_bytes(data, "big") >> host_bits << host_bits
    return first, first + (1 << host_bits) - 1


def _check_inside(name: str, row: "Document", wanted: str) -> None:
    first, last = _bounds(row["subnet"])
    number = int.from_bytes(packed(wanted), "big")
    broadcast = last if ":" not in wanted else -1
    if not first < number <= last or number == broadcast:
        raise NetworkError(
            f"the address {wanted} is not one for a container on the network {name}",
            remedy=f"choose one of {row['subnet']}",
            code="RL-NETWORK-ADDRESS",
        )


def _is_free(paths: "Paths", owner: str, container_id: str) -> bool:
    """Whether nobody has it, or who has it does not run any more, or is who asks."""
    if owner in ("", container_id):
        return True
    directory = paths.container(owner)
    return not os.path.isdir(directory) or containers.is_unlocked(directory)
