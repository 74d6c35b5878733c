"""A blob on its way: a stream that resumes when the line breaks and verifies at its end."""

import hashlib
from collections.abc import Callable, Mapping

from urllib3.exceptions import HTTPError, TimeoutError

from rootless.errors import DigestMismatch, RegistryError
from rootless.oci.descriptor import Descriptor
from rootless.registry.transport import ATTEMPTS, Response, Transport, number, unreachable

CHUNK = 1 << 18  # bytes at most per read
_ENOUGH = 1 << 16  # bytes; TLS gives 16 KiB at a time, and each read has its cost


class BlobStream:
    """read() gives the blob's bytes; b"" at the end, once, after size and digest are verified.

    A broken transfer goes on where it broke (Range), ATTEMPTS times without progress at most; one
    of an earlier command goes on behind what is given to take() at first.
    Raises DigestMismatch, RegistryError RL-REGISTRY-TRUNCATED and those of `get`.
    """

    def __init__(
        self,
        transport: Transport,
        get: Callable[[Mapping[str, str]], Response],
        descriptor: Descriptor,
        what: str,
    ) -> None:
        self._transport = transport
        self._get = get
        self._descriptor = descriptor
        self._what = what
        self._hash = hashlib.sha256()
        self.update: Callable[[bytes], None] = self._hash.update  # which may be timed
        self._response: Response | None = None
        self._failures = 0
        self._cause: Exception | None = None
        self.position = 0
        self.resumed = False  # whether it is put together of several transfers

    def __enter__(self) -> "BlobStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._response is not None:
            self._transport.done(self._response)
            self._response = None

    def take(self, data: bytes) -> None:
        """The next bytes, which are there already; before the first read()."""
        self.position += len(data)
        self.resumed = True
        self.update(data)

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes (CHUNK at most)."""
        wanted = min(size if size > 0 else CHUNK, CHUNK)
        while self.position < self._descriptor.size:
            self._transport.check_cancelled()
            if self._response is None:
                self._response = self._open()
            data = self._receive(self._response, wanted)
            self._transport.check_cancelled()
            if data:
                return self._accept(data)
            self.close()
            self._count_failure()
        self._finish()
        return b""

    def _receive(self, response: Response, wanted: int) -> bytes:
        """What comes, some tens of kB at least while the line holds; b"" when it is broken.

        read1() and not read(): that one drops what it has when the line breaks.
        """
        parts: list[bytes] = []
        length = 0
        try:
            while length < min(wanted, _ENOUGH):
                # As it comes: an object store may call a layer's own gzip a Content-Encoding.
                part = response.read1(wanted - length, decode_content=False)
                if not part:
                    break
                parts.append(part)
                length += len(part)
        except HTTPError as e:
            self._cause = e
        except (OSError, ValueError) as e:  # shut down by cancel(), under our read
            self._cause = e
        return b"".join(parts)

    def _accept(self, data: bytes) -> bytes:
        self.position += len(data)
        self._failures = 0
        if self.position > self._descriptor.size:
            raise self._wrong_size("sends more")
        self.update(data)
        return data

    def _open(self) -> Response:
        """The response that goes on at `position`."""
        headers = {"Range": f"bytes={self.position}-"} if self.position else {}
        self.resumed = self.resumed or self.position > 0
        response = self._get(headers)
        if self.position and response.status == 206:
            start = response.headers.get("Content-Range", "").removeprefix("bytes ")
            if start.partition("-")[0].strip() == str(self.position):
                return response
            self._transport.done(response)
            raise self._wrong_size("resumes at the wrong place")
        if response.status != 200:
            self._transport.done(response)
            raise self._wrong_size(f"answers {response.status}")
        length = number(response.headers.get("Content-Length", ""))
        if length is not None and length > self._descriptor.size:
            self._transport.done(response)
            raise self._wrong_size(f"offers {length} bytes")
        left = self.position  # it knows no ranges: what we have comes again
        while left:
            again = self._receive(response, min(left, CHUNK))
            if not again:
                break
            left -= len(again)
        return response

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures < ATTEMPTS:
            self._transport.pause(self._failures)
            return
        if isinstance(self._cause, TimeoutError):
            raise unreachable(self._transport.endpoint.host, self._cause) from self._cause
        raise RegistryError(
            f"{self._what}: the registry sent {self.position} of {self._descriptor.size} bytes",
            remedy="try again; what has arrived is kept",
            code="RL-REGISTRY-TRUNCATED",
        )

    def _finish(self) -> None:
        if self._response is not None:
            try:
                more = self._response.read(1, decode_content=False)
            except (HTTPError, OSError, ValueError):
                more = b""
            if more:
                raise self._wrong_size("sends more")
            self.close()
        actual = f"sha256:{self._hash.hexdigest()}"
        if actual != self._descriptor.digest:
            raise DigestMismatch(self._what, self._descriptor.digest, actual)

    def _wrong_size(self, why: str) -> RegistryError:
        return RegistryError(
            f"{self._what}: {self._descriptor.size} bytes were announced, the registry {why}",
            remedy="try again, and tell the registry's owner if it stays",
            code="RL-REGISTRY-RUBBISH",
        )
