"""Tables, sizes, durations and times, as Docker writes them."""

import calendar
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless import log
from rootless.cli import container_words as words
from rootless.cli.output import (
    familiar,
    human_duration,
    human_size,
    parse_time,
    pretty_json,
    printable,
    repository_and_tag,
    table,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (4261550, "4.26MB"),
        (117_000_000, "117MB"),
        (999_999, "1MB"),
        (1_500_000_000_000, "1.5TB"),
    ],
)
def test_human_size(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (2 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@given(st.integers(min_value=0, max_value=4102444800))
def test_parse_time_agrees_with_the_calendar(seconds: int) -> None:
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    assert parse_time(text) == seconds
    assert calendar.timegm(time.gmtime(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T02:00:00.000000001+02:00", 1e-9),
        ("1969-12-31T22:00:00-02:00", 0.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("2026-99-01T00:00:00Z", 0.0),
        ("garbage that is long enough", 0.0),
    ],
)
def test_parse_time(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds)


def test_table_columns_are_at_least_ten_wide() -> None:
    assert table([["A", "B"], ["long cell here", "x"]]) == (
        "A                B\nlong cell here   x\n"
    )
    assert table([["A", "B"]]) == "A         B\n"
    assert table([]) == ""


def test_a_terminal_is_not_steered_by_names() -> None:
    assert printable("a\x1b[2Jb\n") == "a\\x1b[2Jb\\x0a"
    assert log.printable(os.fsdecode(b"\ta\xff\x1b")) == "\ta\\xff\\x1b"


def test_pretty_json_is_dockers() -> None:
    assert pretty_json([{"A": [], "B": {}, "C": [1, None]}]) == (
        '[\n    {\n        "A": [],\n        "B": {},\n        "C": [\n            1,\n'
        "            null\n        ]\n    }\n]"
    )


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/a/b:c", "a/b:c"),
        ("localhost:5000/a:b", "localhost:5000/a:b"),
    ],
)
def test_familiar(name: str, short: str) -> None:
    assert familiar(name) == short


def test_a_port_of_the_registry_is_no_tag() -> None:
    assert repository_and_tag("localhost:5000/a:b") == ("localhost:5000/a", "b")
    assert repository_and_tag("localhost:5000/a") == ("localhost:5000/a", "<none>")


def port(outside: int, inside: int, protocol: str = "tcp", ip: str = "") -> dict[str, object]:
    return {
        "host_ip": ip, "host_port": outside, "container_port": inside, "protocol": protocol,
    }  # fmt: skip


def test_ports_join_to_ranges_and_show_what_is_only_exposed() -> None:
    published = [port(8001, 81), port(8000, 80), port(8002, 82), port(53, 53, "udp", "::1")]
    assert words.ports(published, ["80/tcp", "443/tcp"]) == (
        "[::1]:53->53/udp, 0.0.0.0:8000-8002->80-82/tcp, 443/tcp"
    )


def test_a_command_is_quoted_as_go_does() -> None:
    assert words.quoted('a "b" \\ \n\x1b') == '"a \\"b\\" \\\\ \\n\\x1b"'
