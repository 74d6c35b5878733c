"""Names that hide: image-spec layer.md."""

import pytest

from rootless.layer import whiteout


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"file", whiteout.NONE),
        (b".whx", whiteout.NONE),
        (b".wh.file", whiteout.HIDE),
        (b".wh..wh.x", whiteout.META),
        (b".wh..wh.plnk", whiteout.META),
        (b".wh..wh..opq", whiteout.HIDE_ALL),
        (b".wh.\xff\n", whiteout.HIDE),
    ],
)
def test_kind_of_a_name(name: bytes, kind: int) -> None:
    assert whiteout.kind_of(name) == kind


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        (b".wh.a", b"a"),
        (b".wh..a", b".a"),
        (b".wh.", None),
        (b".wh..", None),
        (b".wh...", None),
        (b".wh....", b"..."),
    ],
)
def test_hidden_name_is_never_a_directory_itself(name: bytes, hidden: bytes | None) -> None:
    assert whiteout.hidden_name(name) == hidden


def test_attributes_that_overlayfs_obeys_are_reserved() -> None:
    assert whiteout.is_reserved_xattr(b"user.overlay.redirect")
    assert whiteout.is_reserved_xattr(b"trusted.overlay.metacopy")
    assert not whiteout.is_reserved_xattr(b"user.overlayed")
