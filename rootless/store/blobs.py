"""Blobs: bytes named by their digest, in blobs/sha256, complete and verified or not there."""

import hashlib
import os
from typing import BinaryIO

from rootless.errors import DigestMismatch, StoreError
from rootless.oci import digest as digests
from rootless.paths import Paths
from rootless.store.atomic import store_error


def has(paths: Paths, digest: str, size: int = -1) -> bool:
    """Whether the blob is there, and has `size` bytes if that is given."""
    try:
        found = os.stat(paths.blob(digest)).st_size
    except OSError:
        return False
    return size in (-1, found)


def read(paths: Paths, digest: str) -> bytes:
    """A small blob (manifest, config), verified.

    Raises StoreError RL-STORE-CORRUPT when it is not there or damaged.
    """
    path = paths.blob(digest)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as e:
        raise StoreError(
            f"cannot read blob {digest[:19]}: {e.strerror}",
            remedy="pull or import the image again",
            code="RL-STORE-CORRUPT",
        ) from e
    if digests.of(data) != digest:
        raise StoreError(
            f"blob {digest[:19]} is damaged on disk",
            remedy="rl system check --repair takes it out; then pull or import the image again",
            code="RL-STORE-CORRUPT",
        )
    return data


def put(paths: Paths, data: bytes, directory: str) -> str:
    """Store `data`, made in the temporary `directory`; its digest.  No work if it is there."""
    digest = digests.of(data)
    if not has(paths, digest, len(data)):
        with Writer(paths, directory) as writer:
            writer.write(data)
            writer.commit(digest)
    return digest


def adopt(paths: Paths, path: str, digest: str) -> None:
    """Make the file `path`, on the store's file system, the blob that it is; it moves there.

    The caller has hashed it while it was written.  Raises StoreError.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(path, paths.blob(digest))
    except OSError as e:
        raise store_error(e, f"write {paths.blob(digest)}") from e


class Writer:
    """A blob in the making: a file in a temporary directory of the store, hashed as it grows.

    `with` removes it unless commit() was called.  Raises StoreError (RL-STORE-FULL).
    """

    def __init__(self, paths: Paths, directory: str) -> None:
        self._paths = paths
        self._path = f"{directory}/{os.urandom(8).hex()}.blob"
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> "Writer":
        try:
            self._file = open(self._path, "xb", buffering=0)
        except OSError as e:
            raise store_error(e, f"write {self._path}") from e
        return self

    @property
    def digest(self) -> str:
        """Of what has been written."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: "bytes | memoryview") -> None:
        assert self._file is not None
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        except OSError as e:
            raise store_error(e, f"write {self._path}") from e
        self._hash.update(data)
        self.size += len(data)

    def commit(self, digest: str, *, synced: bool = False) -> None:
        """Put the blob in its place: verified, synced, renamed.  Raises DigestMismatch too.

        What is `synced` already is on disk.  Idempotent: done by somebody else in the meantime is
        done.
        """
        assert self._file is not None
        if self.digest != digest:
            raise DigestMismatch("blob", digest, self.digest)
        try:
            if not synced:
                os.fsync(self._file.fileno())
            self._file.close()
            os.rename(self._path, self._paths.blob(digest))
        except OSError as e:
            raise store_error(e, f"write {self._paths.blob(digest)}") from e

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        try:
            os.unlink(self._path)
        except OSError:
            pass


class VerifiedFile:
    """A blob on disk as a stream that raises StoreError at its end if it is damaged."""

    def __init__(self, paths: Paths, digest: str) -> None:
        self._path = paths.blob(digest)
        self._digest = digest
        self._hash = hashlib.sha256()
        self._file = open(self._path, "rb", buffering=0)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        if not data and f"sha256:{self._hash.hexdigest()}" != self._digest:
            raise StoreError(
                f"blob {self._digest[:19]} is damaged on disk",
                remedy="rl system check --repair takes it out; then pull the image again",
                code="RL-STORE-CORRUPT",
            )
        return data

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "VerifiedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
