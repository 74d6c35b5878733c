"""What changes images: add, untag, remove, and the collection of what nobody uses.

Each function takes the image lock itself.  The order of steps is such that a kill leaves nothing
wrong, only something superfluous: links go before records, records before layers and blobs.
"""

import hashlib
import os
from collections.abc import Callable, Iterable

from rootless.context import Context
from rootless.errors import ImageError, StoreError
from rootless.oci import reference
from rootless.paths import Paths
from rootless.store import (
    atomic,
    buildcache,
    image_manifests,
    images,
    layers,
    layout,
    manifest_lists,
    partials,
)
from rootless.store.leases import leased
from rootless.store.locks import Locked
from rootless.store.removal import remove_mapped_tree

Record = dict[str, object]

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"  # image-spec annotations.md


def add(paths: Paths, record: Record, name: str) -> Record:
    """Store `record` under the canonical `name` ("" for none); the record as it is now.

    Names and digests that the image had before stay.  Another image that had the name loses it.
    Layers and blobs are in the store and leased (leases.py).
    """
    with _lock(paths):
        return add_locked(paths, record, name)


def add_locked(paths: Paths, record: Record, name: str) -> Record:
    """add() for who holds the image lock."""
    image_id = str(record["id"])
    merged = dict(record)
    try:
        before = atomic.read_json(paths.image(image_id))
    except (FileNotFoundError, StoreError):
        before = {}
    merged["repo_digests"] = _merge(before.get("repo_digests"), record.get("repo_digests"))
    held = images.names_of(paths, image_id)
    merged.pop(image_manifests.OTHERS, None)
    if _has_blobs(paths, before):
        if not _has_blobs(paths, record):
            # The same image, made here: its layers have no blobs.  What is complete goes out as
            # it came.
            merged |= {key: before[key] for key in image_manifests.KEYS if key in before}
        others = image_manifests.kept(before, merged, name, held)
        merged |= {image_manifests.OTHERS: others} if others else {}
    loser = _owner(paths, name) if name else ""
    merged["names"] = _merge(held, [name] if name else [])
    atomic.write_json(paths.image(image_id), merged, paths.file_mode)
    if name:
        target = f"../by-id/{os.path.basename(paths.image(image_id))}"
        atomic.replace_symlink(target, paths.image_by_name(name))
    if loser and loser != image_id:
        _refresh_names(paths, loser)
    _write_index(paths)
    return merged


def remember_short(paths: Paths, short: str, name: str) -> None:
    """Let the short name, canonical by Docker's rule, find the image `name`, until it is gone."""
    try:
        os.makedirs(paths.images_by_short, 0o700, exist_ok=True)
    except OSError as e:
        raise atomic.store_error(e, f"make {paths.images_by_short}") from e
    atomic.replace_symlink(name, paths.image_by_short(short))


def tag(paths: Paths, image_id: str, name: str, source: str = "") -> None:
    """Give the image one more canonical name, with the manifest of its name `source`.

    Raises ImageError when it is gone.
    """
    try:
        record = atomic.read_json(paths.image(image_id))
    except FileNotFoundError:
        raise images.not_found(image_id) from None
    add(paths, images.as_named(paths, record, source), name)


def add_repo_digest(paths: Paths, image_id: str, digest: str) -> None:
    """Note that a repository has the image by this digest (docker.io/library/x@sha256:…).

    Nothing happens when the image is gone.
    """
    with _lock(paths):
        try:
            record = atomic.read_json(paths.image(image_id))
        except FileNotFoundError:
            return
        _refresh_names(paths, image_id, _merge(record.get("repo_digests"), [digest]))


def untag(paths: Paths, image_id: str, names: list[str]) -> None:
    """Take canonical names, or all without any, from an image that stays in the store.

    Raises ImageError RL-IMAGE-NOT-FOUND, and nothing is done, when one of them is not its name.
    """
    with _lock(paths):
        held = images.names_of(paths, image_id)
        for name in names:
            if name not in held:
                short = reference.parse(name).familiar()
                raise ImageError(
                    f"{short} is not a name of image {image_id[7:19]}",
                    remedy="rl images shows the names",
                    code="RL-IMAGE-NOT-FOUND",
                )
        for name in names or held:
            _unlink(paths.image_by_name(name))
        _refresh_names(paths, image_id)
        _write_index(paths)


