"""Manifest lists in the making: one JSON file per list, in manifests/, until it is pushed.

A member is an image of this store, or a manifest in a registry, with the descriptor that the
pushed index is to have of it.  Images of a list are kept by `prune`, like those of containers.
"""

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rootless.errors import BadDocument, ImageError, StoreError, UsageError
from rootless.ids import is_hex
from rootless.oci import manifest as manifests
from rootless.oci import reference
from rootless.oci.descriptor import Descriptor
from rootless.records import dataclass, field
from rootless.store import atomic
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from rootless.paths import Paths

_DOCKER_TYPES = frozenset((manifests.DOCKER_MANIFEST, manifests.DOCKER_LIST))
_PREFIX_MIN = 4  # digits of a digest that name a member


@dataclass(slots=True)
class Member:
    """`descriptor` as it stands in an index; `reference` is canonical, "" for a nameless image.

    `image` is the ID of an image of this store; "" for a manifest in the registry of `reference`.
    """

    descriptor: dict[str, Any]
    reference: str
    image: str = ""

    @property
    def digest(self) -> str:
        return str(self.descriptor["digest"])


@dataclass(slots=True)
class ManifestList:
    """`name` is canonical, with its tag; `annotations` are those of the index itself."""

    name: str
    annotations: dict[str, str] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)

    def add(self, member: Member) -> None:
        """Put it in, or in place of the member with this digest."""
        for position, one in enumerate(self.members):
            if one.digest == member.digest:
                self.members[position] = member
                return
        self.members.append(member)

    def find(self, text: str) -> Member:
        """The member of that name, digest, or beginning of a digest.

        Raises ImageError RL-MANIFEST-MEMBER, BadReference.
        """
        wanted = text.removeprefix("docker://")
        digits = wanted.rpartition("@")[2].removeprefix("sha256:")
        by_digest = [one for one in self.members if one.digest[7:].startswith(digits)]
        if is_hex(digits) and len(digits) >= _PREFIX_MIN and len(by_digest) == 1:
            return by_digest[0]
        named = reference.parse(wanted).tagged().canonical() if "sha256:" not in wanted else ""
        for one in self.members:
            if named and one.reference == named:
                return one
        familiar = reference.parse(self.name).familiar()
        raise ImageError(
            f"{text} is not in the manifest list {familiar}",
            remedy=f"rl manifest inspect {familiar} shows the digests",
            code="RL-MANIFEST-MEMBER",
        )

    def index(self, form: str = "") -> tuple[str, bytes]:
        """Media type and bytes of the index; `form` is oci, v2s2, or "" for what fits.

        A list of Docker's manifests without annotations is Docker's, every other one OCI's.
        """
        plain = not self.annotations and not any(
            one.descriptor.get("annotations") for one in self.members
        )
        docker = form == "v2s2" or (
            not form
            and plain
            and bool(self.members)
            and all(one.descriptor.get("mediaType") in _DOCKER_TYPES for one in self.members)
        )
        if docker and not plain:
            raise UsageError(
                "Docker's manifest lists have no annotations", remedy="push it as --format oci"
            )
        media_type = manifests.DOCKER_LIST if docker else manifests.OCI_INDEX
        document: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": [one.descriptor for one in self.members],
        }
        if self.annotations:
            document["annotations"] = self.annotations
        return media_type, json.dumps(document, ensure_ascii=False, indent=3).encode()


def create(paths: "Paths", made: ManifestList, *, amend: bool) -> None:
    """Store a new list.  With `amend`, members and annotations go into one that is there.

    Raises ImageError RL-MANIFEST-EXISTS without it.
    """
    _prepare(paths)
    with Locked(paths.image_lock, what="the image store"):
        if not os.path.exists(paths.manifest_list(made.name)):
            _write(paths, made)
            return
        if not amend:
            raise ImageError(
                f"there is a manifest list {reference.parse(made.name).familiar()} already",
                remedy="add to it with --amend, or remove it: rl manifest rm",
                code="RL-MANIFEST-EXISTS",
            )
        there = read(paths, made.name)
        for member in made.members:
            there.add(member)
        there.annotations.update(made.annotations)
        _write(paths, there)


def change(paths: "Paths", name: str, change: Callable[[ManifestList], None]) -> ManifestList:
    """Change a list under the lock; as it is then.  Raises ImageError RL-MANIFEST-NOT-FOUND."""
    _prepare(paths)
    with Locked(paths.image_lock, what="the image store"):
        found = read(paths, name)
        change(found)
        _write(paths, found)
    return found


def read(paths: "Paths", name: str) -> ManifestList:
    """The list of a canonical name.  Raises ImageError RL-MANIFEST-NOT-FOUND, StoreError."""
    path = paths.manifest_list(name)
    try:
        document = atomic.read_json(path)
    except FileNotFoundError:
        raise not_found(name) from None
    try:
        return _parse(document, name)
    except (BadDocument, KeyError, TypeError, AttributeError) as e:
        raise StoreError(
            f"{path} is damaged",
            remedy=f"rl manifest rm {reference.parse(name).familiar()}, and create it again",
            code="RL-STORE-CORRUPT",
        ) from e


def exists(paths: "Paths", name: str) -> bool:
    """Whether there is a list of this canonical name."""
    return os.path.exists(paths.manifest_list(name))


def remove(paths: "Paths", name: str) -> None:
    """Forget a list; its images stay.  Raises ImageError RL-MANIFEST-NOT-FOUND."""
    try:
        os.unlink(paths.manifest_list(name))
    except FileNotFoundError:
        raise not_found(name) from None
    except OSError as e:
        raise atomic.store_error(e, f"remove {paths.manifest_list(name)}") from e


def names(paths: "Paths") -> list[str]:
    """The canonical names of all lists, sorted."""
    try:
        entries = os.listdir(paths.manifest_lists)
    except FileNotFoundError:
        return []
    return sorted(
        entry.removesuffix(".json").replace("%2F", "/").replace("%25", "%")
        for entry in entries
        if entry.endswith(".json") and not atomic.is_temporary(entry)
    )


def held_images(paths: "Paths") -> set[str]:
    """The IDs of the images that lists have; a damaged list holds none."""
    found: set[str] = set()
    for name in names(paths):
        try:
            found.update(one.image for one in read(paths, name).members if one.image)
        except (ImageError, StoreError):
            continue
    return found


def not_found(name: str) -> ImageError:
    familiar = reference.parse(name).familiar()
    return ImageError(
        f"No such manifest list: {familiar}",
        remedy=f"make it: rl manifest create {familiar}",
        code="RL-MANIFEST-NOT-FOUND",
    )


def _parse(document: dict[str, Any], name: str) -> ManifestList:
    members = []
    for one in document["members"]:
        Descriptor.from_json(one["descriptor"], "member")
        members.append(Member(one["descriptor"], str(one["reference"]), str(one["image"])))
    return ManifestList(name, dict(document["annotations"]), members)


def _write(paths: "Paths", made: ManifestList) -> None:
    atomic.write_json(
        paths.manifest_list(made.name),
        {
            "name": made.name,
            "annotations": made.annotations,
            "members": [
                {"descriptor": one.descriptor, "reference": one.reference, "image": one.image}
                for one in made.members
            ],
        },
    )


def _prepare(paths: "Paths") -> None:
    try:
        os.makedirs(paths.manifest_lists, mode=0o700, exist_ok=True)
    except OSError as e:
        raise atomic.store_error(e, f"make {paths.manifest_lists}") from e
