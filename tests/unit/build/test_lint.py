"""The checks of --check: each with what it finds and what it leaves alone."""

import pytest

from rootless.build.dockerfile.ignore import Matcher
from rootless.build.dockerfile.instructions import Copy, Instruction
from rootless.build.dockerfile.lint import Find, Given, KnownImage, check
from rootless.build.dockerfile.rules import RULES, parse_options
from rootless.errors import BuildError
from rootless.oci.platform import Platform

AMD64 = Platform("linux", "amd64")


def found(text: str, **given: object) -> list[tuple[str, int]]:
    """(rule, line) of what is found; errors are not expected."""
    options = {"build_platform": AMD64, "target_platform": AMD64, **given}
    report = check(text.encode(), given=Given(**options))  # type: ignore[arg-type]
    assert not report.errors
    return [(finding.rule.name, finding.first_line) for finding in report.findings]


def known(images: dict[str, KnownImage]) -> Find:
    """Given.image for these."""
    return lambda name, _platform, _stages: images.get(name)


@pytest.mark.parametrize(
    ("rule", "line", "text"),
    [
        ("StageNameCasing", 1, "FROM scratch AS Base"),
        ("FromAsCasing", 1, "FROM scratch as base"),
        ("FromAsCasing", 1, "from scratch AS base"),
        ("NoEmptyContinuation", 4, "FROM scratch\nRUN a \\\n\n  b"),
        ("ConsistentInstructionCasing", 2, "FROM scratch\nrun a\nRUN b"),
        ("ConsistentInstructionCasing", 2, "FROM scratch\nRun a"),
        ("DuplicateStageName", 2, "FROM scratch AS a\nFROM scratch AS a"),
        ("ReservedStageName", 1, "FROM scratch AS context"),
        ("JSONArgsRecommended", 2, "FROM scratch\nCMD a"),
        ("JSONArgsRecommended", 2, "FROM scratch\nENTRYPOINT a"),
        ("MaintainerDeprecated", 2, "FROM scratch\nMAINTAINER a"),
        ("UndefinedArgInFrom", 2, "ARG A\nFROM x$B"),
        ("WorkdirRelativePath", 2, "FROM scratch\nWORKDIR a\nWORKDIR b"),
        ("UndefinedVar", 2, "FROM scratch\nUSER $A"),
        ("UndefinedVar", 2, "FROM scratch AS a\nCOPY $A /\nFROM a"),
        ("MultipleInstructionsDisallowed", 2, 'FROM scratch\nCMD ["a"]\nRUN b\nCMD ["c"]'),
        ("MultipleInstructionsDisallowed", 2, "FROM scratch\nHEALTHCHECK NONE\nHEALTHCHECK NONE"),
        ("LegacyKeyValueFormat", 2, "FROM scratch\nENV a b"),
        ("LegacyKeyValueFormat", 2, "FROM scratch\nLABEL a b"),
        ("RedundantTargetPlatform", 1, "FROM --platform=$TARGETPLATFORM scratch"),
        ("SecretsUsedInArgOrEnv", 2, "FROM scratch\nARG NPM_TOKEN"),
        ("SecretsUsedInArgOrEnv", 2, "FROM scratch\nENV password=x"),
        ("InvalidDefaultArgInFrom", 2, "ARG TAG\nFROM debian:$TAG"),
        ("FromPlatformFlagConstDisallowed", 1, "FROM --platform=linux/arm64 scratch AS a"),
        ("ExposeProtoCasing", 2, "FROM scratch\nEXPOSE 80/TCP"),
        ("ExposeInvalidFormat", 2, "FROM scratch\nEXPOSE 127.0.0.1:80:80"),
        ("ExposeInvalidFormat", 2, "FROM scratch\nEXPOSE 80:80"),
        ("InvalidDefinitionDescription", 4, "#check=experimental=all\n\n# not it\nARG A\nFROM a"),
        ("InvalidDefinitionDescription", 3, "#check=experimental=all\n# x\nFROM a AS b"),
    ],
)
def test_rule_finds(rule: str, line: int, text: str) -> None:
    given = {"build_arguments": {"TAG": "1"}} if rule == "InvalidDefaultArgInFrom" else {}
    assert (rule, line) in found(text, **given)


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch AS base\nFROM base",
        "from scratch as base\nrun a",
        'FROM scratch\nSHELL ["/bin/bash", "-c"]\nCMD a',
        "FROM scratch\nWORKDIR /a\nWORKDIR b",
        "FROM scratch AS a\nWORKDIR /a\nFROM a\nWORKDIR b",
        "FROM scratch\nARG A\nUSER $A$PATH",
        "FROM scratch AS x\nARG A=1\nENV B=1\nFROM x\nUSER $A$B",
        "FROM unknown\nUSER $ANYTHING",
        "FROM scratch\nUSER '$A'\nRUN $A",
        "FROM --platform=$BUILDPLATFORM scratch",
        "FROM --platform=linux/arm64 scratch AS build-arm64",
        "FROM scratch\nARG PUBLIC_KEY KEY_FILE TOKENIZER",
        "ARG TAG=1\nFROM debian:$TAG",
        "FROM scratch\nEXPOSE 80/tcp 81",
        "# not it\nARG A\nFROM a",
        "# check=experimental=all\n# A is something\nARG A\n# any\n\nFROM a AS b",
        'FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]',
        "FROM scratch\nRUN a \\\n # c\n b",
    ],
)
def test_nothing_is_found(text: str) -> None:
    assert found(text) == []


