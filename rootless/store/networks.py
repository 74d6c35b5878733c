"""Networks with names on disk: networks/<name>.json.  Warm.

    {"name", "id": 64 hex, "created": RFC 3339, "driver": "bridge", "internal": bool,
     "ipv4": bool, "ipv6": bool, "dns": bool, "labels": {}, "options": {as given},
     "egress": as in network/bridge/egress.py,
     "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1", "ip_range": "", "aux": {}}]}

A container on some has {"networks": {name: {"aliases", "ip", "ip6", "mac"}}} in container.json.
"""

import os

from rootless import ids
from rootless.errors import NetworkError, RlError
from rootless.store import atomic, containers
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from rootless.paths import Paths

    Document = dict[str, Any]

ID_PREFIX_MIN = 3


def lock(paths: "Paths", *, shared: bool) -> Locked:
    """Shared: from the look at a network until a container that has it is in the store.
    Exclusive: from the look at all networks, or the containers, until one is made or gone."""
    os.makedirs(paths.networks, paths.directory_mode, exist_ok=True)
    return Locked(paths.network_lock, shared=shared, what="the networks")


def read(paths: "Paths", name: str) -> "Document | None":
    """The network called `name`, None when there is none.  Raises StoreError for a damaged one."""
    if not ids.is_name(name):
        return None
    try:
        return atomic.read_json(paths.network(name))
    except (FileNotFoundError, NotADirectoryError):
        return None


def list_all(paths: "Paths") -> "list[Document]":
    """Every network that is in the store, by name; damaged ones are left out."""
    try:
        found = sorted(os.listdir(paths.networks))
    except FileNotFoundError:
        return []
    documents = []
    for name in found:
        if not name.startswith(".") and name.endswith(".json"):
            try:
                document = read(paths, name.removesuffix(".json"))
            except RlError:
                continue
            if document is not None:
                documents.append(document)
    return documents


def find(paths: "Paths", text: str) -> "Document":
    """The network with this name, ID, or beginning of an ID.

    Raises NetworkError RL-NETWORK-NOT-FOUND, RL-NETWORK-AMBIGUOUS.
    """
    document = read(paths, text)
    if document is not None:
        return document
    found = []
    if len(text) >= ID_PREFIX_MIN and ids.is_hex(text):
        found = [one for one in list_all(paths) if str(one["id"]).startswith(text)]
    if len(found) > 1:
        raise NetworkError(
            f"several networks have an ID that begins with {text}",
            remedy="give more of it, or the name",
            code="RL-NETWORK-AMBIGUOUS",
        )
    if not found:
        raise NetworkError(
            f"no such network: {text}",
            remedy="list them with rl network ls; make one: rl network create NAME",
            code="RL-NETWORK-NOT-FOUND",
        )
    return found[0]


def users(paths: "Paths") -> "dict[str, list[str]]":
    """Network -> IDs of the containers that have it.  Nothing is reconciled: locks may be held."""
    found: dict[str, list[str]] = {}
    for container_id in containers.all_ids(paths):
        try:
            config: Document = atomic.read_json(f"{paths.container(container_id)}/container.json")
        except (FileNotFoundError, NotADirectoryError, RlError):
            continue
        for name in config.get("networks") or ():
            found.setdefault(str(name), []).append(container_id)
    return found


def remove(paths: "Paths", name: str) -> None:
    """Remove a network that no container has.  Raises NetworkError RL-NETWORK-NOT-FOUND,
    RL-NETWORK-IN-USE."""
    with lock(paths, shared=False):
        document = find(paths, name)
        owners = users(paths).get(document["name"])
        if owners:
            raise NetworkError(
                f"the network {document['name']} is in use by "
                f"{', '.join(one[:12] for one in owners)}",
                remedy="remove the containers first (rl rm), or rl network disconnect them",
                code="RL-NETWORK-IN-USE",
            )
        os.unlink(paths.network(document["name"]))


def prune(paths: "Paths", wanted: "Callable[[Document], bool]") -> "list[str]":
    """Remove the networks that no container has and for which `wanted` holds; their names."""
    done = []
    with lock(paths, shared=False):
        used = users(paths)
        for document in list_all(paths):
            name = str(document["name"])
            if name not in used and wanted(document):
                os.unlink(paths.network(name))
                done.append(name)
    return done
