"""--output: the result of a build as a directory, a tar archive, or an archive of the image.

An image archive is an OCI layout; type=docker has Docker's manifest.json beside it: `rl save`
writes the same.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from rootless.build.option_forms import Output
from rootless.errors import RlError
from rootless.layer import archive, image_archive
from rootless.linux import copytree, mount
from rootless.oci import reference
from rootless.runtime import layer_copies, rootfs
from rootless.store import atomic, shared_mounts
from rootless.store.images import reading
from rootless.store.leases import Lease

if TYPE_CHECKING:
    from rootless.context import Context


def write(ctx: "Context", output: Output, record: dict[str, Any], names: Iterable[str]) -> None:
    """Write one output of the image `record`; `names` are for archives of the image.

    The caller has one thread.  Raises RlError (RL-BUILD-OUTPUT).
    """
    with reading(ctx.paths):
        if output.type == "local":
            _local(ctx, output.dest, record)
        elif output.type == "tar":
            with _Target(output.dest) as file:
                _tar(ctx, file, record)
    if output.type in ("oci", "docker"):
        _image(ctx, output, record, list(names))


def _failure(what: str, e: OSError) -> RlError:
    return RlError(
        f"cannot write {what}: {e.strerror}",
        remedy="check the path of --output, and the space there",
        code="RL-BUILD-OUTPUT",
    )


class _Target:
    """The file `path`, put in its place when it is whole; "-" is standard output."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._part = f"{path}.part-{os.getpid()}"

    def __enter__(self) -> BinaryIO:
        if self._path == "-":
            self._file: BinaryIO = open(1, "wb", closefd=False)
            return self._file
        try:
            if os.path.exists(self._path) and not os.path.isfile(self._path):
                self._part = self._path  # a pipe or a device
            self._file = open(self._part, "wb")
        except OSError as e:
            raise _failure(self._path, e) from e
        return self._file

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        try:
            self._file.close()
            if self._path != "-" and self._part != self._path and kind is None:
                os.rename(self._part, self._path)
        except OSError as e:
            raise _failure(self._path, e) from e
        finally:
            if self._path != "-" and self._part != self._path:
                with suppress(OSError):
                    os.unlink(self._part)
        if isinstance(value, OSError) and not isinstance(value, BrokenPipeError):
            raise _failure(self._path, value) from value


# The file system.


def _with_root(
    ctx: "Context", record: dict[str, Any], work: Callable[[int], object], what: str
) -> None:
    """Run `work(root_fd)` as root of a user namespace where the image is mounted."""
    layers = [f"layers/{d.rpartition(':')[2]}/diff" for d in reversed(record["layers"])]
    with atomic.TemporaryDirectory(ctx.paths, ctx) as temporary:
        for name in ("upper", "work", "root", "links", "empty"):
            os.mkdir(f"{temporary}/{name}", 0o755)
        relative = os.path.relpath(temporary, ctx.paths.store)
        overlaid = rootfs.storage_driver(ctx, "") == "overlay"
        if not overlaid:
            whole = [f"{ctx.paths.store}/{layer}" for layer in reversed(layers)]
            layer_copies.flatten(ctx, whole, f"{temporary}/root")

        def inside() -> object:
            root = f"{temporary}/root"
            if overlaid:
                mount.overlay(
                    layers or [f"{relative}/empty"],
                    root,
                    upper=f"{relative}/upper",
                    work=f"{relative}/work",
                    base=ctx.paths.store,
                    links=f"{temporary}/links",
                )
            fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
            try:
                work(fd)
            except OSError as e:
                raise _failure(what, e) from e
            finally:
                os.close(fd)
            return True

        read = [f"{ctx.paths.store}/{layer}" for layer in layers] if overlaid else []
        shared_mounts.run_in_worker(ctx, read, inside, mounts=True)


def _tar(ctx: "Context", file: BinaryIO, record: dict[str, Any]) -> None:
    def work(root_fd: int) -> None:
        archive.write_tree(root_fd, file.write)
        file.flush()

    _with_root(ctx, record, work, "the archive")


def _local(ctx: "Context", directory: str, record: dict[str, Any]) -> None:
    """Copy everything into `directory`; what it has besides stays.  All of it is the caller's."""
    try:
        os.makedirs(directory, exist_ok=True)
        target_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as e:
        raise _failure(directory, e) from e

    def work(root_fd: int) -> None:
        status = os.fstat(target_fd)
        # The source is a mounted image without whiteouts: "apply" replaces what is in the way.
        copytree.Copy(overlay="apply", owner=lambda uid, gid: (0, 0)).directory(root_fd, target_fd)
        os.fchmod(target_fd, status.st_mode & 0o7777)

    try:
        _with_root(ctx, record, work, directory)
    finally:
        os.close(target_fd)


# The image.


def write_index(
    ctx: "Context", output: Output, records: list[dict[str, Any]], names: Iterable[str]
) -> None:
    """Write an OCI archive of one image for several platforms.  As write()."""
    with Lease(ctx) as lease:
        image_archive.lease_images(ctx, records, lease)
        named = _names(output, names)
        files = image_archive.collect_index(ctx, records, named, lease, output.packing)
        _put_files(output, files)


def _names(output: Output, names: Iterable[str]) -> list[str]:
    if not output.attrs.get("name"):
        return list(names)
    words = [name for name in output.attrs["name"].split(",") if name]
    return [reference.parse(name).tagged().canonical() for name in words]


def _image(ctx: "Context", output: Output, record: dict[str, Any], names: list[str]) -> None:
    docker = output.type == "docker"
    with Lease(ctx) as lease:
        image_archive.lease_images(ctx, [record], lease)
        wanted = [(record, _names(output, names))]
        _put_files(
            output, image_archive.collect(ctx, wanted, lease, docker=docker, how=output.packing)
        )


def _put_files(output: Output, files: image_archive.Files) -> None:
    if output.says("tar") is False:
        try:
            image_archive.write_directory(output.dest, files, replace=True)
        except OSError as e:
            raise _failure(output.dest, e) from e
        return
    with _Target(output.dest) as file:
        image_archive.write_archive(file.write, files)
        file.flush()