def test_ignored_sources_are_found_when_asked_for() -> None:
    text = "# check=experimental=CopyIgnoredFile\nFROM scratch\nCOPY a/b /\nADD x /\n"
    text += "ADD https://x/a /\nCOPY --from=busybox a /\nCOPY . /\nCOPY <<a /\na\n"
    findings = found(text, ignore=Matcher(["a", "x"]))
    assert findings == [("CopyIgnoredFile", 3), ("CopyIgnoredFile", 4)]
    assert found(text, ignore=Matcher(["a", "!a/b"])) == []
    assert found(text.replace("experimental", "skip"), ignore=Matcher(["a"])) == []
    assert ("CopyIgnoredFile", 7) in found(text, ignore=Matcher(["*"]))


def test_a_known_base_image_brings_its_variables_and_shell() -> None:
    text = "ARG A=2\nFROM img:$A\nUSER $HOME$NOPE\nCMD a"
    image = KnownImage(AMD64, ["HOME=/root"], ["/bin/bash", "-c"])
    findings = found(text, build_arguments={"A": "1"}, image=known({"img:1": image}))
    assert ("UndefinedVar", 3) in findings
    assert "JSONArgsRecommended" not in dict(findings)


def test_a_known_base_image_of_another_platform_is_told() -> None:
    arm = Platform("linux", "arm64")
    text = "FROM --platform=$BUILDPLATFORM img AS a\nFROM img AS b\nFROM a"
    image = known({"img": KnownImage(arm)})
    findings = found(text, image=image, target_platform=arm)
    assert findings == [("InvalidBaseImagePlatform", 1)]


@pytest.mark.parametrize(
    ("check_", "names"),
    [
        ("skip=all", set()),
        ("skip=MaintainerDeprecated", {"LegacyKeyValueFormat"}),
        ("skip=maintainerdeprecated, LegacyKeyValueFormat", set()),
        ("error=true", {"MaintainerDeprecated", "LegacyKeyValueFormat"}),
        ("skip=Unknown", {"MaintainerDeprecated", "LegacyKeyValueFormat"}),
    ],
)
def test_rules_can_be_skipped(check_: str, names: set[str]) -> None:
    text = "FROM scratch\nMAINTAINER a\nENV a b\n"
    assert {rule for rule, _ in found(f"# check={check_}\n{text}")} == names
    given = {"BUILDKIT_DOCKERFILE_CHECK": check_}
    assert {rule for rule, _ in found(text, build_arguments=given)} == names


def test_a_comment_above_skips_for_one_instruction() -> None:
    text = "FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV a b\nENV c d\n"
    assert found(text) == [("LegacyKeyValueFormat", 4)]


def test_error_makes_findings_fail() -> None:
    assert check(b"# check=error=true\nFROM scratch\nMAINTAINER a").fails
    assert not check(b"# check=error=true\nFROM scratch").fails
    assert not check(b"FROM scratch\nMAINTAINER a").fails


def test_suggestions_are_made() -> None:
    report = check(b"ARG VERSION=1\nFROM scratch\nARG NAME=1\nUSER $NAEM\nFROM a:$VERSOIN\n")
    messages = [finding.message for finding in report.findings]
    assert "Usage of undefined variable '$NAEM' (did you mean $NAME?)" in messages
    assert "FROM argument 'VERSOIN' is not declared (did you mean VERSION?)" in messages


