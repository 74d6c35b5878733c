"""What user-mode Linux lacks: nftables' ip family, which netstack redirects by."""

import os
import socket

import pytest
from support.agent import Box
from support.program import Rl


@pytest.mark.host("qemu", "systemd")
def test_network_takes_its_way_by_the_kernel(rl: Rl) -> None:
    """Nothing stands in for netstack where the host's loopback is asked for."""
    if os.environ["RL_LAB_HOST"] != "qemu":
        command = ("--network", "netstack:allow_host_loopback=true", "busybox", "true")
        assert "nft" in rl.fails("run", "--rm", *command, code="RL-NETWORK")
        return
    box = Box(rl, "netstack", 8123)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        ours = box.ask(f"out {box.host} {server.getsockname()[1]}")
        theirs, _ = server.accept()
        with ours, theirs:
            ours.settimeout(60)
            assert ours.recv(2, socket.MSG_WAITALL) == b"0\n"
            theirs.sendall(b"from the host")
            assert ours.recv(13, socket.MSG_WAITALL) == b"from the host"
