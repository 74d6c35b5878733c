"""The store's directories, version and OCI layout files.  Warm: one read when all is there."""

import errno
import os

from rootless.errors import StoreError
from rootless.store import atomic
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.paths import Paths

VERSION = 1
OCI_LAYOUT = {"imageLayoutVersion": "1.0.0"}
OCI_INDEX_MEDIA_TYPE = "application/vnd.oci.image.index.v1+json"


def prepare(paths: "Paths") -> None:
    """Make the store if it is not there, private to its owner.

    Raises StoreError: RL-STORE-UNWRITABLE, RL-STORE-FULL, RL-STORE-NEWER (made by a newer rl),
    RL-STORE-CORRUPT (not a store).
    """
    if version(paths) is None:
        _make(paths)


def version(paths: "Paths") -> "int | None":
    """The version on disk, or None without one.  Raises StoreError as prepare()."""
    try:
        with open(paths.version, "rb") as file:
            text = file.read(64)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise StoreError(
            f"cannot read {paths.version}: {e.strerror}",
            remedy="check who owns the store, or set RL_STORE to another directory",
            code="RL-STORE-UNREADABLE",
        ) from e
    if not text.strip().isdigit():
        raise StoreError(
            f"{paths.version} does not hold a version number",
            remedy="set RL_STORE to another directory, or remove this one",
            code="RL-STORE-CORRUPT",
        )
    version = int(text)
    if version > VERSION:
        raise StoreError(
            f"the store {paths.store} has version {version}, this rl knows {VERSION}",
            remedy="use a newer rl, or set RL_STORE to another directory",
            code="RL-STORE-NEWER",
        )
    return version


def _make(paths: "Paths") -> None:
    try:
        os.makedirs(paths.store, paths.directory_mode, exist_ok=True)
        if os.stat(paths.store).st_uid != os.getuid():
            raise StoreError(
                f"the store {paths.store} belongs to another user",
                remedy="set RL_STORE to a directory of your own",
                code="RL-STORE-UNWRITABLE",
            )
        wanted = [
            paths.tmp,
            paths.blobs,
            paths.layers,
            paths.images_by_id,
            paths.images_by_name,
        ]
        if not paths.published:
            wanted += [paths.containers_by_name, paths.volumes, paths.cache]
        for directory in wanted:
            # makedirs gives the mode to the last directory alone; the store's own keeps all shut.
            os.makedirs(directory, paths.directory_mode, exist_ok=True)
    except OSError as e:
        if e.errno in (errno.ENOTDIR, errno.EEXIST):
            raise StoreError(
                f"cannot make the store {paths.store}: a file is in its way ({e.filename})",
                remedy="move it away, or set RL_STORE to another directory",
                code="RL-STORE-UNWRITABLE",
            ) from e
        raise atomic.store_error(e, f"make the store {paths.store}") from e
    # Another command may make the store now, and even have put images into its index.
    with Locked(paths.image_lock, what="the image store"):
        if not os.path.exists(paths.oci_layout):
            atomic.write_json(paths.oci_layout, OCI_LAYOUT, paths.file_mode)
        if not os.path.exists(paths.oci_index):
            atomic.write_json(paths.oci_index, empty_index(), paths.file_mode)
        if not os.path.exists(paths.version):
            # Last: all is there now.
            atomic.write_bytes(paths.version, f"{VERSION}\n".encode(), paths.file_mode)


def empty_index() -> "dict[str, object]":
    return {"schemaVersion": 2, "mediaType": OCI_INDEX_MEDIA_TYPE, "manifests": []}
