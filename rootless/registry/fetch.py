"""The layers of an image into the store, several at once.

Each is written down as received and unpacked while it arrives.  When the transfer breaks, what has
arrived stays (store/partials.py): the next pull, of whatever image, goes on from there.  A layer
that two commands want is fetched by one of them, and the other waits.
"""

import threading
from collections.abc import Callable
from functools import partial

from rootless.context import Context
from rootless.errors import RegistryError, RlError, StoreError
from rootless.layer.slots import PARALLEL, THREADS, Slot
from rootless.layer.timing import Spent, Timed
from rootless.layer.unpack import unpack, unpack_layer
from rootless.oci import digest as digests
from rootless.oci.descriptor import Descriptor
from rootless.registry.blobs import BlobStream
from rootless.registry.client import Client
from rootless.registry.parallel import run_all
from rootless.registry.transport import Cancelled
from rootless.store import blobs, layers
from rootless.store.partials import Partial

_CHUNK = 1 << 18
WAIT_S = 0.1  # between looks at a blob that another command fetches

# (layer, phase, bytes done, bytes in all).  The layer is 12 hex digits of its blob's digest; ""
# says that the manifest is known, with the canonical name as phase.  Phases of a layer: waiting,
# downloading, verifying, extracting, then exists or done.  Calls never overlap.
Progress = Callable[[str, str, int, int], None]


class LayerFetcher:
    """Fetches layers of one repository."""

    def __init__(self, ctx: Context, client: Client, tell: Progress) -> None:
        self.ctx = ctx
        self.paths = ctx.paths
        self.client = client
        self.tell = tell
        # A layer that waits for the disk has given its slot to the next one.
        self._slots = threading.Semaphore(PARALLEL)

    def fetch(self, wanted: dict[str, Descriptor]) -> dict[str, int]:
        """Have the layers (diffID to blob) unpacked and their blobs in the store.

        The caller has leased both.  Returns each layer's unpacked size.  Raises what the first
        failure raises: RegistryError, DigestMismatch, BadDocument, StoreError, HostError.
        """
        for descriptor in wanted.values():
            self.tell(_short(descriptor.digest), "waiting", 0, descriptor.size)
        return run_all(
            self.client,
            {
                diff_id: partial(self._layer, descriptor, diff_id)
                for diff_id, descriptor in wanted.items()
            },
            THREADS,
        )

    def _layer(self, descriptor: Descriptor, diff_id: str) -> int:
        with Slot(self._slots) as slot:
            self.client.transport.check_cancelled()
            return self._with_slot(descriptor, diff_id, slot)

    def _with_slot(self, descriptor: Descriptor, diff_id: str, slot: Slot) -> int:
        short = _short(descriptor.digest)
        size = self._stored(descriptor, diff_id)
        phase = "exists"
        if size is None:
            with Partial(self.paths, descriptor.digest, self._wait_for_others) as held:
                size = self._stored(descriptor, diff_id)  # whom we waited for may have got it
                if size is None:
                    phase = "done"
                    size = self._download(descriptor, diff_id, held, slot)
        self.tell(short, phase, descriptor.size, descriptor.size)
        return size

    def _wait_for_others(self) -> None:
        if self.client.transport.cancelled.wait(WAIT_S):
            self.client.transport.check_cancelled()

    def _stored(self, descriptor: Descriptor, diff_id: str) -> int | None:
        """The size of a layer whose blob is here, unpacked now if need be; None without one.

        An unpacked layer is not enough: its blob may have been compressed otherwise, and what is
        pulled can be pushed unchanged (docs/decisions/060-registry.md).
        """
        if not blobs.has(self.paths, descriptor.digest, descriptor.size):
            return None
        if layers.exists(self.paths, diff_id):
            return layers.size(self.paths, diff_id)
        try:
            with blobs.VerifiedFile(self.paths, descriptor.digest) as file:
                source = _Local(self, file, descriptor)
                return unpack_layer(self.ctx, self.paths, source, descriptor.media_type, diff_id)
        except FileNotFoundError:
            return None
        except StoreError as e:
            if e.code != "RL-STORE-CORRUPT":
                raise
            return None  # what comes now replaces it

    def _download(self, descriptor: Descriptor, diff_id: str, held: Partial, slot: Slot) -> int:
        """Fetch, unpack and keep; once more from the beginning when what was put together of
        several transfers makes no sense."""
        if held.kept > descriptor.size:
            held.discard()
        what = f"layer {_short(descriptor.digest)} of {self.client.name.familiar()}"
        for last in (False, True):
            with self.client.blob(descriptor, what) as stream:
                try:
                    return self._transfer(_Incoming(self, stream, descriptor, held), diff_id, slot)
                except RlError as e:
                    if isinstance(e, Cancelled) or _is_transient(e):
                        raise
                    held.discard()
                    if last or not stream.resumed:
                        raise
        raise AssertionError("the last attempt returns or raises")

    def _transfer(self, source: "_Incoming", diff_id: str, slot: Slot) -> int:
        if layers.exists(self.paths, diff_id):
            size = layers.size(self.paths, diff_id)
            source.read_rest()
            source.held.commit()
            return size

        def unpacked() -> None:
            source.read_rest()
            slot.release()

        media_type = source.descriptor.media_type
        layer = unpack(self.ctx, self.paths, source, media_type, diff_id, unpacked)
        source.held.commit(synced=True)  # with the layer
        return layer.size


