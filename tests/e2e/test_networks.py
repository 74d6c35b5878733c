"""Networks with names: who is on them, under which names, and what is reached from there."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from support import traces
from support.program import Rl
from support.traces import wait_until

from rootless.network.pasta import host_address

Make = Callable[..., str]


@pytest.fixture
def network(rl: Rl) -> Iterator[Make]:
    """Makes networks, and removes them after the test's containers."""
    made: list[str] = []

    def make(*args: str) -> str:
        name = rl.name("net")
        rl.run("network", "create", *args, name)
        made.append(name)
        return name

    yield make
    rl.remove_containers()
    rl.run("network", "rm", *made)


def start(rl: Rl, *networks: str, command: str = "", options: tuple[str, ...] = ()) -> str:
    """A container on these networks; its name."""
    name = rl.name()
    words = [word for one in networks for word in ("--network", one)]
    script = command or "trap exit TERM; sleep 1000 & wait"
    rl.run("run", "-d", "--name", name, *words, *options, "busybox", "sh", "-c", script)
    return name


def endpoint(rl: Rl, container: str, name: str) -> dict[str, str]:
    return dict(rl.inspect(container)["NetworkSettings"]["Networks"][name])


def lookup(rl: Rl, container: str, name: str) -> list[str]:
    """The addresses that `name` has inside."""
    done = rl.run("exec", container, "nslookup", name, check=False)
    answer = done.stdout.partition("\n\n")[2]
    return [line.split()[-1] for line in answer.splitlines() if line.startswith("Address")]


def reaches(rl: Rl, container: str, address: str) -> bool:
    done = rl.run("exec", container, "ping", "-c1", "-W2", address, check=False)
    return done.returncode == 0


def fetch(host: str, port: int) -> bytes:
    """What a published web server says."""
    url = f"http://{host}:{port}/"
    done = subprocess.run(["curl", "-s", "--noproxy", "*", url], capture_output=True)
    return done.stdout


def helper(rl: Rl) -> int:
    """PID of the networks' helper; 0 when there is none."""
    found = traces.processes(rl.worker, rl.root)
    return next((pid for pid, line in found.items() if line == "rl-networks"), 0) or next(
        (pid for pid, line in found.items() if line.startswith("rl-networks")), 0
    )


@pytest.mark.needs("slirp4netns")
def test_names_aliases_and_ids_on_two_networks(rl: Rl, network: Make) -> None:
    front, back = network(), network()
    web = start(rl, f"{front}:alias=www", back, options=("--network-alias", "both"))
    first = start(rl, front)
    second = start(rl, back)
    on_front = endpoint(rl, web, front)["IPAddress"]
    on_back = endpoint(rl, web, back)["IPAddress"]
    short = rl.inspect(web)["Id"][:12]
    for name in (web, web.upper(), "www", "both", short, f"{web}.{front}"):
        assert lookup(rl, first, name) == [on_front], name
    for name in (web, "both", short, f"{web}.{back}"):
        assert lookup(rl, second, name) == [on_back], name
    assert lookup(rl, second, "www") == []
    assert lookup(rl, first, second) == []
    assert f"name = {web}.{front}" in rl.out("exec", first, "nslookup", on_front)
    # Who is on both finds both, and reaches them.
    for other, name in ((first, front), (second, back)):
        assert lookup(rl, web, other) == [endpoint(rl, other, name)["IPAddress"]]
        assert reaches(rl, web, other)
    # The networks do not reach each other.
    assert not reaches(rl, first, endpoint(rl, second, back)["IPAddress"])
    hosts = rl.out("exec", web, "cat", "/etc/hosts").splitlines()
    assert {f"{on_front}\t{short}", f"{on_back}\t{short}"} <= set(hosts)


@pytest.mark.needs("slirp4netns")
def test_a_restart_with_another_address_is_found(rl: Rl, network: Make) -> None:
    net = network()
    asker, server = start(rl, net), start(rl, net)
    before = endpoint(rl, server, net)["IPAddress"]
    assert lookup(rl, asker, server) == [before]
    rl.run("stop", "-t", "0", server)
    assert lookup(rl, asker, server) == []
    taker = start(rl, f"{net}:ip={before}")
    rl.run("start", server)
    after = endpoint(rl, server, net)["IPAddress"]
    assert after != before
    assert lookup(rl, asker, server) == [after]
    assert lookup(rl, asker, taker) == [before]
    # A network made anew in the place of one that has just been left.
    for _ in range(2):
        again = rl.name("net")
        rl.run("network", "create", "--subnet", "10.215.0.0/24", again)
        rl.run("run", "--rm", "--network", again, "busybox", "true")
        rl.run("network", "rm", again)
    rl.run("rename", server, f"{server}-new")
    assert lookup(rl, asker, f"{server}-new") == [after]
    assert lookup(rl, asker, server) == []


