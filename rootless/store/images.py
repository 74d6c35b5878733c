"""Image records: one JSON file per image, and a symlink to it per name.  Warm.

The symlinks in by-name/ are the truth about names; `names` in a record is a copy, put right
whenever a record is written.  What changes images is in image_changes.py.
"""

import os

from rootless.errors import ImageError, StoreError
from rootless.ids import is_hex
from rootless.oci import reference
from rootless.store.atomic import is_temporary, read_json
from rootless.store.locks import Locked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.paths import Paths

    Record = dict[str, object]


def reading(paths: "Paths") -> Locked:
    """A lock under which no image vanishes: to resolve one and write down that it is used."""
    return Locked(paths.image_lock, shared=True, what="the image store")


def resolve(paths: "Paths", text: str) -> "Record":
    """The record of the image that `text` names: by name, digest, ID, or beginning of an ID.

    A name wins over the beginning of an ID, as with Docker; one's own images win over those of
    shared stores, which are adopted here (shared.py): never under the image lock.
    Raises ImageError RL-IMAGE-NOT-FOUND or RL-IMAGE-AMBIGUOUS, BadReference, StoreError
    RL-SHARED-STORE.
    """
    if not paths.shared:
        return resolve_own(paths, text)
    record = find_own(paths, text)
    if record is None:
        from rootless.store import shared

        record = shared.resolve(paths, text)
    if record is None:
        return resolve_own(paths, text)  # says that there is none
    return record


def resolve_own(paths: "Paths", text: str) -> "Record":
    """resolve() in this store alone."""
    identifier = text.removeprefix("sha256:")
    if reference.is_image_id(identifier):
        record = _by_id(paths, identifier)
        if record is None:
            raise not_found(text)
        return record
    named = reference.parse(text)
    record = _by_name(paths, named)
    if record is None and not reference.names_registry(text):
        whole = _of_short(paths, named)
        record = _by_name(paths, whole) if whole else None
    if record is None and is_hex(identifier):
        record = _by_id_prefix(paths, identifier)
    if record is None:
        raise not_found(named.familiar())
    return record


def find(paths: "Paths", text: str) -> "Record | None":
    """resolve(), or None where there is no such image."""
    return _or_none(resolve, paths, text)


def find_own(paths: "Paths", text: str) -> "Record | None":
    """resolve_own(), or None where there is no such image."""
    return _or_none(resolve_own, paths, text)


def _or_none(look: "Callable[[Paths, str], Record]", paths: "Paths", text: str) -> "Record | None":
    try:
        return look(paths, text)
    except ImageError as e:
        if e.code != "RL-IMAGE-NOT-FOUND":
            raise
        return None


def as_named(paths: "Paths", record: "Record", name: str) -> "Record":
    """The record with the manifest that the image has by its canonical `name`, "" for none."""
    if "other_manifests" not in record:
        return record
    from rootless.store import image_manifests

    return image_manifests.of_name(record, name, lambda one: os.path.exists(paths.blob(one)))


def name_meant(paths: "Paths", text: str) -> reference.Reference:
    """The reference by which `text` finds its image: `text` itself, or what a short name was
    pulled as.  Raises BadReference."""
    named = reference.parse(text)
    if reference.names_registry(text) or _by_name(paths, named) is not None:
        return named
    return _of_short(paths, named) or named


def _of_short(paths: "Paths", named: reference.Reference) -> "reference.Reference | None":
    """What a pull has made of a short name by registries.conf, if one did."""
    try:
        return reference.parse(os.readlink(paths.image_by_short(named.canonical())))
    except OSError:
        return None


def not_found(text: str) -> ImageError:
    return ImageError(
        f"No such image: {text}", remedy=f"try: rl pull {text}", code="RL-IMAGE-NOT-FOUND"
    )


def list_images(paths: "Paths") -> "list[Record]":
    """All records with their names as they are now, newest first."""
    by_id = _names_by_id(paths)
    records = []
    for identifier in _ids(paths):
        record = _by_id(paths, identifier)
        if record is not None:
            record["names"] = by_id.get(identifier, [])
            records.append(record)
    records.sort(key=lambda record: str(record.get("created", "")), reverse=True)
    return records


