"""Capabilities and resource limits, tried on real processes in a user namespace."""

import json
import os
import subprocess
import sys

import pytest

from rootless.linux import caps, rlimit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

APPLY = """
import json, sys
sys.path.insert(0, sys.argv[1])
from rootless.linux import caps
sets = json.loads(sys.argv[2])
caps.limit_bounding(sets["bounding"])
caps.apply(sets, int(sys.argv[3]))
lines = open("/proc/self/status").read().split("\\n")
print(json.dumps({l[3:6]: int(l.split()[1], 16) for l in lines if l.startswith("Cap")}))
"""


def apply(sets, uid=0):
    """The capability sets of a process, root of a user namespace, that has applied `sets`."""
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", sys.executable, "-I", "-S", "-c", APPLY),
            *(ROOT, json.dumps(sets), str(uid)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def sets_of(names, **more):
    return {"bounding": names, "effective": names, "permitted": names, **more}


def test_numbers_are_the_kernels():
    assert caps.NAMES.index("CAP_SYS_ADMIN") == 21
    assert caps.NAMES.index("CAP_CHECKPOINT_RESTORE") == 40
    assert caps.mask(("CAP_CHOWN", "CAP_SETFCAP")) == 1 | 1 << 31
    assert caps.names_of(1 | 1 << 31) == ["CAP_CHOWN", "CAP_SETFCAP"]


def test_default_sets_are_what_docker_shows():
    # CapEff of a container of Docker's: 00000000a80425fb.
    assert caps.mask(caps.DEFAULT) == 0xA80425FB
    found = apply(sets_of(list(caps.DEFAULT)))
    assert found == {
        "Inh": 0,
        "Prm": 0xA80425FB,
        "Eff": 0xA80425FB,
        "Bnd": 0xA80425FB,
        "Amb": 0,
    }


def test_no_capability_is_left_with_all_dropped():
    assert set(apply(sets_of([])).values()) == {0}


def test_another_user_than_root_keeps_the_bounding_set_alone():
    found = apply(sets_of(["CAP_CHOWN"]), uid=1000)
    assert found == {"Inh": 0, "Prm": 0, "Eff": 0, "Bnd": 1, "Amb": 0}


def test_ambient_capabilities_survive_for_another_user():
    names = ["CAP_NET_BIND_SERVICE"]
    found = apply(sets_of(names, ambient=names, inheritable=names), uid=1000)
    assert set(found.values()) == {1 << 10}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("net_admin", "CAP_NET_ADMIN"),
        ("CAP_NET_ADMIN", "CAP_NET_ADMIN"),
        ("cap_sys_Time", "CAP_SYS_TIME"),
        ("all", "ALL"),
        ("NOPE", ""),
        ("", ""),
    ],
)
def test_parse(text, name):
    assert caps.parse(text) == name


def test_a_limit_can_be_read_and_lowered():
    script = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from rootless.linux import rlimit\n"
        "rlimit.set_limit('RLIMIT_NOFILE', 50, 60); rlimit.set_limit('core', 0, 0)\n"
        "print(rlimit.get('nofile'), rlimit.get('core'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(50, 60) (0, 0)\n"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ((1024, 4096), (4096, 4096)),
        ((1024, -1), (1048576, 1048576)),
        ((1024, 2**30), (1048576, 1048576)),
    ],
)
def test_default_limits_stay_below_the_hosts(host, expected):
    assert rlimit.defaults({"nofile": host, "core": (0, 0)}) == {"nofile": expected}


def test_unlimited_is_the_largest():
    assert rlimit.within(-1, -1)
    assert rlimit.within(5, -1)
    assert not rlimit.within(-1, 5)
    assert rlimit.within(5, 5)
