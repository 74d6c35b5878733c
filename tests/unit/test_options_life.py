"""--restart, durations, health checks of options and images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.runtime.options_life import health_check, parse_duration, parse_restart


@pytest.mark.parametrize(
    ("asked", "name", "retries"),
    [
        ("", "no", 0),
        ("no", "no", 0),
        ("always", "always", 0),
        ("unless-stopped", "unless-stopped", 0),
        ("on-failure", "on-failure", 0),
        ("on-failure:", "", 0),
        ("on-failure:7", "on-failure", 7),
        ("always:7", "", 0),
        ("no:1", "", 0),
        ("on-failure:-1", "", 0),
        ("on-failure:1:2", "", 0),
        (":3", "", 0),
        ("On-Failure", "", 0),
    ],
)
def test_restart_policies(asked: str, name: str, retries: int) -> None:
    if name:
        assert parse_restart(asked) == {"name": name, "retries": retries}
    else:
        with pytest.raises(UsageError):
            parse_restart(asked)


@pytest.mark.parametrize(
    ("asked", "nanoseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("30s", 30 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("500ms", 5 * 10**8),
        ("100us", 10**5),
        ("100µs", 10**5),
        ("7ns", 7),
    ],
)
def test_durations(asked: str, nanoseconds: int) -> None:
    assert parse_duration(asked, "--x") == nanoseconds


@pytest.mark.parametrize("asked", ["", "1", "s", "1d", "-1s", "1s2", "1..5s", "..s", "1 s", "ms5"])
def test_durations_that_are_none(asked: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(asked, "--x")


@given(st.text(alphabet="0123456789.hmsunµ-+ e", max_size=12))
def test_any_text_is_a_duration_or_a_usage_error(asked: str) -> None:
    try:
        assert parse_duration(asked, "--x") >= 0
    except UsageError:
        pass


def test_options_go_over_the_images_health_check() -> None:
    image = {"Healthcheck": {"Test": ["CMD", "ok"], "Interval": 5, "Retries": 2}}
    assert health_check({}, image) == image["Healthcheck"]
    assert health_check({}, {}) == {}
    assert health_check({"test": ["NONE"]}, image) == {"Test": ["NONE"]}
    assert health_check({"test": ["CMD-SHELL", "x"], "timeout": 9}, image) == {
        "Test": ["CMD-SHELL", "x"], "Interval": 5, "Timeout": 9, "Retries": 2,
    }  # fmt: skip