def remove(
    ctx: Context, text: str, *, force: bool = False, prune: bool = True
) -> list[tuple[str, str]]:
    """Untag, and remove when nothing else names or uses it, as `docker rmi`.

    Without `prune` layers that nothing uses any more stay until the next collect().

    Returns what was done, in order: ("Untagged", "busybox:latest"), ("Deleted", "sha256:…").
    Raises ImageError RL-IMAGE-NOT-FOUND, RL-IMAGE-IN-USE, RL-IMAGE-AMBIGUOUS.
    """
    with _lock(ctx.paths):
        removal = _Removal(ctx.paths, _to_remove(ctx.paths, text), force)
        deleted = removal.run(text)
        _write_index(ctx.paths)
    if deleted and prune:
        removed = collect(ctx)
        diff_ids = [str(layer) for layer in _list(removal.record.get("layers"))]
        chains = zip(diff_ids, chain_ids(diff_ids), strict=True)
        removal.done += [("Deleted", c) for layer, c in reversed(list(chains)) if layer in removed]
    return removal.done


def _to_remove(paths: Paths, text: str) -> Record:
    if paths.shared and images.find_own(paths, text) is None:
        from rootless.store import shared

        shared.refuse_change(paths, text)
    return images.resolve_own(paths, text)


def prune(ctx: Context, wanted: Callable[[Record], bool]) -> tuple[list[tuple[str, str]], int]:
    """Remove the images that no container or manifest list has and for which `wanted` holds, names
    and all.

    Returns what was done, as remove(), and the bytes on disk that this has freed.
    """
    done: list[tuple[str, str]] = []
    with _lock(ctx.paths):
        listed = manifest_lists.held_images(ctx.paths)
        for record in images.list_images(ctx.paths):
            identifier = str(record["id"])
            if wanted(record) and identifier not in listed and not _users(ctx.paths, identifier):
                removal = _Removal(ctx.paths, record, force=True)
                removal.run(identifier)
                done += removal.done
        _write_index(ctx.paths)
    return done, collect_counted(ctx) if done else 0


def collect_counted(ctx: Context) -> int:
    """collect(), and the bytes on disk that it has freed."""
    before = sizes(ctx.paths)
    return sum(before.get(key, 0) for key in collect(ctx))


def sizes(paths: Paths) -> dict[str, int]:
    """The bytes of each blob and unpacked layer; a layer's blob has another digest than it."""
    from rootless.store import shared

    found: dict[str, int] = {}
    for name in _listdir(paths.blobs):
        try:
            # A link is to a blob of a shared store, and takes no space.
            found[f"sha256:{name}"] = os.lstat(f"{paths.blobs}/{name}").st_size
        except FileNotFoundError:
            continue  # collected by somebody else
    for layer in layers.list_layers(paths):
        if shared.is_adopted(paths, layer):
            continue  # another store's: nothing of it is here
        try:
            found[layer] = found.get(layer, 0) + layers.size(paths, layer)
        except StoreError:
            continue
    return found


def refresh_index(paths: Paths) -> None:
    """Write index.json again, by the records."""
    with _lock(paths):
        _write_index(paths)


