"""The name server of networks with names, in a network namespace of its own: real sockets, real
name servers behind it, and real nftables for the addresses of allowed names."""

import json
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# What runs as root of a new user and network namespace.  127.0.0.1 is the asker, 127.0.0.2 our
# server; 127.0.0.3 is a name server that answers as the first label says, 127.0.0.4 is silent,
# and nobody is 127.0.0.5.
INSIDE = r"""
import json, os, socket, struct, sys, threading, time
sys.path.insert(0, sys.argv[1])
import dnslib
from rootless.linux.netlink import Netlink
from rootless.linux import nftables
from rootless.network.bridge import egress, guard as guards
from rootless.network.bridge.dns import Server
from rootless.network.bridge.names import Member, Names
from rootless.network.bridge.watch import Watch

Netlink().link_up("lo")
NET = "a" * 64
addresses = iter(range(7, 100))

def upstream():
    tcp = socket.create_server(("127.0.0.3", 53))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.3", 53))
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.4", 53))
    threading.Thread(target=serve_udp, args=(udp,), daemon=True).start()
    threading.Thread(target=serve_tcp, args=(tcp,), daemon=True).start()
    return silent

def answer(data, stream):
    request = dnslib.DNSRecord.parse(data)
    name = str(request.q.qname)
    reply = request.reply(ra=1, aa=0)
    if name.startswith("huge"):
        for number in range(600 if stream else 60):
            reply.add_answer(dnslib.RR(name, 16, rdata=dnslib.TXT(f"{number:030}")))
    elif name.startswith("chain"):
        reply.add_answer(dnslib.RR(name, 5, rdata=dnslib.CNAME("end.other.test")))
        reply.add_answer(dnslib.RR("end.other.test", 1, ttl=5, rdata=dnslib.A("10.7.7.7")))
    elif name.startswith("moving"):
        reply.add_answer(dnslib.RR(name, 1, ttl=0, rdata=dnslib.A(f"10.8.8.{next(addresses)}")))
    elif name.startswith("gone"):
        reply.header.rcode = 3
    else:
        reply.add_answer(dnslib.RR(name, 1, ttl=5, rdata=dnslib.A("10.6.6.6")))
    return reply.pack()

def serve_udp(sock):
    while True:
        data, client = sock.recvfrom(65535)
        name = str(dnslib.DNSRecord.parse(data).q.qname)
        good = answer(data, False)
        if name.startswith("liar"):
            # Another ID, another question, half a header, no DNS at all: none is an answer.
            sock.sendto(bytes([good[0] ^ 255]) + good[1:], client)
            other = dnslib.DNSRecord.parse(data)
            other.q.qname = dnslib.DNSLabel("another.test")
            sock.sendto(other.reply().pack(), client)
            for bad in (good[:7], b"", b"\xff" * 40):
                sock.sendto(bad, client)
        sock.sendto(good, client)

def serve_tcp(listener):
    while True:
        client, _ = listener.accept()
        head = client.recv(2)
        if len(head) == 2:
            data = client.recv(int.from_bytes(head, "big"))
            good = answer(data, True)
            client.sendall(len(good).to_bytes(2, "big") + good)
        client.close()

silent = upstream()
watch, names = Watch(), Names()
def told(**more):
    endpoint = {"network": "web", "ip": "127.0.0.1", "ip6": "", "aliases": []}
    return {"container": "c" * 64, "name": "asker", "hostname": "host",
            "endpoints": {NET: endpoint},
            "dns": ["127.0.0.5", "127.0.0.4", "127.0.0.3"], "egress": {}, **more}

class Paths:
    def container(self, one):
        return os.environ["JOURNAL"]

guard = guards.Guard(watch, names, Paths())
server = Server(watch, names, guard.may_ask, guard.answered)
made = []
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.2", 53))
    if kind == socket.SOCK_STREAM:
        sock.listen(8)
    made.append(sock)
server.add(NET, made)
asker = Member(told())
names.add(asker)
names.add(Member(told(container="d" * 64, name="Web", hostname="h2", endpoints={
    NET: {"network": "web", "ip": "10.9.0.3", "ip6": "fd00::3", "aliases": ["www"]}})))
threading.Thread(target=watch.run, daemon=True).start()

def ask(name, kind="A", stream=False, raw=None, size=0):
    question = dnslib.DNSRecord.question(name, kind)
    if size:
        question.add_ar(dnslib.EDNS0(udp_len=size))
    data = raw if raw is not None else question.pack()
    if stream:
        with socket.create_connection(("127.0.0.2", 53), 15, ("127.0.0.1", 0)) as sock:
            sock.sendall(len(data).to_bytes(2, "big") + data)
            with sock.makefile("rb") as file:
                return file.read(int.from_bytes(file.read(2), "big"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(15)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(data, ("127.0.0.2", 53))
        return sock.recv(65535)

def seen(data):
    record = dnslib.DNSRecord.parse(data)
    return {"code": record.header.rcode, "cut": record.header.tc, "aa": record.header.aa,
            "rr": [str(one.rdata) for one in record.rr]}
def pinned():
    return sorted(socket.inet_ntop(socket.AF_INET, one) for pins in guard._pins.values()
                  for one in pins if len(one) == 4)

out = {}
for one in ("web", "WWW", "d" * 12, "h2", "web.web"):
    out[one] = seen(ask(one))
out["again"] = seen(ask("web"))
out["aaaa"] = seen(ask("web", "AAAA"))
out["mx"] = seen(ask("web", "MX"))
out["ptr"] = seen(ask("3.0.9.10.in-addr.arpa", "PTR"))
out["other"] = seen(ask("plain.test"))
out["gone"] = seen(ask("gone.test"))
out["liar"] = seen(ask("liar.test"))
out["huge"] = seen(ask("huge.test", "TXT"))
out["huge-edns"] = len(seen(ask("huge.test", "TXT", size=8192))["rr"])
out["huge-tcp"] = len(seen(ask("huge.test", "TXT", stream=True))["rr"])
out["web-tcp"] = seen(ask("web", stream=True))
out["garbage"] = ask("", raw=b"\x12\x34" + b"\x01\x00" + b"\xff" * 30)[:4].hex()
out["two"] = ask("", raw=b"\x12\x34\1\0\0\2" + bytes(6) + 2 * b"\0\0\1\0\1")[3] & 15
out["notify"] = ask("", raw=b"\x12\x34\x20\0\0\1" + bytes(6) + b"\0\0\1\0\1")[3] & 15
asker.dns = ["127.0.0.5"]
out["away"] = seen(ask("away.test"))
asker.dns = ["127.0.0.3"]
# What a policy lets be asked, and what of the answers is pinned.
asker.egress = egress.parse(["allow=*.test:443,udp://plain.org:53"])
names.add(asker)
guard.set_networks({})
jumps, chains = guard.chains({NET: 1})
main = nftables.Chain("forward", jumps, kind="filter", hook=nftables.FORWARD)
nftables.replace("rl", [main, *chains], guard.sets())
guard.use(*guards.sockets())
for one in ("chain.test", "moving.test", "moving.test", "plain.org"):
    ask(one)
out["pins"] = pinned()
out["refused"] = seen(ask("plain.com"))
nftables.replace("rl", [main, *chains], guard.sets())  # as when others come and go
out["kept"] = pinned()
asker.egress = egress.parse(["none"])
names.add(asker)
out["none"] = seen(ask("plain.test"))
out["none-own"] = seen(ask("web"))
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    journal = tmp_path_factory.mktemp("journal")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", INSIDE, ROOT],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "JOURNAL": str(journal)},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    found["journal"] = [json.loads(line) for line in (journal / "network.log").open()]
    return found


def good(*records: str, aa: int = 0) -> dict[str, object]:
    return {"code": 0, "cut": 0, "aa": aa, "rr": list(records)}


def test_our_own_names(seen: dict[str, object]) -> None:
    for name in ("web", "WWW", "d" * 12, "h2", "web.web", "again", "web-tcp"):
        assert seen[name] == good("10.9.0.3", aa=1), name
    assert seen["aaaa"] == good("fd00::3", aa=1)
    assert seen["mx"] == good(aa=1)
    assert seen["ptr"] == good("web.web.", aa=1)


def test_names_of_others_by_the_first_server_that_answers(seen: dict[str, object]) -> None:
    assert seen["other"] == good("10.6.6.6")
    assert seen["gone"] == {"code": 3, "cut": 0, "aa": 0, "rr": []}
    assert seen["away"] == {"code": 2, "cut": 0, "aa": 0, "rr": []}


def test_what_is_no_answer_is_left_out(seen: dict[str, object]) -> None:
    assert seen["liar"] == good("10.6.6.6")


def test_huge_answers(seen: dict[str, object]) -> None:
    assert seen["huge"] == {"code": 0, "cut": 1, "aa": 0, "rr": []}
    assert (seen["huge-edns"], seen["huge-tcp"]) == (60, 600)


def test_what_is_no_question(seen: dict[str, object]) -> None:
    assert seen["garbage"] == "12348181"
    assert (seen["two"], seen["notify"]) == (1, 4)


def test_addresses_of_allowed_names_are_pinned(seen: dict[str, object]) -> None:
    expected = ["10.6.6.6", "10.7.7.7", "10.8.8.7", "10.8.8.8"]
    assert (seen["pins"], seen["kept"]) == (expected, expected)
    assert seen["refused"] == {"code": 3, "cut": 0, "aa": 0, "rr": []}
    assert seen["none"] == seen["refused"]
    assert seen["none-own"] == good("10.9.0.3", aa=1)
    journal = seen["journal"]
    assert isinstance(journal, list)
    assert [(one["verdict"], one["name"]) for one in journal] == [
        ("refused", "plain.com"), ("refused", "plain.test"),
    ]  # fmt: skip