@pytest.mark.needs("slirp4netns")
def test_static_addresses_and_clashes(rl: Rl, network: Make) -> None:
    net = network("--subnet", "10.213.7.0/24", "--ip-range", "10.213.7.128/30", "--aux-address",
                  "router=10.213.7.129")  # fmt: skip
    options = ("--ip", "10.213.7.9", "--mac-address", "02:00:00:00:00:77")
    first = start(rl, net, options=options)
    found = endpoint(rl, first, net)
    assert (found["IPAddress"], found["MacAddress"]) == ("10.213.7.9", "02:00:00:00:00:77")
    assert found["Gateway"] == "10.213.7.1"
    out = rl.out("exec", first, "ip", "address", "show", "eth0")
    assert "inet 10.213.7.9/24" in out and "02:00:00:00:00:77" in out
    run = ("run", "--rm", "--network", net)
    rl.fails(*run, "--ip", "10.213.7.9", "busybox", "true", code="RL-NETWORK-ADDRESS-TAKEN")
    rl.fails(*run, "--ip", "10.213.7.1", "busybox", "true", code="RL-NETWORK-ADDRESS-TAKEN")
    rl.fails(*run, "--ip", "10.213.8.9", "busybox", "true", code="RL-NETWORK-ADDRESS")
    rl.fails(*run, "--ip6", "fd00::9", "busybox", "true", code="RL-NETWORK-ADDRESS")
    names = [start(rl, net) for _ in range(3)]
    got = {endpoint(rl, one, net)["IPAddress"] for one in names}
    assert got == {"10.213.7.128", "10.213.7.130", "10.213.7.131"}
    rl.fails(*run, "busybox", "true", code="RL-NETWORK-FULL")
    # Whose supervisor was killed has left its address behind, which is not held against others.
    supervisor = traces.processes(rl.worker, rl.root)
    wanted = f"rl-supervisor {rl.inspect(names[0])['Id'][:12]}"
    pid = next(pid for pid, line in supervisor.items() if line == wanted)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in traces.processes(rl.worker, rl.root))
    wait_until(lambda: rl.run(*run, "busybox", "true", check=False).returncode == 0)


@pytest.mark.needs("slirp4netns")
def test_connect_and_disconnect_under_traffic(rl: Rl, network: Make) -> None:
    one, two = network(), network()
    server = start(rl, one, two)
    client = start(rl, one)
    held = rl.popen("exec", "-i", client, "ping", server, stdin=subprocess.DEVNULL)
    assert held.stdout is not None
    assert "PING" in held.stdout.readline()
    assert lookup(rl, server, client) == [endpoint(rl, client, one)["IPAddress"]]
    rl.run("network", "connect", "--alias", "late", two, client)
    assert lookup(rl, server, "late") == [endpoint(rl, client, two)["IPAddress"]]
    assert reaches(rl, server, "late")
    assert rl.out("exec", client, "cat", "/etc/hosts").count(rl.inspect(client)["Id"][:12]) == 2
    rl.fails("network", "connect", two, client, status=1, code="RL-NETWORK-CONNECTED")
    # The connection on the network that stays has not been disturbed.
    assert "bytes from" in held.stdout.readline()
    rl.run("network", "disconnect", two, client)
    assert lookup(rl, server, "late") == []
    rl.fails("network", "disconnect", two, client, status=1, code="RL-NETWORK-CONNECTED")
    rl.run("network", "disconnect", "-f", two, client)
    assert "eth1" not in rl.out("exec", client, "cat", "/proc/net/dev")
    assert "bytes from" in held.stdout.readline()
    # Off the network of its default route, the other one gets it.
    rl.run("network", "connect", two, client)
    rl.run("network", "disconnect", one, client)
    gateway = endpoint(rl, client, two)["Gateway"]
    assert f"default via {gateway}" in rl.out("exec", client, "ip", "route")
    assert reaches(rl, client, server)
    held.kill()
    held.wait()
    # What was changed while it ran holds for its next run.
    rl.run("restart", "-t", "0", client)
    assert set(rl.inspect(client)["NetworkSettings"]["Networks"]) == {two}
    assert reaches(rl, client, server)