class _Removal:
    """One `rmi`, under the image lock.  Order and words: moby daemon/images/image_delete.go."""

    def __init__(self, paths: Paths, record: Record, force: bool) -> None:
        self.paths = paths
        self.record = record
        self.image_id = str(record["id"])
        self.force = force
        self.tags = images.names_of(paths, self.image_id)
        self.digests = [str(digest) for digest in _list(record.get("repo_digests"))]
        self.users = _users(paths, self.image_id)
        self.done: list[tuple[str, str]] = []

    def run(self, text: str) -> bool:
        """Do it; True when the image is gone, False when it was untagged only."""
        by_name = not self.image_id.removeprefix("sha256:").startswith(text.removeprefix("sha256:"))
        if by_name:
            self._untag(images.name_meant(self.paths, text))
            if self.tags or self.digests:
                return False
        why = self._conflict(other_names=not self._is_single())
        if why and by_name:
            return False  # untagged by force, and still in use: it stays without a name
        if why:
            raise self._error(f"unable to delete {self.image_id[7:19]} {why}")
        for tag_name in list(self.tags):
            self._drop_tag(tag_name)
        for digest in list(self.digests):
            self._drop_digest(digest)
        _unlink(self.paths.image(self.image_id))
        self.done.append(("Deleted", self.image_id))
        return True

    def _untag(self, named: reference.Reference) -> None:
        if not self.force and self._is_single() and self.users:
            raise self._error(
                f'unable to remove repository reference "{named.familiar()}" (must force) - '
                f"container {self.users[0][0][:12]} is using its referenced image "
                f"{self.image_id[7:19]}"
            )
        if named.digest:
            self._drop_digest(f"{named.name}@{named.digest}")
        else:
            self._drop_tag(named.canonical())
            if not any(reference.parse(tag_name).name == named.name for tag_name in self.tags):
                for digest in list(self.digests):
                    if digest.partition("@")[0] == named.name:
                        self._drop_digest(digest)
        _refresh_names(self.paths, self.image_id, self.digests)

    def _is_single(self) -> bool:
        """Whether all names are one tag and the digests of its repository."""
        repositories = {digest.partition("@")[0] for digest in self.digests}
        repositories |= {reference.parse(tag_name).name for tag_name in self.tags}
        return len(self.tags) + len(self.digests) <= 1 or (
            len(self.tags) <= 1 and len(repositories) == 1
        )

    def _conflict(self, *, other_names: bool) -> str:
        """Why the image cannot go, "" if it can.  --force is no help for a running container."""
        for container_id, running in self.users:
            if running:
                return (
                    "(cannot be forced) - image is being used by running container "
                    f"{container_id[:12]}"
                )
        if self.force:
            return ""
        if other_names:
            return "(must be forced) - image is referenced in multiple repositories"
        for container_id, _ in self.users:
            return (
                f"(must be forced) - image is being used by stopped container {container_id[:12]}"
            )
        return ""

    def _error(self, what: str) -> ImageError:
        if "cannot be forced" in what:
            remedy = "stop and remove the container first: rl rm -f CONTAINER"
        else:
            remedy = "remove the container first (rl rm), or use rl rmi -f"
        return ImageError(f"conflict: {what}", remedy=remedy, code="RL-IMAGE-IN-USE")

    def _drop_tag(self, tag_name: str) -> None:
        _unlink(self.paths.image_by_name(tag_name))
        self.tags.remove(tag_name)
        self.done.append(("Untagged", reference.parse(tag_name).familiar()))

    def _drop_digest(self, digest: str) -> None:
        if digest in self.digests:
            self.digests.remove(digest)
        self.done.append(("Untagged", reference.parse(digest).familiar()))


def collect(ctx: Context) -> set[str]:
    """Remove the layers and blobs that no image, container or lease uses; their digests.

    Runs beside other commands: see leases.py.
    """
    paths = ctx.paths
    removed = set()
    partials.sweep(paths)
    with atomic.TemporaryDirectory(paths, ctx) as trash:
        with _lock(paths):
            used = _used(paths)
            if used is None:
                return set()
            for name in _listdir(paths.layers):
                if f"sha256:{name}" not in used and len(name) == 64:
                    # Out of the way at once; what takes long is done without the lock.
                    _rename(paths.layer(name), f"{trash}/{name}")
                    removed.add(f"sha256:{name}")
            for name in _listdir(paths.blobs):
                if f"sha256:{name}" not in used:
                    _unlink(f"{paths.blobs}/{name}")
                    removed.add(f"sha256:{name}")
            for directory in (paths.images_by_id, paths.images_by_name):
                for name in _listdir(directory):
                    if atomic.is_temporary(name):  # left by a kill: writers hold the lock
                        _unlink(f"{directory}/{name}")
            _forget_short(paths)
        remove_mapped_tree(ctx, trash)
    return removed


def _forget_short(paths: Paths) -> None:
    """Remove the short names whose image has lost the name that they stand for."""
    for entry in _listdir(paths.images_by_short):
        path = f"{paths.images_by_short}/{entry}"
        try:
            named = reference.parse(os.readlink(path))
        except OSError:
            continue
        if images.find(paths, str(named)) is None:
            _unlink(path)


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """The chainID of each layer, bottom first; image-spec config.md, "Layer ChainID"."""
    chains: list[str] = []
    for diff_id in diff_ids:
        if chains:
            digest = hashlib.sha256(f"{chains[-1]} {diff_id}".encode()).hexdigest()
            chains.append(f"sha256:{digest}")
        else:
            chains.append(diff_id)
    return chains


