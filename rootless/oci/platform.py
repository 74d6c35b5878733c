"""Platforms: names as Docker normalises them, and the best entry of an index.  Pure.

Source: github.com/containerd/platforms, database.go (normalisation), compare.go (what runs on
what).
"""

import os
from collections.abc import Sequence

from rootless.errors import BadReference, ImageError
from rootless.oci.documents import optional
from rootless.records import dataclass

_OSES = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "illumos",
        "ios",
        "js",
        "linux",
        "macos",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "wasip1",
        "windows",
    ]
)
_ARCHITECTURES = frozenset(
    [
        "386",
        "amd64",
        "arm",
        "arm64",
        "loong64",
        "mips",
        "mips64",
        "mips64le",
        "mipsle",
        "ppc64",
        "ppc64le",
        "riscv64",
        "s390x",
        "wasm",
    ]
)
_ALIASES = {
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv8l": ("arm", "v8"),
    "loongarch64": ("loong64", None),
}
_ARM_VERSIONS = ("v8", "v7", "v6", "v5")


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system, an architecture and its variant, in Go's words."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        """linux/arm/v7"""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def to_json(self) -> dict[str, object]:
        """As it stands in an image record."""
        return {"os": self.os, "architecture": self.architecture, "variant": self.variant}

    @classmethod
    def from_json(cls, doc: dict[str, object], where: str) -> "Platform":
        """From an index entry or an image config; raises BadDocument.  Missing is ""."""
        return normalize(
            optional(doc, "os", str, where, ""),
            optional(doc, "architecture", str, where, ""),
            optional(doc, "variant", str, where, ""),
        )


def normalize(system: str, architecture: str, variant: str = "") -> Platform:
    """The Platform that these words mean: aarch64 is arm64, armhf is arm/v7."""
    system, architecture, variant = system.lower(), architecture.lower(), variant.lower()
    if system == "macos":
        system = "darwin"
    if architecture in _ALIASES:
        architecture, fixed = _ALIASES[architecture]
        variant = variant if fixed is None else fixed
    if (architecture, variant) in (("amd64", "v1"), ("arm64", "8"), ("arm64", "v8")):
        variant = ""
    if architecture == "arm":
        variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    return Platform(system, architecture, variant)


def parse(text: str) -> Platform:
    """The Platform of --platform: OS, ARCH, OS/ARCH or OS/ARCH/VARIANT.  Raises BadReference."""
    parts = text.split("/")
    if not 1 <= len(parts) <= 3 or not all(_is_word(part) for part in parts):
        raise BadReference(f"{text!r} is not a platform", remedy="write it as linux/amd64")
    if len(parts) > 1:
        return normalize(*parts)
    word = parts[0].lower()
    if word in _OSES:
        here = host()
        return normalize(word, here.architecture, here.variant)
    if word in _ARCHITECTURES or word in _ALIASES:
        return normalize("linux", word)
    raise BadReference(
        f"{text!r} is neither an operating system nor an architecture that is known",
        remedy="write it as linux/amd64",
    )


def _is_word(text: str) -> bool:
    return bool(text) and text.isascii() and all(c.isalnum() or c in "._-" for c in text)


def check(made_for: Platform, asked: str, name: str) -> None:
    """Refuse the image `name`, unless it is made for the platform that --platform names.

    Raises BadReference, ImageError RL-IMAGE-PLATFORM.
    """
    wanted = parse(asked)
    if made_for != wanted:
        raise ImageError(
            f"{name} is made for {made_for}, not for {wanted}",
            remedy="pull or build it for that platform",
            code="RL-IMAGE-PLATFORM",
        )


def check_words(system: str, architecture: str) -> None:
    """Refuse an operating system or architecture that Go does not know; "" is neither.

    Raises BadReference.
    """
    for word, known, what in (
        (system, _OSES, "an operating system"),
        (architecture, _ARCHITECTURES, "an architecture"),
    ):
        if word and word not in known:
            raise BadReference(
                f"{word!r} is not {what} that is known",
                remedy=f"it is one of {', '.join(sorted(known))}",
            )


def host() -> Platform:
    """What this machine runs."""
    return normalize("linux", os.uname().machine)


def runs_on(wanted: Platform) -> list[Platform]:
    """What runs where `wanted` does, best first: itself, then older variants."""
    found = [wanted]
    variant = wanted.variant
    if wanted.architecture == "amd64":
        level = int(variant[1:]) if variant[:1] == "v" and variant[1:].isdecimal() else 1
        found += [normalize(wanted.os, "amd64", f"v{n}") for n in range(min(level, 9) - 1, 0, -1)]
        found.append(Platform(wanted.os, "386"))
    elif wanted.architecture == "arm64":
        if variant:
            found.append(Platform(wanted.os, "arm64"))
        found += [Platform(wanted.os, "arm", version) for version in _ARM_VERSIONS]
    elif wanted.architecture == "arm" and variant in _ARM_VERSIONS:
        older = _ARM_VERSIONS[_ARM_VERSIONS.index(variant) + 1 :]
        found += [Platform(wanted.os, "arm", version) for version in older]
    return found


def matches(offered: Platform, wanted: Platform) -> bool:
    """Whether `offered` runs where `wanted` does."""
    return offered in runs_on(wanted)


def choose(offered: Sequence[Platform | None], wanted: Platform) -> int | None:
    """The position of the best of `offered` for `wanted`; the first of equals; None if none runs.

    An entry without a platform is taken when nothing else fits and it is the only one such.
    """
    for candidate in runs_on(wanted):
        for position, platform in enumerate(offered):
            if platform == candidate:
                return position
    unnamed = [position for position, platform in enumerate(offered) if platform is None]
    return unnamed[0] if len(unnamed) == 1 else None