@pytest.mark.needs("slirp4netns")
def test_a_container_that_does_not_run_is_connected_at_its_start(rl: Rl, network: Make) -> None:
    net = network()
    other = start(rl, net)
    for mode in ("private", "none"):
        name = rl.name()
        rl.run("create", "--name", name, "--network", mode, "busybox", "ping", "-c1", other)
        if mode == "none":
            rl.fails("network", "connect", net, name, status=1, code="RL-NETWORK-MODE")
            continue
        rl.run("network", "connect", net, name)
        assert "1 packets received" in rl.out("start", "-a", name)
    alone = start(rl, "private")
    assert "rl stop" in rl.fails("network", "connect", net, alone, status=1, code="RL-NETWORK-MODE")


@pytest.mark.needs("slirp4netns")
def test_ipv6_alone(rl: Rl, network: Make, free_port: Callable[[], int]) -> None:
    net = network("--ipv4=false", "--subnet", "fd7e:1::/64")
    port = free_port()
    serve = "mkdir /w; echo six > /w/index.html; httpd -f -p 80 -h /w"
    server = start(rl, net, command=serve, options=("-p", f"127.0.0.1:{port}:80"))
    client = start(rl, net, options=("--ip6", "fd7e:1::99"))
    found = endpoint(rl, client, net)
    assert (found["GlobalIPv6Address"], found["IPAddress"]) == ("fd7e:1::99", "")
    assert found["IPv6Gateway"] == "fd7e:1::1"
    assert lookup(rl, client, server) == [endpoint(rl, server, net)["GlobalIPv6Address"]]
    assert rl.out("exec", client, "wget", "-qO-", f"http://{server}/") == "six"
    done = subprocess.run(
        ["curl", "-s", "--noproxy", "*", f"http://127.0.0.1:{port}/"], capture_output=True
    )
    assert done.stdout == b"six\n"


@pytest.mark.needs("slirp4netns")
def test_internal_reaches_its_own_and_nothing_else(rl: Rl, network: Make) -> None:
    inside, other = network("--internal"), network()
    first, second = start(rl, inside), start(rl, inside)
    stranger = start(rl, other)
    assert reaches(rl, first, second)
    assert "default" not in rl.out("exec", first, "ip", "route")
    assert not reaches(rl, first, endpoint(rl, stranger, other)["IPAddress"])
    assert lookup(rl, first, "example.org") == []


@pytest.mark.needs("slirp4netns")
def test_isolation_between_networks_and_within_one(rl: Rl, network: Make) -> None:
    open_one, open_two = network("-o", "isolate=false"), network("-o", "isolate=false")
    shut = network("-o", "com.docker.network.bridge.enable_icc=false", "-o", "mtu=1400")
    first, second = start(rl, open_one), start(rl, open_two)
    assert reaches(rl, first, endpoint(rl, second, open_two)["IPAddress"])
    alone, other = start(rl, shut), start(rl, shut)
    assert not reaches(rl, alone, endpoint(rl, other, shut)["IPAddress"])
    assert not reaches(rl, first, endpoint(rl, other, shut)["IPAddress"])
    assert "mtu 1400" in rl.out("exec", alone, "ip", "link", "show", "eth0")
    assert reaches(rl, alone, endpoint(rl, alone, shut)["Gateway"])


@pytest.mark.needs("slirp4netns")
def test_published_ports_show_their_clients(
    rl: Rl, network: Make, free_port: Callable[[], int]
) -> None:
    one, two = network(), network()
    port = free_port()
    server = start(rl, one, two, command="mkdir w; echo ok >w/index.html; httpd -f -v -h w 2>&1",
                   options=("-p", f"{port}:80"))  # fmt: skip
    address = host_address()
    for host in ("127.0.0.1", address):
        done = subprocess.run(
            ["curl", "-s", "--noproxy", "*", f"http://{host}:{port}/"], capture_output=True
        )
        assert done.stdout == b"ok\n", host
    gateway = endpoint(rl, server, one)["Gateway"]
    log = rl.wait_log(server, address)
    assert f"{gateway}]" in log or f"{gateway}:" in log


@pytest.mark.needs("slirp4netns")
def test_the_helper_killed_under_traffic(rl: Rl, network: Make) -> None:
    net = network()
    client, server = start(rl, net), start(rl, net)
    held = rl.popen("exec", "-i", client, "ping", server, stdin=subprocess.DEVNULL)
    assert held.stdout is not None
    assert "PING" in held.stdout.readline()
    for _ in range(2):
        former = helper(rl)
        os.kill(former, signal.SIGKILL)
        assert "bytes from" in held.stdout.readline()
        wait_until(lambda old=former: helper(rl) not in (0, old))  # type: ignore[misc]
        wait_until(lambda: lookup(rl, client, server))
    held.kill()
    held.wait()
    # Those who come afterwards are on the same network as those who were there.
    late = start(rl, net)
    assert reaches(rl, late, server)
    assert lookup(rl, client, late) == [endpoint(rl, late, net)["IPAddress"]]
    rl.run("network", "connect", "bridge", late)
    rl.run("network", "disconnect", "bridge", late)


