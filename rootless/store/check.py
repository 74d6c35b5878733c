"""Whether the records and what is on disk agree, and what can be put right without a registry.

For `rl system check`, and for tests after a kill -9.  What is in layers: layer/check.py.
"""

import hashlib
import os
from typing import TYPE_CHECKING

from rootless.errors import RlError, StoreError
from rootless.ids import is_hex
from rootless.records import dataclass
from rootless.store import atomic, image_changes, images, layers, layout, manifest_lists, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.context import Context
    from rootless.paths import Paths


@dataclass(frozen=True, slots=True)
class Problem:
    """`what` is one line.  `kind` and `key` say what it is about: the keys of REPAIRS, and a path,
    digest or name; images that a lost layer or blob is missed by are found by their own problem.
    """

    kind: str
    key: str
    what: str


def check(ctx: "Context", *, content: bool = False) -> list[str]:
    """The problems of the store, one line each; [] for a sound one."""
    return [one.what for one in problems(ctx, content=content)]


def problems(ctx: "Context", *, content: bool = False) -> list[Problem]:
    """What is wrong in the store.

    Leftovers that the next command sweeps are no problem: nothing refers to them.  `content`
    hashes every blob too.
    """
    paths = ctx.paths
    if not os.path.exists(paths.version):
        # Made last: a store without it was never finished, and is made again by prepare().
        there = os.path.exists(paths.oci_index)
        return [Problem("version", paths.version, "version is missing")] if there else []
    try:
        layout.prepare(paths)
    except StoreError as e:
        return [Problem("store", paths.store, e.what)]
    found = _check_images(paths)
    found += _check_layers(paths, content=content)
    found += _check_containers(paths)
    found += _check_index(paths)
    found += _check_lists(paths)
    if content:
        found += _check_blobs(paths)
    return found


def _check_images(paths: "Paths") -> list[Problem]:
    found = []
    for name in sorted(_names(paths.images_by_id)):
        if atomic.is_temporary(name):
            continue
        try:
            record = images.resolve(paths, f"sha256:{name.removesuffix('.json')}")
        except RlError as e:
            where = f"{paths.images_by_id}/{name}"
            found.append(Problem("record", where, f"image {name[:12]}: {e.what}"))
            continue
        found += _check_record(paths, record)
    for entry in sorted(_names(paths.images_by_name)):
        path = f"{paths.images_by_name}/{entry}"
        if not atomic.is_temporary(entry) and not os.path.exists(path):
            name = entry.replace("%2F", "/").replace("%25", "%")
            found.append(Problem("name", path, f"name {name}: its image is missing"))
    return found


def _check_record(paths: "Paths", record: dict[str, object]) -> list[Problem]:
    found = []
    image_id = str(record["id"])
    missing = [
        f"layer {str(one)[7:19]}"
        for one in dict.fromkeys(_list(record.get("layers")))
        if not layers.exists(paths, str(one)) or not _has_diff(paths, str(one))
    ]
    if not os.path.exists(paths.blob(image_id)):
        missing.append("config")
    manifest = str(record.get("digest") or "")
    if manifest and not os.path.exists(paths.blob(manifest)):
        missing.append("manifest")
    if missing:
        what = f"image {image_id[7:19]}: {', '.join(missing)} missing"
        found.append(Problem("image", image_id, what))
    return found


def _has_diff(paths: "Paths", diff_id: str) -> bool:
    """Whether the layer has its directory, or the link of an adopted one: shared.check_layer()."""
    return os.path.isdir(paths.layer_diff(diff_id)) or shared.is_adopted(paths, diff_id)


def _check_layers(paths: "Paths", *, content: bool) -> list[Problem]:
    found = []
    for name in sorted(_names(paths.layers)):
        path = f"{paths.layers}/{name}"
        diff_id = f"sha256:{name}"
        if len(name) != 64 or not is_hex(name):
            found.append(Problem("stray", path, f"layers/{name} is no layer"))
            continue
        try:
            meta = layers.read_meta(paths, diff_id)
        except StoreError as e:
            found.append(Problem("layer", diff_id, f"layer {name[:12]}: {e.what}"))
            continue
        if meta.get("diff_id") != diff_id:
            found.append(
                Problem("layer", diff_id, f"layer {name[:12]}: meta.json is another layer's")
            )
        elif not _has_diff(paths, diff_id):
            found.append(Problem("layer", diff_id, f"layer {name[:12]}: it has no diff/"))
        wrong = shared.check_layer(paths, diff_id, content=content)
        if wrong:
            found.append(Problem("shared", diff_id, f"layer {name[:12]}: {wrong}"))
    return found


