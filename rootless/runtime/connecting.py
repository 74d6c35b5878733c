"""Containers that are connected with networks, and disconnected, after they were made."""

import os
import time

from rootless.errors import ContainerError, NetworkError
from rootless.network import driver as drivers
from rootless.network.bridge import client, endpoints, leases, plug
from rootless.runtime import network_files
from rootless.store import atomic, containers, events, networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.store.containers import Container

    Document = dict[str, Any]

_HELPER_S = 5.0  # for a helper that was killed to be followed by another one
_PAUSE_S = 0.02


def connect(
    ctx: "Context", network: "Document", container: "Container", wanted: "Document"
) -> None:
    """Put a container on a network, too; one that does not run is on it when it is started.

    `wanted` has "aliases", "ip", "ip6" and "mac".  Raises NetworkError, ContainerError.
    """
    name = str(network["name"])
    own: Document = container.config.get("networks") or {}
    if name in own:
        raise NetworkError(
            f"{container.name} is on the network {name} already",
            remedy=f"take it off first: rl network disconnect {name} {container.name}",
            code="RL-NETWORK-CONNECTED",
        )
    _check_mode(container)
    if container.running:
        with endpoints.lock(ctx.paths, container.id):
            _plug(ctx, container, name, wanted)
    container.config["network"] = "bridge"
    container.config["networks"] = {**own, name: wanted}
    _save(container)
    _record(ctx, network, container, "connect")


def disconnect(ctx: "Context", network: "Document", container: "Container") -> None:
    """Take a container off a network.  Raises NetworkError, ContainerError."""
    name = str(network["name"])
    own: Document = container.config.get("networks") or {}
    if name not in own:
        raise NetworkError(
            f"{container.name} is not on the network {name}",
            remedy=f"rl network inspect {name} shows who is",
            code="RL-NETWORK-CONNECTED",
        )
    if container.running:
        with endpoints.lock(ctx.paths, container.id):
            _unplug(ctx, container, network)
    container.config["networks"] = {key: one for key, one in own.items() if key != name}
    _save(container)
    _record(ctx, network, container, "disconnect")


def renamed(ctx: "Context", container: "Container") -> None:
    """A running container has another name for the others."""
    found = endpoints.read(ctx.paths, container.id)
    if found:
        _close(_tell(ctx, container, found))


def _check_mode(container: "Container") -> None:
    mode = str(container.config["network"])
    if mode == "bridge":
        return
    if mode in ("host", "none"):
        raise NetworkError(
            f"cannot connect {container.name}: it was made with --network {mode}",
            remedy="make another one with --network NAME",
            code="RL-NETWORK-MODE",
        )
    if container.running:
        raise NetworkError(
            f"cannot connect {container.name} while it runs: its network is its own, and the "
            "kernel lets nobody put a device into it without root",
            remedy=f"rl stop {container.name}, connect it, rl start {container.name}; or make it "
            "with --network bridge",
            code="RL-NETWORK-MODE",
        )


def _plug(ctx: "Context", container: "Container", name: str, wanted: "Document") -> None:
    pid = _pid(container)
    made = endpoints.make(ctx.paths, container.id, name, wanted)
    try:
        found = {**endpoints.read(ctx.paths, container.id), name: made}
        endpoints.choose_default(found.values())
        fds = _tell(ctx, container, found)
        try:
            devices = plug.plug(fds[0], fds[1], pid, [made]).finish()
        except BaseException:
            del found[name]
            _close(_tell(ctx, container, found))
            raise
        finally:
            _close(fds)
    except BaseException:
        leases.give_back(ctx.paths, made["id"], container.id)
        raise
    assert isinstance(devices, list)
    made["device"] = devices[0]
    endpoints.write(ctx.paths, container.id, found)
    _write_files(container, found)


def _unplug(ctx: "Context", container: "Container", network: "Document") -> None:
    pid = _pid(container)
    found = endpoints.read(ctx.paths, container.id)
    gone = found.pop(str(network["name"]))
    heirs = []
    if gone["default"] or gone["default6"]:
        # What had one default route keeps it; the other one is its to take.
        before = {key: (one["default"], one["default6"]) for key, one in found.items()}
        for one in endpoints.choose_default(found.values()):
            former = before[one["network"]]
            heirs.append(
                {**one, "default": one["default"] and not former[0],
                 "default6": one["default6"] and not former[1]}
            )  # fmt: skip
    fds = _tell(ctx, container, found)
    try:
        plug.unplug(fds[0], fds[1], pid, gone["link"], heirs).finish()
    finally:
        _close(fds)
    leases.give_back(ctx.paths, gone["id"], container.id)
    endpoints.write(ctx.paths, container.id, found)
    _write_files(container, found)


def _pid(container: "Container") -> int:
    """Of the container's init, which runs.  Raises ContainerError."""
    os.close(container.need_running("change the networks of"))
    return int(container.state["pid"])


def _tell(ctx: "Context", container: "Container", found: "Document") -> tuple[int, int]:
    """Tell the helper which networks the container is on; both namespaces of the networks.

    Raises NetworkError.
    """
    body: dict[str, object] = {
        "container": container.id, "name": container.name, "endpoints": endpoints.told(found),
    }  # fmt: skip
    deadline = time.monotonic() + _HELPER_S
    while True:
        fds = client.change(ctx, body)
        if fds is not None:
            return fds
        if time.monotonic() > deadline:
            raise NetworkError(
                f"cannot change the networks of {container.name}: their helper has gone",
                remedy=f"start the container again: rl restart {container.name}",
                code="RL-NETWORK-GATEWAY",
            )
        time.sleep(_PAUSE_S)  # the container's supervisor is about to start another one


def _close(fds: tuple[int, int]) -> None:
    for fd in fds:
        os.close(fd)


def _write_files(container: "Container", found: "Document") -> None:
    """hosts and resolv.conf, as they are with the networks that it has now."""
    network = drivers.Driver()
    network.name = "bridge"
    network.addresses = [one["ip"] or one["ip6"] for one in found.values()]
    network.nameserver = endpoints.name_server(found)
    network_files.write(container, network, container.runtime_config()["rl"]["network"])


def _save(container: "Container") -> None:
    try:
        atomic.write_json(f"{container.directory}/container.json", container.config, sync=False)
    except FileNotFoundError as e:
        raise ContainerError(
            f"no such container: {container.name}",
            remedy="list the containers with: rl ps -a",
            code="RL-CONTAINER-NOT-FOUND",
        ) from e


def _record(ctx: "Context", network: "Document", container: "Container", action: str) -> None:
    told = {"container": container.id, "name": str(network["name"]), "type": "bridge"}
    events.record(ctx.paths, "network", action, str(network["id"]), told)


def find(ctx: "Context", network: str, container: str) -> "tuple[Document, Container]":
    """Both, by name or ID.  Raises NetworkError, ContainerError."""
    if network == "bridge":
        from rootless.network.bridge import definition

        definition.default_bridge(ctx.paths)
    elif network in ("host", "none", "private"):
        raise NetworkError(
            f"containers cannot be connected with {network} afterwards",
            remedy=f"make them with --network {network}",
            code="RL-NETWORK-MODE",
        )
    return networks.find(ctx.paths, network), containers.find(ctx, container)