@pytest.mark.needs("slirp4netns")
def test_two_at_once_make_the_first_network_work(rl: Rl, network: Make, no_leftovers: None) -> None:
    net = network()
    words = ("run", "--rm", "--network", net, "busybox", "sh", "-c")
    both = [rl.popen(*words, "ip -o -4 a show eth0; sleep 1; ping -c1 -W2 10.0.2.2 >&2; :")
            for _ in range(3)]  # fmt: skip
    seen = [one.communicate(timeout=60) for one in both]
    assert [one.returncode for one in both] == [0, 0, 0], seen
    addresses = {out.split()[3] for out, _ in seen}
    assert len(addresses) == 3, seen
    wait_until(lambda: not helper(rl))


def test_management(rl: Rl, network: Make) -> None:
    net = network("--label", "a=b", "--subnet", "10.214.0.0/24", "--ipv6")
    shown = json.loads(rl.out("network", "inspect", net))[0]
    assert (shown["Name"], shown["Driver"], shown["Labels"]) == (net, "bridge", {"a": "b"})
    first, second = shown["IPAM"]["Config"]
    assert first == {"Subnet": "10.214.0.0/24", "Gateway": "10.214.0.1"}
    assert second["Subnet"].startswith("fd") and second["Subnet"].endswith("::/64")
    short = shown["Id"][:12]
    assert rl.out("network", "ls", "-q", "--filter", f"name={net}") == short
    assert rl.out("network", "ls", "-q", "--no-trunc", "-f", "label=a") == shown["Id"]
    form = "{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}}"
    assert rl.out("network", "ls", "-f", f"id={short}", "--format", form) == (
        f"{net} bridge local false"
    )
    builtin = rl.out("network", "ls", "-f", "type=builtin", "--format", "{{.Name}}").split()
    assert builtin == ["bridge", "host", "none", "private"]
    assert json.loads(rl.out("inspect", net))[0]["Id"] == shown["Id"]
    rl.fails("network", "create", net, status=1, code="RL-NETWORK-EXISTS")
    assert rl.out("network", "create", "--ignore", net) == shown["Id"]
    overlap = ("--subnet", "10.214.0.128/25", "xy")
    rl.fails("network", "create", *overlap, status=1, code="RL-NETWORK-SUBNET")
    for words in (("host",), ("--subnet", "10.0.2.0/25", "xy"), ("-o", "vlan=3", "xy"),
                  ("--driver", "macvlan", "xy"), ("--gateway", "10.1.1.1", "xy"),
                  ("--ipv4=false", "xy"), ("--subnet", "10.1.1.0/31", "xy")):  # fmt: skip
        rl.fails("network", "create", *words, code="RL-USAGE")
    container = rl.out("create", "--network", short, "busybox", "true")
    assert rl.out("ps", "-aq", "--filter", f"network={net}") == container[:12]
    rl.run("network", "rm", net, status=1)
    rl.run("rm", container)
    rl.run("network", "rm", "host", status=1)
    rl.run("network", "rm", "nowhere", status=1)
    rl.run("network", "rm", "-f", "nowhere")
    rl.fails("run", "--rm", "--network", "nowhere", "busybox", "true", code="RL-NETWORK-NOT-FOUND")
    gone = rl.name("net")
    rl.run("network", "create", "--label", "prune=me", gone)
    out = rl.out("network", "prune", "-f", "--filter", "label=prune=me")
    assert out == f"Deleted Networks:\n{gone}"
    began = time.time() - 60
    log = rl.out("events", "--since", str(int(began)), "--until", "0s", "-f", "type=network")
    assert "network create" in log and "network destroy" in log


