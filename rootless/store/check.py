"""Whether the records and what is on disk agree: for `rl check`, and for tests after a kill -9."""

import hashlib
import os
from typing import TYPE_CHECKING

from rootless.errors import StoreError
from rootless.store import atomic, images, layers, layout, shared

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.paths import Paths

_CHUNK = 1 << 20


def check(ctx: "Context", *, content: bool = False) -> list[str]:
    """The problems of the store, one line each; [] for a sound one.

    Leftovers that the next command sweeps are no problem: nothing refers to them.  `content`
    hashes every blob too.
    """
    paths = ctx.paths
    problems: list[str] = []
    if not os.path.exists(paths.version):
        # Made last: a store without it was never finished, and is made again by prepare().
        return [] if not os.path.exists(paths.oci_index) else ["version is missing"]
    try:
        layout.prepare(paths)
    except StoreError as e:
        return [e.what]
    problems += _check_images(paths)
    problems += _check_layers(paths, content=content)
    problems += _check_containers(paths)
    problems += _check_index(paths)
    if content:
        problems += _check_blobs(paths)
    return problems


def _check_images(paths: "Paths") -> list[str]:
    problems = []
    try:
        records = images.list_images(paths)
    except StoreError as e:
        return [e.what]
    for record in records:
        image = str(record["id"])[7:19]
        for key, where in (("layers", paths.layer), ("layer_blobs", paths.blob)):
            listed = record.get(key)
            for digest in listed if isinstance(listed, list) else []:
                if not os.path.exists(where(str(digest))):
                    problems.append(f"image {image}: {key[:-1]} {str(digest)[7:19]} is missing")
        if not os.path.exists(paths.blob(str(record["id"]))):
            problems.append(f"image {image}: its config is missing")
    for entry in _names(paths.images_by_name):
        path = f"{paths.images_by_name}/{entry}"
        if not atomic.is_temporary(entry) and not os.path.exists(path):
            problems.append(f"name {entry}: its image is missing")
    return problems


def _check_layers(paths: "Paths", *, content: bool) -> list[str]:
    problems = []
    for diff_id in layers.list_layers(paths):
        try:
            meta = layers.read_meta(paths, diff_id)
        except StoreError as e:
            problems.append(f"layer {diff_id[7:19]}: {e.what}")
            continue
        if meta.get("diff_id") != diff_id:
            problems.append(f"layer {diff_id[7:19]}: meta.json is another layer's")
        wrong = shared.check_layer(paths, diff_id, content=content)
        if wrong:
            problems.append(f"layer {diff_id[7:19]}: {wrong}")
        if not os.path.isdir(paths.layer_diff(diff_id)):
            problems.append(f"layer {diff_id[7:19]}: it has no diff/")
    return problems


def _check_containers(paths: "Paths") -> list[str]:
    problems = []
    for name in _names(paths.containers_by_name):
        if not os.path.isdir(f"{paths.containers_by_name}/{name}"):
            problems.append(f"container name {name}: its container is missing")
    for container_id in _names(paths.containers):
        if len(container_id) != 64:
            continue
        for document in ("container.json", "config.json"):
            try:
                atomic.read_json(f"{paths.container(container_id)}/{document}")
            except FileNotFoundError:
                problems.append(f"container {container_id[:12]}: {document} is missing")
            except StoreError as e:
                problems.append(e.what)
    return problems


def _check_index(paths: "Paths") -> list[str]:
    try:
        index = atomic.read_json(paths.oci_index)
    except FileNotFoundError:
        return ["index.json is missing"]
    except StoreError as e:
        return [e.what]
    problems = []
    entries = index.get("manifests")
    for entry in entries if isinstance(entries, list) else []:
        digest = str(entry.get("digest", "")) if isinstance(entry, dict) else ""
        if not os.path.exists(paths.blob(digest)):
            problems.append(f"index.json: manifest {digest[7:19]} is missing")
    return problems


def _check_blobs(paths: "Paths") -> list[str]:
    problems = []
    for name in _names(paths.blobs):
        digest = hashlib.sha256()
        with open(f"{paths.blobs}/{name}", "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != name:
            problems.append(f"blob {name[:12]}: its content is another")
    return problems


def leftovers(paths: "Paths") -> list[str]:
    """The entries of tmp/: what living commands make, and what a sweep will remove."""
    return sorted(_names(paths.tmp))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
