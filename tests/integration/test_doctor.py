"""rl doctor on this host, and on hosts made poorer in a namespace."""

import json
import os
import sys

import pytest

from rootless.cli.actions import doctor as action
from rootless.context import Context
from rootless.doctor.examine import examine
from rootless.linux import idmap, namespaces, process, syscalls
from rootless.paths import Paths

SINGLE = idmap.IdMap([(0, os.getuid(), 1)], [(0, os.getgid(), 1)])


@pytest.fixture
def ctx(test_dir):
    return make_context(test_dir)


def make_context(directory):
    return Context(
        paths=Paths(f"{directory}/doctor-store", f"{directory}/run/rl"),
        uid=os.getuid(),
        gid=os.getgid(),
        home=directory,
        # Whoever root of this host is, /tmp/rl-0 may be theirs: a directory of the test's own.
        environ={**os.environ, "XDG_RUNTIME_DIR": directory},
        config={},
        debug=False,
    )


def ladder_of(report, need):
    return next(ladder for ladder in report.ladders if ladder.need == need)


def answer_of(document, need):
    return next(ladder for ladder in document["ladders"] if ladder["need"] == need)


@pytest.mark.needs("user")
def test_this_host_can_run_containers(ctx, test_dir):
    before = sorted(os.listdir(test_dir))
    report = examine(ctx)
    assert report.ok, report.to_dict()
    assert report.seconds < 5
    assert ladder_of(report, "ids").chosen.name.startswith("newuidmap")
    # A first look makes no store and leaves no scratch.
    assert sorted(os.listdir(test_dir)) == before


@pytest.mark.needs("user")
def test_programs_that_are_there_work(ctx):
    """What is installed and yet unavailable is a fault of rl or of the test machine."""
    network = ladder_of(examine(ctx), "network")
    for rung in network.rungs:
        if process.find_program(rung.name, ctx.environ):
            assert rung.state == "available", rung


def poorer(ctx, change, *, maps=SINGLE):
    """The report's JSON of a process whose host was changed by `change()` as root of its own
    user and mount namespaces."""

    def inside():
        change()
        # As a user of that place, not as the outer one.
        return examine(make_context(ctx.home)).to_dict()

    return namespaces.run_in_user_namespace(maps, ctx.environ, inside, mounts=True)


def test_no_user_namespaces_means_no(ctx):
    def change():
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")

    document = poorer(ctx, change)
    assert document["ok"] is False
    [rung] = answer_of(document, "user-namespaces")["rungs"]
    assert rung["code"] == "RL-HOST-USERNS-DISABLED"
    assert "user.max_user_namespaces" in rung["admin"]
    network = answer_of(document, "network")["rungs"]
    assert [r["state"] for r in network if r["name"] == "none"] == ["untested"]


def test_in_a_container_with_one_id(ctx):
    document = poorer(ctx, lambda: None)
    ids = answer_of(document, "ids")
    assert ids["chosen"] == "one ID"
    assert ids["rungs"][0]["state"] == "unavailable" and ids["rungs"][0]["remedy"]
    assert document["ok"] is True, document


def test_no_tun_device(ctx):
    def change():
        syscalls.mount("tmpfs", "/dev/net", "tmpfs", 0, "size=4k")

    if not os.path.isdir("/dev/net"):
        pytest.skip("this host has no /dev/net to hide")
    network = answer_of(poorer(ctx, change), "network")
    assert network["chosen"] == "netstack"
    for rung in network["rungs"][:2]:
        assert rung["code"] in ("RL-HOST-TUN-MISSING", "RL-NETWORK-NO-HELPER")
        assert rung["admin"]


def test_no_network_program(ctx):
    programs = [process.find_program(name, ctx.environ) for name in ("slirp4netns", "pasta")]

    def change():
        for path in filter(None, programs):
            syscalls.mount("/dev/null", os.path.realpath(path), None, syscalls.MS_BIND)

    network = answer_of(poorer(ctx, change), "network")
    assert [rung["code"] for rung in network["rungs"][:2]] == ["RL-NETWORK-NO-HELPER"] * 2
    assert "apt-get install slirp4netns" in network["rungs"][0]["admin"]


def test_store_on_a_mount_without_programs(ctx, tmp_path):
    def change():
        syscalls.mount("tmpfs", ctx.home, "tmpfs", syscalls.MS_NOEXEC, "size=1m")

    store = answer_of(poorer(ctx, change), "store")
    assert store["rungs"][0]["code"] == "RL-STORE-FILESYSTEM"
    assert store["chosen"] in (f"/var/tmp/rl-{os.getuid()}", "/var/tmp/rl-0")


def test_action_prints_json_text_and_request(ctx, capfd):
    status = action.main(ctx, {"format": "json"})
    document = json.loads(capfd.readouterr().out)
    assert status == (0 if document["ok"] else 1)
    assert action.main(ctx, {"format": None, "admin": False}) == status
    text = capfd.readouterr().out
    assert "Root file system" in text and "\x1b" not in text
    assert action.main(ctx, {"admin": True}) == status
    assert capfd.readouterr().out.startswith("# ")


def test_warm_modules_stay_light():
    """What `run` imports of this area: the limits, with nothing heavy behind them."""
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]); "
        "import rootless.runtime.limits, rootless.linux.cgroup; "
        "print(*sorted(set(sys.modules) - before))"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    status, said = process.Spawned(
        [sys.executable, "-I", "-S", "-c", code, root], os.environ
    ).finish()
    assert status == 0, said
    heavy = {"typing", "dataclasses", "subprocess", "pathlib", "re", "enum", "collections"}
    assert not heavy & set(said.split())