@pytest.mark.needs("slirp4netns")
def test_the_network_of_another_container_and_of_a_namespace(rl: Rl, network: Make) -> None:
    net = network()
    serve = "mkdir w; echo inner >w/index.html; httpd -f -p 127.0.0.1:80 -h w"
    for own in (net, "private"):
        owner = start(rl, own, command=serve)
        run = ("run", "--rm", "--network", f"container:{owner}")
        # It shares the loopback, the names and the rights: a port below 1024 is its to bind.
        script = "wget -qO- http://127.0.0.1/; hostname; cat /etc/hosts; cat /proc/net/dev; ls /sys"
        out = rl.out(*run, "busybox", "sh", "-c", f"{script}; nc -l -p 81 -w 1; :")
        lines = out.splitlines()
        assert lines[:2] == ["inner", rl.inspect(owner)["Config"]["Hostname"]]
        assert rl.out("exec", owner, "cat", "/etc/hosts") in out
        inside = rl.out("exec", owner, "cat", "/proc/net/dev")
        names = [line.split(":")[0].strip() for line in inside.splitlines() if ":" in line]
        assert all(any(line.strip().startswith(f"{one}:") for line in lines) for one in names)
        # What exec starts is there, too.
        sharer = start(rl, f"container:{owner}")
        assert rl.out("exec", sharer, "wget", "-qO-", "http://127.0.0.1/") == "inner"
        rl.fails(*run, "-p", "8080:80", "busybox", "true", code="RL-USAGE")
        rl.fails(*run, "--hostname", "x", "busybox", "true", code="RL-USAGE")
        rl.run("rm", "-f", sharer, owner)
    name = rl.name()
    rl.run("create", "--name", name, "busybox", "true")
    not_running = ("run", "--rm", "--network", f"container:{name}", "busybox", "true")
    rl.fails(*not_running, code="RL-CONTAINER-NOT-RUNNING")
    rl.fails("run", "--rm", "--network", "ns:/proc/self/ns/net", "busybox", "true",
             code="RL-NETWORK-JOIN")  # fmt: skip
    script = "ip address add 10.9.9.9/32 dev lo; echo $$; exec sleep 100"
    made = rl.popen("unshare", "unshare", "--net", "sh", "-c", script)
    assert made.stdout is not None
    pid = made.stdout.readline().strip()
    out = rl.out("run", "--rm", "--network", f"ns:/proc/{pid}/ns/net", "busybox", "ip", "address")
    assert "10.9.9.9/32" in out
    os.kill(int(pid), signal.SIGKILL)
    made.communicate()


@pytest.mark.needs("slirp4netns")
def test_egress_by_address_and_port(rl: Rl, network: Make) -> None:
    host = host_address()
    with socket.create_server((host, 0)) as service:
        port = service.getsockname()[1]
        threading.Thread(target=_greet, args=(service,), daemon=True).start()
        asked = f"nc -w 5 {host} {port} </dev/null"
        outcomes = {
            "all": True, "none": False, "lan-off": False, f"allow={host}:{port}": True,
            f"allow={host}:{port + 1}": False, f"allow=udp://{host}:{port}": False,
            f"allow=tcp://{host}/24:{port - 1}-{port + 1},other.test": True, "log": True,
        }  # fmt: skip
        neighbour = start(rl, "bridge")
        for policy, expected in outcomes.items():
            name = start(rl, options=("--egress", policy))
            began = time.monotonic()
            done = rl.run("exec", name, "sh", "-c", asked, check=False)
            assert (done.stdout == "hello\n") is expected, (policy, done.stderr)
            if not expected:
                assert "refused" in done.stderr and time.monotonic() - began < 4, policy
                line = wait_until(lambda one=name: rl.out("network", "log", one))  # type: ignore[misc]
                assert f" refused tcp {host}:{port}" in str(line)
            # Those of its own network it reaches in any case.
            assert reaches(rl, name, neighbour), policy
            if policy == "log":
                wait_until(
                    lambda one=name: f"passed tcp {host}:{port}" in rl.out("logs", "--network", one)
                )  # type: ignore[misc]
            rl.run("rm", "-f", name)
        # A policy of the network holds for all on it, and the container's own is beside it.
        shut = network("--egress", "none")
        name = start(rl, shut, options=("--egress", "all"))
        assert rl.run("exec", name, "sh", "-c", asked, check=False).stdout == ""
        # An address that nobody has been given does not leave.
        privileged = start(rl, shut, options=("--cap-add", "NET_ADMIN"))
        taken = "ip address flush eth0; ip address add 10.88.7.7/16 dev eth0; "
        done = rl.run("exec", privileged, "sh", "-c", taken + asked, check=False)
        assert done.stdout == ""
    refused = ("run", "--rm", "--egress", "none")
    rl.fails(*refused, "--network", "host", "busybox", "true", code="RL-USAGE")
    rl.fails(*refused, "--cap-add", "NET_ADMIN", "busybox", "true", code="RL-USAGE")
    rl.fails(*refused, "--privileged", "busybox", "true", code="RL-USAGE")


def _greet(service: socket.socket) -> None:
    while True:
        try:
            client, _ = service.accept()
        except OSError:
            return
        client.sendall(b"hello\n")
        client.close()
