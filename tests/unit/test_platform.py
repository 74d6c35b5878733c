"""Platforms: containerd's words, and its choice."""

import pytest

from rootless.errors import BadReference
from rootless.oci import platform
from rootless.oci.platform import Platform, choose, normalize, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("armhf", "linux/arm/v7"),
        ("armel", "linux/arm/v6"),
        ("arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("i386", "linux/386"),
        ("Linux/AMD64", "linux/amd64"),
        ("macos/arm64", "darwin/arm64"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_platform_is_normalised_as_docker_does(text: str, expected: str) -> None:
    assert str(parse(text)) == expected


def test_system_alone_means_this_machine() -> None:
    assert parse("linux") == platform.host()


@pytest.mark.parametrize("text", ["", "/", "linux/", "vax", "a/b/c/d", "linux/amd64/v 1", "l/ä"])
def test_nonsense_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadReference) as caught:
        parse(text)
    assert caught.value.remedy == "write it as linux/amd64"


def entries(*texts: str) -> list[Platform | None]:
    return [parse(text) if text else None for text in texts]


def test_exact_variant_goes_before_older_ones() -> None:
    offered = entries("linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/amd64")
    assert choose(offered, parse("linux/arm/v6")) == 1
    assert choose(offered, parse("linux/arm/v7")) == 2
    assert choose(offered[:2], parse("linux/arm/v7")) == 1


def test_newer_variant_is_never_taken() -> None:
    assert choose(entries("linux/amd64/v3"), parse("linux/amd64")) is None
    assert choose(entries("linux/arm/v7"), parse("linux/arm/v6")) is None


def test_level_of_amd64_falls_back_to_lower_ones() -> None:
    assert choose(entries("linux/amd64", "linux/amd64/v2"), parse("linux/amd64/v3")) == 1
    assert choose(entries("linux/386"), parse("linux/amd64")) == 0


def test_other_system_is_not_taken() -> None:
    assert choose(entries("windows/amd64"), parse("linux/amd64")) is None


def test_single_entry_without_platform_is_the_last_resort() -> None:
    assert choose([None, *entries("linux/amd64")], parse("linux/amd64")) == 1
    assert choose([None, *entries("linux/s390x")], parse("linux/amd64")) == 0
    assert choose([None, None], parse("linux/amd64")) is None


def test_normalize_keeps_unknown_words() -> None:
    assert normalize("plan9", "vax", "780") == Platform("plan9", "vax", "780")
