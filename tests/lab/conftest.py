"""Tests of this directory run on a lab host alone; `host` names those that a test is for."""

import os

import pytest

HOST = os.environ.get("RL_LAB_HOST", "")


def pytest_ignore_collect() -> bool | None:
    """Elsewhere they are not collected: no test of scripts/test is skipped for want of a host."""
    return None if HOST else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    known = set(os.listdir(f"{config.rootpath}/scripts/labhosts")) - {"base", "guest"}
    for item in items:
        marker = item.get_closest_marker("host")
        assert not marker or known.issuperset(marker.args), f"{item.nodeid}: no such lab host"
    others = [
        item
        for item in items
        if (marker := item.get_closest_marker("host")) and HOST not in marker.args
    ]
    reboots = [item for item in items if item.get_closest_marker("reboot") and item not in others]
    rest = [item for item in items if item not in others and item not in reboots]
    if os.path.exists(os.path.expanduser("~/reboot/boot-id")):  # this is the second boot
        others, rest = others + rest, []
    config.hook.pytest_deselected(items=others)
    items[:] = rest + reboots
