"""Sizes, ulimits, sysctls and the other numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.runtime import options_limits as limits
from rootless.runtime.options_text import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1", 1),
        ("32", 32),
        ("32b", 32),
        ("32B", 32),
        ("32k", 32 << 10),
        ("32K", 32 << 10),
        ("32kb", 32 << 10),
        ("32Kb", 32 << 10),
        ("32KiB", 32 << 10),
        ("32kib", 32 << 10),
        ("32Mb", 32 << 20),
        ("32m", 32 << 20),
        ("32Gb", 32 << 30),
        ("32t", 32 << 40),
        ("1.5g", 3 << 29),
        ("32.3", 32),
        ("32.5kb", 33280),
        ("1 m", 1 << 20),
        ("0.5k", 512),
    ],
)
def test_size(text, size):
    assert parse_size(text, "x") == size


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "b", "k", "1x", "1kx", "1kibb", "1bb", "1.k", ".5g", "1..5", "1 2", "1  m",
     " 1", "1m ", "٣m", "0x10", "1e3", "9999999t"],
)  # fmt: skip
def test_bad_size(text):
    with pytest.raises(UsageError, match="invalid size"):
        parse_size(text, "x")


@given(st.integers(0, 10**6), st.sampled_from("bkmgBKMG"), st.sampled_from(["", "b", "ib", "iB"]))
def test_units_are_binary(number, unit, suffix):
    if unit in "bB":
        suffix = ""
    factor = 1 << 10 * "bkmg".index(unit.lower())
    assert parse_size(f"{number}{unit}{suffix}", "x") == number * factor


@given(st.text(alphabet="0123456789.kmgtbiKMG -", max_size=8))
def test_any_size_is_parsed_or_refused(text):
    try:
        assert parse_size(text, "x") >= 0
    except UsageError:
        pass


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("nofile=10", ("RLIMIT_NOFILE", 10, 10)),
        ("nofile=10:20", ("RLIMIT_NOFILE", 10, 20)),
        ("core=-1", ("RLIMIT_CORE", -1, -1)),
        ("core=0:unlimited", ("RLIMIT_CORE", 0, -1)),
        ("memlock=unlimited:unlimited", ("RLIMIT_MEMLOCK", -1, -1)),
        ("rttime=5", ("RLIMIT_RTTIME", 5, 5)),
    ],
)
def test_ulimit(spec, expected):
    kind, soft, hard = expected
    assert limits.parse_ulimits([spec]) == [{"type": kind, "soft": soft, "hard": hard}]


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("nofile", "invalid ulimit argument"),
        ("nofile=", "invalid ulimit argument"),
        ("nofile=a", "invalid ulimit argument"),
        ("nofile=1:2:3", "invalid ulimit argument"),
        ("nofile=20:10", "less than or equal to hard"),
        ("nofile=-1:10", "less than or equal to hard"),
        ("nofiles=10", "invalid ulimit type"),
    ],
)
def test_bad_ulimit(spec, match):
    with pytest.raises(UsageError, match=match):
        limits.parse_ulimits([spec])


def test_the_last_ulimit_of_a_name_counts():
    assert limits.parse_ulimits(["core=1", "core=2"]) == limits.parse_ulimits(["core=2"])


def test_ulimits_stay_below_the_callers_hard_limit():
    host = {"nofile": (1024, 4096), "core": (0, -1)}
    limits.check_ulimits(limits.parse_ulimits(["nofile=10:4096", "core=-1"]), host)
    for spec in ("nofile=5000", "nofile=1:unlimited"):
        with pytest.raises(UsageError, match="your own hard limit is 4096") as caught:
            limits.check_ulimits(limits.parse_ulimits([spec]), host)
        assert "limits.conf" in caught.value.remedy
        assert caught.value.code == "RL-ULIMIT"


def test_sysctls():
    found = limits.parse_sysctls(
        ["net.ipv4.ip_forward=1", "kernel.shmmax=5", "fs.mqueue.msg_max=9", "kernel.sem=1 2 3 4"]
    )
    assert found["kernel.sem"] == "1 2 3 4"
    assert len(found) == 4
    assert limits.parse_sysctls(["net/core/somaxconn=5"]) == {"net.core.somaxconn": "5"}


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("kernel.panic=1", "is not allowed"),
        ("vm.swappiness=1", "is not allowed"),
        ("fs.file-max=1", "is not allowed"),
        ("net.x", "invalid sysctl"),
        ("=1", "invalid sysctl"),
        ("net..x=1", "invalid sysctl name"),
        ("net.a b=1", "invalid sysctl name"),
    ],
)
def test_bad_sysctl(spec, match):
    with pytest.raises(UsageError, match=match):
        limits.parse_sysctls([spec])


@pytest.mark.parametrize(
    ("name", "modes"),
    [
        ("net.core.somaxconn", {"network": "host"}),
        ("kernel.shmmax", {"ipc": "host"}),
        ("fs.mqueue.msg_max", {"ipc": "host"}),
        ("kernel.domainname", {"uts": "host"}),
    ],
)
def test_sysctls_of_a_shared_namespace_are_refused(name, modes):
    own = {"network": "", "ipc": "private", "uts": "private"}
    limits.check_sysctls({name: "1"}, **own)
    with pytest.raises(UsageError, match="it would change the host"):
        limits.check_sysctls({name: "1"}, **{**own, **modes})


@pytest.mark.parametrize(
    ("memory", "swap", "expected"),
    [
        ("", "", (0, 0)),
        ("64m", "", (64 << 20, 0)),
        ("64m", "128m", (64 << 20, 128 << 20)),
        ("64m", "64m", (64 << 20, 64 << 20)),
        ("64m", "-1", (64 << 20, -1)),
        ("64m", "0", (64 << 20, 0)),
    ],
)
def test_memory(memory, swap, expected):
    assert limits.parse_memory(memory, swap) == expected


@pytest.mark.parametrize(
    ("memory", "swap", "match"),
    [
        ("5m", "", "the minimum is 6m"),
        ("", "64m", "without --memory"),
        ("", "-1", "without --memory"),
        ("64m", "32m", "less than --memory"),
        ("64m", "-2", "invalid size"),
        ("lots", "", "invalid size"),
    ],
)
def test_bad_memory(memory, swap, match):
    with pytest.raises(UsageError, match=match):
        limits.parse_memory(memory, swap)


@pytest.mark.parametrize(
    ("text", "nano"),
    [("", 0), ("0", 0), ("1", 10**9), ("1.5", 15 * 10**8), (".5", 5 * 10**8), ("0.01", 10**7),
     ("0.000000000", 0), ("2.1234567890", 2123456789)],
)  # fmt: skip
def test_cpus(text, nano):
    assert limits.parse_cpus(text) == nano


@pytest.mark.parametrize("text", ["x", "-1", "1.", ".", "0.001", "1.00000000001", "1,5", "1e3"])
def test_bad_cpus(text):
    with pytest.raises(UsageError, match="invalid --cpus"):
        limits.parse_cpus(text)


@pytest.mark.parametrize("text", ["0", "0-3", "0,2", "0-1,4,6-7"])
def test_cpuset(text):
    assert limits.parse_cpuset(text) == text


@pytest.mark.parametrize("text", ["x", "3-1", "-1", "0-", ",", "0,,1", "0 1"])
def test_bad_cpuset(text):
    with pytest.raises(UsageError, match="invalid --cpuset-cpus"):
        limits.parse_cpuset(text)


def test_pids_limit():
    assert [limits.parse_pids_limit(n) for n in (None, 0, 5, -1)] == [0, 0, 5, -1]
    with pytest.raises(UsageError):
        limits.parse_pids_limit(-2)