def _used(paths: Paths) -> set[str] | None:
    """Digests of layers and blobs in use; None when that cannot be told."""
    used = leased(paths)
    if used is None:
        return None
    for record in images.list_images(paths):
        used |= image_manifests.digests(record)
        used.update(str(digest) for digest in _list(record.get("layers")))
    for container_id in _container_ids(paths):
        try:
            config = atomic.read_json(f"{paths.container(container_id)}/config.json")
        except FileNotFoundError:
            continue  # in the making: its maker has resolved the image under the lock
        except StoreError:
            return None
        extension = config.get("rl")
        if isinstance(extension, dict):
            for key in ("layers", "image_layers"):
                used.update(str(digest) for digest in _list(extension.get(key)))
    return used | buildcache.held_layers(paths)


def _users(paths: Paths, image_id: str) -> list[tuple[str, bool]]:
    """(container ID, whether it runs) of all containers of the image, running ones first."""
    users = []
    for container_id in _container_ids(paths):
        directory = paths.container(container_id)
        try:
            document = atomic.read_json(f"{directory}/container.json")
        except (FileNotFoundError, StoreError):
            continue
        image = document.get("image")
        own = isinstance(image, dict) and image.get("id") == image_id
        if own or image_id in _list(document.get("mounted_images")):
            users.append((container_id, _is_running(directory)))
    return sorted(users, key=lambda user: not user[1])


def _is_running(directory: str) -> bool:
    """The supervisor holds the container's lock as long as it lives."""
    try:
        with Locked(f"{directory}/lock", shared=True, wait_s=0):
            return False
    except FileNotFoundError:
        return False
    except StoreError as e:
        return e.code == "RL-STORE-BUSY"


def _container_ids(paths: Paths) -> list[str]:
    return [name for name in _listdir(paths.containers) if len(name) == 64]


def _owner(paths: Paths, name: str) -> str:
    """The ID of the image that has the name now, or ""."""
    try:
        target = os.readlink(paths.image_by_name(name))
    except OSError:
        return ""
    return f"sha256:{os.path.basename(target).removesuffix('.json')}"


def _has_blobs(paths: Paths, record: Record) -> bool:
    """Whether the manifest and the layers of the image are there as received."""
    digests = [record.get("digest"), *_list(record.get("layer_blobs"))]
    return all(digest and os.path.exists(paths.blob(str(digest))) for digest in digests)


def _refresh_names(paths: Paths, image_id: str, digests: list[str] | None = None) -> None:
    """Bring the copy of the names in a record up to date."""
    try:
        record = atomic.read_json(paths.image(image_id))
    except (FileNotFoundError, StoreError):
        return
    held = images.names_of(paths, image_id)
    record["names"] = held
    if image_manifests.OTHERS in record:
        record[image_manifests.OTHERS] = image_manifests.still_named(record, held)
    if digests is not None:
        record["repo_digests"] = digests
    atomic.write_json(paths.image(image_id), record, paths.file_mode)


def _write_index(paths: Paths) -> None:
    """index.json, so that other tools (skopeo, umoci) can read the store as an OCI layout."""
    index = layout.empty_index()
    manifests: list[dict[str, object]] = []
    for record in images.list_images(paths):
        for name in _list(record.get("names")) or [""]:
            named = images.as_named(paths, record, str(name))
            digest = str(named.get("oci_digest") or named.get("digest") or "")
            try:
                size = os.stat(paths.blob(digest)).st_size
            except OSError:
                continue  # an image without a manifest: made here, never pushed
            entry = {"mediaType": OCI_MANIFEST, "digest": digest, "size": size}
            annotations = {"annotations": {REF_NAME: name}} if name else {}
            manifests.append({**entry, **annotations})
    index["manifests"] = manifests
    atomic.write_json(paths.oci_index, index, paths.file_mode)


def _lock(paths: Paths) -> Locked:
    return Locked(paths.image_lock, what="the image store")


def _merge(*lists: object) -> list[str]:
    """The strings of all lists, each once, sorted."""
    return sorted({str(item) for items in lists for item in _list(items)})


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _listdir(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as e:
        raise atomic.store_error(e, f"remove {path}") from e


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except OSError as e:
        raise atomic.store_error(e, f"remove {source}") from e
