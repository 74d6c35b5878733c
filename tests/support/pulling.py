"""Pulls that are to fail, and what they may leave."""

import os
from pathlib import Path

import pytest

from rootless.context import Context
from rootless.errors import RlError
from rootless.registry.pull import pull
from support.images import Image, digest

RANDOM = os.urandom(600_000)  # does not compress: several chunks


def blob_path(image: Image) -> str:
    return f"/v2/app/blobs/{digest(image.layer_blobs()[0][1])}"


def failure(ctx: Context, reference: str, code: str) -> RlError:
    """Pull, and expect this code and nothing left but complete blobs."""
    with pytest.raises(RlError) as caught:
        pull(ctx, reference)
    assert caught.value.code == code, caught.value.one_line()
    assert caught.value.remedy
    assert "\n" not in caught.value.one_line()
    assert os.listdir(ctx.paths.tmp) == []
    assert os.listdir(ctx.paths.images_by_id) == []
    for name in os.listdir(ctx.paths.blobs):
        assert digest(Path(ctx.paths.blobs, name).read_bytes()) == f"sha256:{name}"
    return caught.value