def test_all_errors_are_told_at_once() -> None:
    report = check(b"FROM scratch\nRNU a\nMAINTAINER x\nCOPY --form=a b c\nEXPOSE x\nUSER ${A:?}\n")
    assert [e.location and e.location[1] for e in report.errors] == [2, 4, 5, 6]
    assert [finding.rule.name for finding in report.findings] == ["MaintainerDeprecated"]
    assert report.fails


def lines_of_errors(text: str, **given: object) -> list[int]:
    report = check(text.encode(), given=Given(**given))  # type: ignore[arg-type]
    return [e.location[1] if e.location else 0 for e in report.errors]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        # What no step can have.
        ("FROM scratch\nRUN --mount=type=cache a\nRUN --mount=type=tmpfs,target=/ a", [2, 3]),
        ("FROM scratch\nWORKDIR /a\nRUN --mount=target=.. a\nRUN --mount=target=. a", [3]),
        ("FROM unknown\nRUN --mount=target=.. a\nWORKDIR /\nRUN --mount=target=. a", [4]),
        ("FROM scratch\nRUN --security=insecure a\nRUN --device=x,required a", [2, 3]),
        ("FROM --platform=a/b/c/d x\nUSER ${A:?}\nFROM --platform=$P x", [1, 2, 3]),
        # One mistake hides no other.
        ("FROM ${A}\nUSER ${B:?}", [1, 2]),
        ("ARG A=${B:?}\nFROM debian:$A\nUSER ${B:?}\nFROM $A", [1, 3]),
        ("FROM scratch\nRNU a\nCOPY <<a b\nRNU c\n", [2, 3]),
        ("# escape=x\n# check=skip=all\n# check=skip=all\nFROM scratch\nRNU", [1, 3, 5]),
        ("# escape=x\n", [1]),
        # And none is told twice.
        ("FRM x\nRUN a\nCOPY a b", [1]),
        ("RUN a\nCOPY a b\nFROM scratch\nRNU", [1, 4]),
        ("COPY <<a b\n", [1]),
    ],
)
def test_every_error_is_told_and_once(text: str, lines: list[int]) -> None:
    assert lines_of_errors(text, build_arguments={"P": "a/b/c/d"}) == lines


def test_images_and_files_are_asked_for_where_they_stand() -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def image(name: str, _platform: Platform, stages: tuple[str, ...]) -> KnownImage | None:
        asked.append((name, stages))
        if name == "no":
            raise BuildError("there is no such image", code="RL-BUILD-STAGE")
        return KnownImage(AMD64, workdir="/")

    looked: list[tuple[int, frozenset[str]]] = []

    def look_for(i: Instruction, stages: frozenset[str]) -> None:
        looked.append((i.first_line, stages))
        if isinstance(i, Copy) and i.sources == ("none",):
            raise BuildError("it is not there", code="RL-BUILD-NOT-FOUND")

    text = (
        "FROM a AS one\nFROM no\nCOPY --from=one x /\nCOPY --from=no x /\nCOPY none /\n"
        "RUN --mount=from=b,target=/x --mount=from=one,target=/y --mount=target=.. a\nUSER ${A:?}\n"
    )
    assert lines_of_errors(text, image=image, look_for=look_for) == [2, 4, 5, 7]
    assert asked == [("a", ()), ("no", ("one",)), ("no", ("one",)), ("b", ("one",))]
    assert looked == [(3, {"one"}), (5, set()), (6, {"one"})]


@pytest.mark.parametrize("options", ["x", "skip", "error=maybe", "skip=a;foo=b"])
def test_bad_options_are_refused(options: str) -> None:
    with pytest.raises(BuildError):
        parse_options(options)
    report = check(f"# check={options}\nFROM scratch".encode())
    assert [e.location for e in report.errors] == [("Dockerfile", 1, 1)]


def test_rules_have_the_address_of_their_page() -> None:
    base = "https://docs.docker.com/go/dockerfile/rule"
    assert RULES["JSONArgsRecommended"].url == f"{base}/json-args-recommended/"
    assert RULES["SecretsUsedInArgOrEnv"].url == f"{base}/secrets-used-in-arg-or-env/"
    assert RULES["UndefinedVar"].url == f"{base}/undefined-var/"
