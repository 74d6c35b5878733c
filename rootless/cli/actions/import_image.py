"""`rl import`: an image from a tar archive."""

import os
from typing import TYPE_CHECKING, Protocol, cast

from rootless.errors import BadReference, RlError, UsageError
from rootless.layer import changes, image
from rootless.layer.compression import Readable
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.store import atomic, events, layout

if TYPE_CHECKING:
    from rootless.context import Context


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


def main(ctx: "Context", values: "dict[str, object]") -> int:
    """Make an image of one layer from a file, standard input or a URL, and print its ID."""
    source = str(values["source"])
    wanted = str(values.get("reference") or "")
    name = canonical_name(wanted) if wanted else ""
    config = changes.apply({}, [str(c) for c in cast("list[str]", values.get("change") or [])])
    platform_text = str(values.get("platform") or "")
    platform = platforms.parse(platform_text) if platform_text else platforms.host()
    comment = str(values.get("message") or "") or f"Imported from {source}"
    layout.prepare(ctx.paths)
    atomic.sweep(ctx)  # what a killed import has left
    stream = open_source(source, "import")
    try:
        record = image.create(
            ctx,
            cast(Readable, stream),
            name=name,
            config=config,
            platform=platform,
            comment=comment,
            what=source if source != "-" else "standard input",
        )
    finally:
        stream.close()
    events.record_image(ctx.paths, "import", str(record["id"]))
    os.write(1, f"{record['id']}\n".encode())
    return 0


def canonical_name(text: str) -> str:
    """The canonical form of a name for a new image.  Raises BadReference for a digest."""
    named = reference.parse(text)
    if named.digest:
        raise BadReference(
            f"{text} has a digest, which an image gets from its content",
            remedy="give a NAME or NAME:TAG",
        )
    return named.tagged().canonical()


def open_source(source: str, command: str) -> _Source:
    """A file, - for standard input, or a URL.  Raises RlError RL-IMPORT-SOURCE."""
    if source == "-":
        if os.isatty(0):
            raise UsageError(
                f"rl {command} - reads an archive from standard input, which is a terminal",
                remedy="redirect a tar archive to it",
            )
        return open(0, "rb", buffering=0, closefd=False)
    if source.startswith(("http://", "https://")):
        return _Download(source)
    try:
        file = open(source, "rb", buffering=0)
    except OSError as e:
        raise _unreadable(source, e.strerror or str(e)) from e
    if os.path.isdir(source):
        file.close()
        raise _unreadable(source, "it is a directory")
    return file


def _unreadable(source: str, why: str) -> RlError:
    return RlError(
        f"cannot read {source}: {why}",
        remedy="give a tar archive: a file, - for standard input, or a URL",
        code="RL-IMPORT-SOURCE",
    )


class _Download:
    """The body of a GET as a stream that knows when it was cut off."""

    def __init__(self, url: str) -> None:
        import http.client
        import urllib.request

        self._url = url
        try:
            # The scheme was checked: no file:// or ftp:// comes here.
            self._response = urllib.request.urlopen(url, timeout=60)  # noqa: S310
        except (OSError, http.client.HTTPException, ValueError) as e:
            from rootless.build.context_http import reason

            raise _unreadable(url, reason(e)) from e
        length = self._response.headers.get("Content-Length") or ""
        self._left = int(length) if length.isdecimal() else None

    def read(self, size: int, /) -> bytes:
        import http.client

        try:
            data: bytes = self._response.read(size)
        except (OSError, http.client.HTTPException) as e:
            raise _unreadable(self._url, f"the transfer broke off ({e})") from e
        if self._left is not None:
            self._left -= len(data)
            if not data and self._left > 0:
                raise _unreadable(self._url, f"the transfer broke off, {self._left} bytes short")
        return data

    def close(self) -> None:
        self._response.close()
