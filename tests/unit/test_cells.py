"""Columns of a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.cli import cells


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("日本", 4), ("a日", 3), ("…", 1), ("🚀", 2)],
)
def test_width(text: str, columns: int) -> None:
    assert cells.width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "short"),
    [
        ("abcd", 4, "abcd"),
        ("abcde", 4, "abc…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
    ],
)
def test_cut(text: str, columns: int, short: str) -> None:
    assert cells.cut(text, columns) == short


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])), st.integers(1, 20))
def test_what_is_padded_has_its_width(text: str, columns: int) -> None:
    assert cells.width(cells.pad(text, columns)) == columns