def _check_containers(paths: "Paths") -> list[Problem]:
    found = []
    for name in _names(paths.containers_by_name):
        if not os.path.isdir(f"{paths.containers_by_name}/{name}"):
            where = f"{paths.containers_by_name}/{name}"
            found.append(Problem("name", where, f"container name {name}: its container is missing"))
    for container_id in _names(paths.containers):
        if len(container_id) != 64:
            continue
        for document in ("container.json", "config.json"):
            what = ""
            try:
                atomic.read_json(f"{paths.container(container_id)}/{document}")
            except FileNotFoundError:
                what = f"container {container_id[:12]}: {document} is missing"
            except StoreError as e:
                what = f"container {container_id[:12]}: {e.what}"
            if what:
                found.append(Problem("container", container_id, what))
    return found


def _check_index(paths: "Paths") -> list[Problem]:
    try:
        index = atomic.read_json(paths.oci_index)
    except FileNotFoundError:
        return [Problem("index", paths.oci_index, "index.json is missing")]
    except StoreError as e:
        return [Problem("index", paths.oci_index, e.what)]
    found = []
    for entry in _list(index.get("manifests")):
        digest = str(entry.get("digest", "")) if isinstance(entry, dict) else ""
        if not os.path.exists(paths.blob(digest)):
            what = f"index.json: manifest {digest[7:19]} is missing"
            found.append(Problem("index", paths.oci_index, what))
    return found


def _check_lists(paths: "Paths") -> list[Problem]:
    found = []
    for name in manifest_lists.names(paths):
        try:
            manifest_lists.read(paths, name)
        except RlError as e:
            where = paths.manifest_list(name)
            found.append(Problem("list", where, f"manifest list {name}: {e.what}"))
    return found


def _check_blobs(paths: "Paths") -> list[Problem]:
    found = []
    for name in sorted(_names(paths.blobs)):
        path = f"{paths.blobs}/{name}"
        if len(name) != 64 or not is_hex(name):
            found.append(Problem("stray", path, f"blobs/sha256/{name} is no blob"))
            continue
        try:
            with open(path, "rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            if os.path.islink(path):
                found.append(Problem("blob", path, f"blob {name[:12]}: its shared store is away"))
            continue  # else collected by another command
        except OSError as e:
            found.append(Problem("blob", path, f"blob {name[:12]}: {e.strerror}"))
            continue
        if actual != name:
            found.append(Problem("blob", path, f"blob {name[:12]}: its content is another"))
    return found


def repair(ctx: "Context", problem: Problem) -> str:
    """Put a problem right, if that takes nothing but this store; what was done, "" for nothing.

    What is damaged is taken out, so that a pull brings it again.  Containers are never touched,
    and layers are layer/check.py's.  Raises StoreError.
    """
    act = _REPAIRS.get(problem.kind)
    return act(ctx, problem) if act else ""


def _drop_file(ctx: "Context", problem: Problem) -> str:
    try:
        os.unlink(problem.key)
    except FileNotFoundError:
        pass
    except OSError as e:
        raise atomic.store_error(e, f"remove {problem.key}") from e
    return "removed"


def _drop_stray(ctx: "Context", problem: Problem) -> str:
    """By way of tmp/: what a sweep removes may take long and belong to other IDs."""
    with atomic.TemporaryDirectory(ctx.paths, ctx) as trash:
        try:
            os.rename(problem.key, f"{trash}/stray")
        except FileNotFoundError:
            pass
        except OSError as e:
            raise atomic.store_error(e, f"remove {problem.key}") from e
    return "removed"


def _drop_record(ctx: "Context", problem: Problem) -> str:
    """A record that cannot be read, and the names that lead to it."""
    identifier = os.path.basename(problem.key)
    for entry in _names(ctx.paths.images_by_name):
        path = f"{ctx.paths.images_by_name}/{entry}"
        try:
            if os.path.basename(os.readlink(path)) == identifier:
                os.unlink(path)
        except OSError:
            continue
    return _drop_file(ctx, problem)


def _rewrite_index(ctx: "Context", problem: Problem) -> str:
    image_changes.refresh_index(ctx.paths)
    return "written again"


def _write_version(ctx: "Context", problem: Problem) -> str:
    layout.prepare(ctx.paths)
    return "written again"


_REPAIRS: "dict[str, Callable[[Context, Problem], str]]" = {
    "version": _write_version,
    "record": _drop_record,
    "name": _drop_file,
    "index": _rewrite_index,
    "list": _drop_file,
    "blob": _drop_file,
    "stray": _drop_stray,
}


def leftovers(paths: "Paths") -> list[str]:
    """The entries of tmp/: what living commands make, and what a sweep will remove."""
    return sorted(_names(paths.tmp))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
