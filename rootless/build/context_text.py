"""A Dockerfile from a stream."""

from typing import Protocol

from rootless.build.dockerfile.nodes import SIZE_MAX


class Readable(Protocol):
    """A stream; a short read is no end, b"" is."""

    def read(self, size: int, /) -> bytes: ...


def read_dockerfile(stream: Readable) -> bytes:
    """A Dockerfile to its end, or one byte more than the largest: nodes.read() says so then."""
    data = b""
    while len(data) <= SIZE_MAX and (more := stream.read(1 << 16)):
        data += more
    return data
