"""What the commands about manifest lists share: names, platforms and annotations as given."""

from typing import Any

from rootless.errors import BadReference, UsageError
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.records import dataclass
from rootless.store.manifest_lists import Member


def list_name(text: object) -> reference.Reference:
    """The name of a list, with its tag.  Raises BadReference."""
    named = reference.parse(str(text)).tagged()
    if named.digest:
        raise BadReference(
            "the name of a manifest list has no digest", remedy="write it as NAME:TAG"
        )
    return named


def tls_verify(values: dict[str, Any]) -> bool:
    """False for podman's --tls-verify=false and Docker's --insecure."""
    return values["tls_verify"] is not False and not values["insecure"]


def annotations(given: list[str] | None) -> dict[str, str]:
    """Those of --annotation KEY=VALUE.  Raises UsageError."""
    found = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(
                f"{text!r} is not an annotation", remedy="write it as --annotation KEY=VALUE"
            )
        found[key] = value
    return found


@dataclass(frozen=True, slots=True)
class Changes:
    """What a command line says about a member: fields of its platform, and annotations."""

    platform: dict[str, Any]
    annotations: dict[str, str]

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Changes":
        """Raises BadReference, UsageError."""
        system, architecture = (str(values[key] or "").lower() for key in ("os", "arch"))
        platforms.check_words(system, architecture)
        found: dict[str, Any] = {
            "architecture": architecture,
            "os": system,
            "variant": values["variant"],
            "os.version": values["os_version"],
            "os.features": _words(values["os_features"]),
            "features": _words(values["features"]),
        }
        given = {key: value for key, value in found.items() if value}
        return cls(given, annotations(values["annotation"]))

    def apply(self, member: Member) -> None:
        """Change the descriptor of `member`."""
        if self.platform:
            before = member.descriptor.get("platform") or {}
            member.descriptor["platform"] = {**before, **self.platform}
        if self.annotations:
            before = member.descriptor.get("annotations") or {}
            member.descriptor["annotations"] = {**before, **self.annotations}


def _words(given: list[str] | None) -> list[str]:
    """Values of a repeatable option that may have several, by commas."""
    return [word for text in given or () for word in text.split(",") if word]