def _is_transient(error: RlError) -> bool:
    """Whether what has arrived is good although the transfer failed."""
    return isinstance(error, RegistryError) and error.code != "RL-REGISTRY-RUBBISH"


class _Local:
    """A blob of the store on its way to the extraction."""

    def __init__(
        self, fetcher: LayerFetcher, file: blobs.VerifiedFile, descriptor: Descriptor
    ) -> None:
        self._file = file
        self._shown = _Shown(fetcher, descriptor, "extracting")

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._shown.add(len(data))
        return data


class _Incoming(Timed):
    """A layer's blob on its way to the extraction: what was kept, then what comes, written down.

    Verified when read() has given b"".
    """

    def __init__(
        self, fetcher: LayerFetcher, stream: BlobStream, descriptor: Descriptor, held: Partial
    ) -> None:
        self.descriptor = descriptor
        self.held = held
        self._stream = stream
        self._shown = _Shown(fetcher, descriptor, "downloading")
        self._write = held.write
        self._ended = False

    def read(self, size: int = -1, /) -> bytes:
        if self._ended:
            return b""
        data = self.held.read_kept(size if size > 0 else _CHUNK)
        if data:
            self._stream.take(data)
        else:
            self._shown.about_to_read()
            data = self._stream.read(size)
            self._write(data)
        self._ended = not data
        self._shown.add(len(data))
        return data

    def time(self, spent: Spent) -> None:
        self._write = spent.timed("write", self.held.write)
        self._stream.update = spent.timed("hash", self._stream.update)

    def read_rest(self) -> None:
        """What stands behind the tar's end is part of the blob."""
        while self.read():
            pass


class _Shown:
    """How far a layer is."""

    def __init__(self, fetcher: LayerFetcher, descriptor: Descriptor, phase: str) -> None:
        self._tell = fetcher.tell
        self._layer = _short(descriptor.digest)
        self._total = descriptor.size
        self._phase = phase
        self._done = 0

    def about_to_read(self) -> None:
        if self._done >= self._total:
            self._tell(self._layer, "verifying", self._done, self._total)

    def add(self, size: int) -> None:
        """`size` more bytes have come; 0 says that it was the end."""
        self._done += size
        phase = self._phase if size else "extracting"
        self._tell(self._layer, phase, self._done if size else self._total, self._total)


def _short(digest: str) -> str:
    return digests.checked(digest, "layer")[7:19]
