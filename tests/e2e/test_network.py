"""The network drivers slirp4netns, pasta, host and none."""

import json
import os
import signal
import socket
import threading
from collections.abc import Callable

import pytest
from support.agent import Box
from support.ports import is_free
from support.program import Rl
from support.traces import wait_until

DRIVERS = ["slirp4netns", "pasta", "netstack"]


@pytest.fixture
def host_service() -> object:
    """A TCP service on the host's loopback; yields its port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(8)

        def answer() -> None:
            while True:
                try:
                    client, _ = s.accept()
                except OSError:
                    return
                client.sendall(b"from the host\n")
                client.close()

        threading.Thread(target=answer, daemon=True).start()
        yield s.getsockname()[1]
        s.shutdown(socket.SHUT_RDWR)


def interfaces(rl: Rl, *args: str) -> set[str]:
    out = rl.out("run", "--rm", *args, "busybox", "cat", "/proc/net/dev")
    return {line.split(":")[0].strip() for line in out.splitlines() if ":" in line}


def test_none_has_a_working_loopback_only(rl: Rl) -> None:
    assert interfaces(rl, "--network", "none") == {"lo"}
    script = "(echo hi | nc -l -p 5000 &) ; sleep 0.2; nc 127.0.0.1 5000 </dev/null"
    assert rl.out("run", "--rm", "--network", "none", "busybox", "sh", "-c", script) == "hi"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.needs("tun")
def test_driver_gives_an_interface_a_route_and_a_name_server(rl: Rl, driver: str) -> None:
    out = rl.out("run", "--rm", "--network", driver, "busybox", "sh", "-c",
                 "cat /proc/net/dev /proc/net/route /etc/resolv.conf")  # fmt: skip
    assert len([line for line in out.splitlines() if line.strip().startswith(("tap", "eth", "en"))])
    assert any(line.split()[1:2] == ["00000000"] for line in out.splitlines())
    assert "nameserver" in out


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.needs("tun")
def test_loopback_of_the_host_is_out_of_reach(rl: Rl, host_service: int, driver: str) -> None:
    script = (
        f"for a in 127.0.0.1 10.0.2.2 169.254.1.2; do nc -w 2 $a {host_service} </dev/null; done;"
        " ip route 2>/dev/null | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p' | while read g; do"
        f" nc -w 2 $g {host_service} </dev/null; done; true"
    )
    out = rl.out("run", "--rm", "--network", driver, "busybox", "sh", "-c", script)
    assert "from the host" not in out


def test_host_network_is_the_hosts(rl: Rl, host_service: int) -> None:
    out = rl.out("run", "--rm", "--network", "host", "busybox", "sh", "-c",
                 f"nc 127.0.0.1 {host_service} </dev/null; readlink /proc/self/ns/net")  # fmt: skip
    assert out.splitlines() == ["from the host", os.readlink("/proc/self/ns/net")]


def test_host_network_has_the_hosts_name(rl: Rl) -> None:
    out = rl.out("run", "--rm", "--network", "host", "busybox", "hostname")
    assert out == socket.gethostname()


@pytest.mark.parametrize("alias", ["default", "private"])
def test_docker_s_names_mean_the_default_driver(rl: Rl, alias: str) -> None:
    assert len(interfaces(rl, "--network", alias)) == 2


def test_net_is_another_word_for_network(rl: Rl) -> None:
    assert interfaces(rl, "--net", "none") == {"lo"}


@pytest.mark.needs("tun")
def test_network_helper_ends_with_its_container(rl: Rl, no_leftovers: None) -> None:
    for driver in DRIVERS:
        rl.run("run", "--rm", "--network", driver, "busybox", "true")


@pytest.mark.needs("slirp4netns")
def test_slirp4netns_runs_in_its_sandbox(rl: Rl) -> None:
    container = rl.out("run", "-d", "--network", "slirp4netns", "busybox", "sleep", "100")
    from support.traces import processes

    lines = [line for line in processes(rl.worker, rl.root).values() if "slirp4netns" in line]
    assert lines and all(
        flag in lines[0]
        for flag in ("--enable-sandbox", "--enable-seccomp", "--disable-host-loopback")
    )
    rl.run("rm", "-f", container)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_killed_helper_takes_the_network_and_nothing_else(
    rl: Rl, free_port: Callable[[], int], no_leftovers: None, driver: str
) -> None:
    port = free_port()
    made = Box(rl, driver, port)
    with open(f"{rl.store}/containers/{made.id}/state.json") as file:
        state = json.load(file)
    helpers = [one["pid"] for one in state["helpers"]]
    if driver == "netstack":
        assert helpers == []
        os.kill(state["supervisor"]["pid"], signal.SIGKILL)
        wait_until(lambda: is_free(port), 10, "the port is free")
    else:
        assert [one["name"] for one in state["helpers"]] == [driver]
        os.kill(helpers[0], signal.SIGKILL)
        assert rl.out("exec", made.id, "echo", "here") == "here"
    rl.run("rm", "-f", made.id)
    wait_until(lambda: is_free(port), 10, "the port is free")
