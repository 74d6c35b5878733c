"""Containers that begin in another user namespace than ours: on networks with names, below the
one that the networks belong to; on the network of another container, in its own.

Devices are put into a container's network namespace by who has rights over both it and the
bridge's: a process of the user namespace that the bridge's belongs to, and the container's is
below.  user_namespaces(7), "Capabilities".
"""

import os

from rootless.errors import ContainerError, RlError
from rootless.linux import channel as channels
from rootless.linux import idmap as idmaps
from rootless.linux import syscalls
from rootless.runtime import stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from rootless.linux.idmap import IdMap
    from rootless.network.driver import Driver


def clone_stage(
    plan: stage.Plan,
    namespaces: int,
    stdio: "Sequence[int]",
    network: "Driver",
    idmap: "IdMap",
) -> tuple[int, channels.Channel]:
    """The stage's PID, and our end of the channel to it; its ID maps are written.

    It is our child: what joins the user namespace to make it, and ends, gives it away
    (CLONE_PARENT, clone(2)).  Raises RlError.
    """
    joins = network.network_namespace_fd >= 0
    below = idmap if network.idmap is None else idmaps.below(idmap, network.idmap)
    ours, theirs = channels.pair()
    told, tell = channels.pair()
    middle = os.fork()
    if middle == 0:
        try:
            syscalls.setns(network.user_namespace_fd, syscalls.CLONE_NEWUSER)
            if joins:
                syscalls.setns(network.network_namespace_fd, syscalls.CLONE_NEWNET)
                namespaces &= ~(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
            flags = namespaces & ~syscalls.CLONE_NEWCGROUP | syscalls.CLONE_PARENT
            pid = syscalls.clone(flags)
            if pid == 0:
                for one in (ours, told, tell):
                    one.close()
                stage.run(plan, theirs, stdio)
            tell.send("cloned", pid)
            if not joins:
                idmaps.write_own_maps(below, pid)
            tell.send("mapped")
        except (RlError, OSError) as e:
            stage.report(tell, e)
        finally:
            os._exit(0)
    tell.close()
    theirs.close()
    pid = 0
    try:
        name, body, _ = told.receive()
        if name == "cloned" and isinstance(body, int):
            pid = body
            name, body, _ = told.receive()
        if name == "error":
            stage.raise_reported(body)
        if name != "mapped":
            raise ContainerError(
                "the container's set-up ended unexpectedly",
                remedy="it may have been killed for memory; try again, and report it if it stays",
                code="RL-CONTAINER-SETUP",
            )
    except BaseException:
        ours.close()
        if pid:
            os.kill(pid, 9)  # our child, and not reaped
            os.waitpid(pid, 0)
        raise
    finally:
        told.close()
        os.waitpid(middle, 0)
    return pid, ours