def names(paths: "Paths") -> "list[str]":
    """All canonical names (docker.io/library/busybox:latest), sorted."""
    return sorted(name for names in _names_by_id(paths).values() for name in names)


def names_of(paths: "Paths", image_id: str) -> "list[str]":
    """The names of one image as they are now."""
    return _names_by_id(paths).get(image_id.removeprefix("sha256:"), [])


def shown_names(paths: "Paths", record: "Record") -> "list[str]":
    """names_of() a record; for an adopted image without one, its names in the shared store."""
    image_id = str(record["id"])
    found = names_of(paths, image_id)
    if found or "shared" not in record:
        return found
    try:
        theirs = read_json(type(paths)(str(record["shared"]), "").image(image_id)).get("names")
    except (OSError, StoreError):
        return []
    return [str(name) for name in theirs] if isinstance(theirs, list) else []


def add(paths: "Paths", record: "Record", name: str) -> "Record":
    """image_changes.add(): store `record` under the canonical `name`, "" for none."""
    from rootless.store import image_changes

    return image_changes.add(paths, record, name)


def _by_id(paths: "Paths", identifier: str) -> "Record | None":
    try:
        return _checked(read_json(paths.image(identifier)), identifier)
    except FileNotFoundError:
        return None


def _by_name(paths: "Paths", named: reference.Reference) -> "Record | None":
    if named.digest:
        return _by_digest(paths, named)
    path = paths.image_by_name(named.canonical())
    before = ""
    while True:
        try:
            target = os.readlink(path)
        except OSError:
            return None
        record = _by_id(paths, os.path.basename(target).removesuffix(".json"))
        # Gone between the two looks: the name may have moved to another image.
        if record is not None or target == before:
            return record
        before = target


def _by_digest(paths: "Paths", named: reference.Reference) -> "Record | None":
    """The tag beside a digest is decoration: Docker, too, goes by the digest alone."""
    wanted = f"{named.name}@{named.digest}"
    for identifier in _ids(paths):
        record = _by_id(paths, identifier)
        if record is None:
            continue
        digests = record.get("repo_digests")
        if isinstance(digests, list) and wanted in digests:
            return record
    return None


def _by_id_prefix(paths: "Paths", prefix: str) -> "Record | None":
    found = [identifier for identifier in _ids(paths) if identifier.startswith(prefix)]
    if len(found) > 1:
        shown = ", ".join(sorted(identifier[:12] for identifier in found)[:4])
        raise ImageError(
            f"more than one image ID begins with {prefix}: {shown}",
            remedy="give more digits",
            code="RL-IMAGE-AMBIGUOUS",
        )
    return _by_id(paths, found[0]) if found else None


def _ids(paths: "Paths") -> "list[str]":
    """The IDs (64 hex) of all records."""
    return [
        name.removesuffix(".json")
        for name in _entries(paths.images_by_id)
        if name.endswith(".json") and not is_temporary(name)
    ]


def _names_by_id(paths: "Paths") -> "dict[str, list[str]]":
    found: dict[str, list[str]] = {}
    for entry in _entries(paths.images_by_name):
        if is_temporary(entry):
            continue
        try:
            target = os.readlink(f"{paths.images_by_name}/{entry}")
        except OSError:
            continue  # untagged this moment
        identifier = os.path.basename(target).removesuffix(".json")
        name = entry.replace("%2F", "/").replace("%25", "%")
        found.setdefault(identifier, []).append(name)
    for names in found.values():
        names.sort()
    return found


def _entries(directory: str) -> "list[str]":
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise StoreError(
            f"cannot read {directory}: {e.strerror}",
            remedy="check who owns the store",
            code="RL-STORE-UNREADABLE",
        ) from e


def _checked(record: "Record", identifier: str) -> "Record":
    """`record`, if it has what every reader relies on."""
    if record.get("id") != f"sha256:{identifier}" or not isinstance(record.get("layers"), list):
        raise StoreError(
            f"the record of image {identifier[:12]} is damaged",
            remedy="rl system check --repair takes it out; then pull or import it again",
            code="RL-STORE-CORRUPT",
        )
    return record
