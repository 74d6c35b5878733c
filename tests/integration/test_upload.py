"""Uploads to registries with wishes of their own."""

import os
from pathlib import Path

import pytest
from support.images import digest
from support.resuming import Resuming

from rootless.context import Context
from rootless.errors import RegistryError
from rootless.oci import reference
from rootless.oci.descriptor import Descriptor
from rootless.registry import upload
from rootless.registry.client import Client

DATA = os.urandom(20 << 20)


def send(ctx: Context, server: Resuming, directory: Path, data: bytes = DATA) -> list[int]:
    """Upload `data`; what was told of it on the way."""
    path = directory / "blob"
    path.write_bytes(data)
    told: list[int] = []
    try:
        with Client(ctx, reference.parse(f"{server.host}/x"), push=True) as client:
            descriptor = Descriptor("", digest(data), len(data))
            upload.upload(client, descriptor, str(path), "a blob", told.append)
    finally:
        server.close()
    return told


@pytest.mark.parametrize("least", [0, 9 << 20])
def test_a_server_that_takes_little_at_once_gets_chunks(
    ctx: Context, tmp_path: Path, least: int
) -> None:
    server = Resuming(0, 0, most=10 << 20, least=least)
    told = send(ctx, server, tmp_path)
    assert server.blobs[digest(DATA)] == DATA
    step = least or 8 << 20
    ends = [*range(step, len(DATA), step), len(DATA)]
    starts = [0, *ends[:-1]]
    ranges = [f"{start}-{end - 1}" for start, end in zip(starts, ends, strict=True)]
    assert server.ranges == ["", *ranges]
    assert told[-1] == len(DATA)


def test_a_chunk_that_breaks_goes_on_where_it_broke(ctx: Context, tmp_path: Path) -> None:
    server = Resuming(1 << 20, 1, least=4 << 20)
    send(ctx, server, tmp_path, DATA[: 6 << 20])
    assert server.blobs[digest(DATA[: 6 << 20])]
    assert server.received == 6 << 20


def test_a_server_that_takes_nothing_at_all_is_told(ctx: Context, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="413") as caught:
        send(ctx, Resuming(0, 0, most=1 << 20), tmp_path)
    assert caught.value.code == "RL-REGISTRY-ERROR"


@pytest.mark.parametrize("size", [0, 1, upload.AT_ONCE])
def test_a_small_blob_is_sent_in_one_piece(ctx: Context, tmp_path: Path, size: int) -> None:
    server = Resuming(0, 0)
    send(ctx, server, tmp_path, DATA[:size])
    assert server.blobs[digest(DATA[:size])] == DATA[:size]
    assert server.ranges == []
