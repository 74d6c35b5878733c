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
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
