"""ARG and ENV: who sees what, and where variables are expanded."""

import pytest

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.parse import parse, parse_trigger
from rootless.build.dockerfile.scope import (
    Scope,
    base_of,
    global_arguments,
    predefined,
    unknown_arguments,
)
from rootless.build.dockerfile.stages import Dockerfile, references, syntax_note
from rootless.errors import BuildError
from rootless.oci.platform import Platform

AMD64, ARM = Platform("linux", "amd64"), Platform("linux", "arm", "v7")


def globals_of(dockerfile: Dockerfile, given: dict[str, str]) -> dict[str, str]:
    return global_arguments(dockerfile, predefined(AMD64, ARM, "", given), given)


def last(
    text: str, given: dict[str, str] | None = None, environment: tuple[str, ...] = ()
) -> to.Instruction:
    """The last instruction of the only stage, expanded."""
    dockerfile = parse(text.encode())
    scope = Scope(dockerfile, globals_of(dockerfile, given or {}), given or {}, environment)
    done = [scope.apply(i) for i in dockerfile.stages[0].instructions]
    return done[-1]


def user(text: str, given: dict[str, str] | None = None, environment: tuple[str, ...] = ()) -> str:
    """What "USER ..." at the end becomes."""
    instruction = last(text, given, environment)
    assert isinstance(instruction, to.User)
    return instruction.user


@pytest.mark.parametrize(
    ("text", "given", "result"),
    [
        ("ARG A=1\nFROM x\nUSER [$A]", {}, "[]"),
        ("ARG A=1\nFROM x\nARG A\nUSER [$A]", {}, "[1]"),
        ("ARG A=1\nFROM x\nARG A\nUSER [$A]", {"A": "2"}, "[2]"),
        ("ARG A=1\nFROM x\nARG A=3\nUSER [$A]", {}, "[3]"),
        ("FROM x\nARG A\nUSER [$A]", {}, "[]"),
        ("FROM x\nARG A\nUSER [$A]", {"A": "2"}, "[2]"),
        ("FROM x\nUSER [$A]", {"A": "2"}, "[]"),
        ("FROM x\nARG A=1 B=$A\nUSER [$B]", {}, "[1]"),
        ("FROM x\nARG A=1\nENV A=2\nUSER $A", {}, "2"),
        ("FROM x\nARG A=1\nENV A=2\nUSER $A", {"A": "3"}, "2"),
        ("FROM x\nARG A=1\nENV A=${A:-2}\nUSER $A", {"A": "3"}, "3"),
        ("FROM x\nENV A=1\nENV A=2 B=$A\nUSER $B", {}, "1"),
        ("FROM x\nENV A=1\nARG A=2\nUSER $A", {}, "2"),
        ('FROM x\nARG A="two words"\nUSER $A', {}, "two words"),
        ("FROM x\nARG A='$B' B\nUSER $A", {}, "$B"),
        ("FROM x\nUSER $TARGETARCH", {}, ""),
        ("FROM x\nARG TARGETPLATFORM\nUSER $TARGETPLATFORM", {}, "linux/arm/v7"),
        ("FROM x\nARG TARGETVARIANT\nARG BUILDARCH\nUSER $BUILDARCH$TARGETVARIANT", {}, "amd64v7"),
        ("FROM x\nARG TARGETOS=plan9\nUSER $TARGETOS", {}, "plan9"),
        ("FROM x\nARG TARGETOS\nUSER $TARGETOS", {"TARGETOS": "x"}, "x"),
        ("FROM x\nENV a=$BASE-1\nUSER $a", {}, "base-1"),
        ("FROM x\nARG A=${NO:?x}\nUSER $A", {"A": "given"}, "given"),
        ("FROM x\nENV $BASE=1\nUSER $base", {}, "1"),
    ],
)
def test_user_becomes(text: str, given: dict[str, str], result: str) -> None:
    assert user(text, given, ("BASE=base",)) == result


def test_instructions_are_expanded_where_buildkit_does() -> None:
    env = ("V=x y",)

    def check(line: str, kind: type, **fields: object) -> None:
        done = last(f"FROM scratch\n{line}", environment=env)
        assert isinstance(done, kind)
        assert {name: getattr(done, name) for name in fields} == fields

    check("WORKDIR /$V", to.Workdir, path="/x y")
    check("VOLUME $V '$V'", to.Volume, paths=("x y", "$V"))
    check("EXPOSE ${N:-80} ${N:-81/udp}", to.Expose, ports=("80", "81/udp"))
    check("STOPSIGNAL ${N:-SIGINT}", to.StopSignal, signal="SIGINT")
    check("LABEL \"$V\"='$V'", to.Label, pairs=(to.Pair("x y", "$V"),))
    check("LABEL a $V", to.Label, pairs=(to.Pair("a", "x y", legacy=True),))
    check("COPY --chown=$V --chmod=$V $V /$V/", to.Copy, sources=("x y",), target="/x y/")
    check("COPY --chown=$V --chmod=$V a /", to.Copy, chown="x y", chmod="x y")
    check("ADD --checksum=$V a /", to.Add, checksum="x y")
    check("RUN $V", to.Run, command=to.Command(("$V",), True))
    check("CMD $V", to.Cmd, command=to.Command(("$V",), True))
    check('ENTRYPOINT ["$V"]', to.Entrypoint, command=to.Command(("$V",), False))
    check("MAINTAINER $V", to.Maintainer, author="$V")
    check("HEALTHCHECK CMD $V", to.Healthcheck, test=("CMD-SHELL", "$V"))
    check("ONBUILD USER $V", to.Onbuild, expression="USER $V")
    check('SHELL ["$V"]', to.Shell, words=("$V",))


def test_heredoc_bodies_are_expanded_unless_quoted() -> None:
    done = last("FROM scratch\nENV V=1\nCOPY <<A <<\"B\" /\n'$V' \\$V\nA\n$V\nB\n")
    assert isinstance(done, to.Copy)
    assert [d.content for d in done.documents] == ["'1' $V\n", "$V\n"]


def test_mounts_are_expanded_field_by_field() -> None:
    done = last("FROM scratch\nENV V=a,b\nRUN --mount=type=cache,target=/$V,id=$V x")
    assert isinstance(done, to.Run)
    assert (done.mounts[0].target, done.mounts[0].id) == ("/a,b", "a,b")


def test_a_mount_that_becomes_wrong_is_an_error_at_its_line() -> None:
    with pytest.raises(BuildError) as e:
        last("FROM scratch\nARG T=cahce\nRUN --mount=type=$T,target=/x true")
    assert e.value.location == ("Dockerfile", 3, 3)
    assert "did you mean cache?" in e.value.one_line()


@pytest.mark.parametrize(
    "line",
    ["EXPOSE $V", "EXPOSE 80/x", "EXPOSE 99999", "EXPOSE 9-8", "STOPSIGNAL $V", "VOLUME ${N}/a $N"],
)
def test_impossible_values_are_errors_at_their_line(line: str) -> None:
    with pytest.raises(BuildError) as e:
        last(f"FROM scratch\n{line}", environment=("V=no",))
    assert (e.value.code, e.value.location) == ("RL-BUILD-VALUE", ("Dockerfile", 2, 2))


def test_run_sees_arguments_and_the_default_path() -> None:
    dockerfile = parse(b"FROM x\nARG A=1 B\nENV C=2")
    scope = Scope(dockerfile, {}, {}, [])
    for instruction in dockerfile.stages[0].instructions:
        scope.apply(instruction)
    assert scope.environment["PATH"].startswith("/usr/local/sbin:")
    assert (scope.environment["A"], scope.environment["C"], "B" in scope.environment) == (
        *("1", "2"),
        False,
    )
    assert scope.arguments == {"A": "1", "B": None}


def test_a_stage_inherits_the_variables_of_the_stage_it_starts_from() -> None:
    dockerfile = parse(b"FROM x AS a\nARG A=1\nENV E=2\nFROM a\nUSER $A$E")
    scope = Scope(dockerfile, {}, {})
    for instruction in dockerfile.stages[0].instructions:
        scope.apply(instruction)
    child = scope.child()
    done = child.apply(dockerfile.stages[1].instructions[0])
    assert isinstance(done, to.User) and done.user == "12"
    child.environment["E"] = "3"
    assert scope.environment["E"] == "2"


def test_unknown_and_used_variables_are_told() -> None:
    dockerfile = parse(b"FROM x\nARG A B\nUSER $A$N$P")
    scope = Scope(dockerfile, {}, {}, ["P=1"])
    for instruction in dockerfile.stages[0].instructions:
        scope.apply(instruction)
    assert (scope.unmatched, scope.used) == ({"N"}, {"P"})


def test_from_sees_global_arguments_only() -> None:
    text = b"ARG V=1 W=${V}2\nFROM --platform=$BUILDPLATFORM img:$W AS a\nFROM ${W}-$NO\n"
    dockerfile = parse(text)
    values = globals_of(dockerfile, {})
    base = base_of(dockerfile, dockerfile.stages[0], values)
    assert (base.name, base.platform) == ("img:12", "linux/amd64")
    assert base_of(dockerfile, dockerfile.stages[1], values).name == "12-"
    assert globals_of(dockerfile, {"V": "9"})["W"] == "92"


def test_empty_base_is_an_error_with_a_suggestion() -> None:
    dockerfile = parse(b"ARG VERSION=1\nFROM $VERISON\n")
    with pytest.raises(BuildError) as e:
        base_of(dockerfile, dockerfile.stages[0], globals_of(dockerfile, {}))
    assert e.value.one_line() == (
        "Dockerfile:2: the base $VERISON of FROM is empty; did you mean VERSION? "
        "[RL-BUILD-VARIABLE]"
    )


def test_stages_are_found_by_name_and_number() -> None:
    dockerfile = parse(b"FROM a AS One\nFROM one\nCOPY --from=1 a b\nFROM c AS one\n")
    one, middle, again = dockerfile.stages
    copy = middle.instructions[0]
    assert dockerfile.base_stage(middle, "one") is one
    assert dockerfile.base_stage(one, "one") is None
    assert dockerfile.base_stage(middle, "One") is None  # an image of that name
    assert dockerfile.source_stage("1", copy, again) is middle
    assert dockerfile.source_stage("nginx:1", copy, middle) is None
    with pytest.raises(BuildError, match="ONE comes later"):
        dockerfile.source_stage("ONE", copy, middle)
    with pytest.raises(BuildError) as e:
        dockerfile.source_stage("3", copy, middle)
    assert e.value.location == ("Dockerfile", 3, 3)
    assert dockerfile.target("") is again and dockerfile.target("1") is middle
    with pytest.raises(BuildError, match="no stage 'onne'") as e:
        dockerfile.target("onne")
    assert e.value.remedy == "did you mean one?"


def test_triggers_of_a_base_image_are_instructions_at_the_from() -> None:
    start = parse(b"# c\nFROM x").stages[0].start
    trigger = parse_trigger("COPY <<-E /x\n\ta\nE", start)
    assert isinstance(trigger, to.Copy)
    assert (trigger.documents[0].content, trigger.first_line) == ("a\n", 2)
    for bad in ("ONBUILD RUN x", "FROM x", "RUN a\nRUN b", "", "NOPE"):
        with pytest.raises(BuildError):
            parse_trigger(bad, start)


@pytest.mark.parametrize(
    ("text", "shell", "arguments", "script"),
    [
        ("RUN a b", (), ("/bin/sh", "-c", "a b"), None),
        ("RUN a b", ("bash", "-ec"), ("bash", "-ec", "a b"), None),
        ('RUN ["a", "b"]', ("bash",), ("a", "b"), None),
        ("RUN <<E\na\n\tb\nE", (), ("/bin/sh", "-c", "a\n\tb\n"), None),
        ("RUN <<-E\n\ta\n\tE", (), ("/bin/sh", "-c", "a\n"), None),
        ("RUN x <<-E\n\ta\n\tE", (), ("/bin/sh", "-c", "x <<-E\n\ta\nE"), None),
        ("RUN <<E\n#!/x\nE", (), ("/bin/sh", "-c", "/dev/pipes/E"), ("E", "#!/x\n")),
    ],
)
def test_run_executes(
    text: str, shell: tuple[str, ...], arguments: tuple[str, ...], script: tuple[str, str] | None
) -> None:
    run = parse(f"FROM x\n{text}\n".encode()).stages[0].instructions[0]
    assert isinstance(run, to.Run)
    done, file = run.command.arguments(shell) if shell else run.command.arguments()
    assert done == arguments
    assert (file and (file.name, file.content)) == script


def test_build_arguments_that_nothing_declares_are_told() -> None:
    dockerfile = parse(b"ARG A\nFROM x\nARG B\n")
    given = ["A", "B", "C", "http_proxy", "BUILDKIT_INLINE_CACHE", "SOURCE_DATE_EPOCH"]
    given += ["TARGETARCH", "BUILDPLATFORM", "TARGET", "BUILD_NUMBER", "BUILDKIT_CACHE"]
    unknown = ["C", "TARGET", "BUILD_NUMBER", "BUILDKIT_CACHE"]
    assert unknown_arguments(dockerfile, given) == unknown


def test_lines_are_shown_with_values_but_without_secrets() -> None:
    scope = Scope(parse(b"FROM x"), {}, {}, ["A=1"])
    assert scope.shown("RUN 'x' \"$A\" $B \\$A $S", ["S"]) == "RUN 'x' \"1\" $B \\$A ****"
    assert scope.shown("RUN it's $A") == "RUN it's $A"


def test_references_of_instructions_are_told() -> None:
    text = b"FROM x\nCOPY --from=a b c\nCOPY b c\nRUN --mount=from=d,target=/x --mount=target=/y z"
    instructions = parse(text).stages[0].instructions
    assert [references(i) for i in instructions] == [("a",), (), ("d",)]


def test_exclude_patterns_are_not_expanded() -> None:
    done = last("FROM scratch\nENV A=1\nCOPY --exclude=$A a b")
    assert isinstance(done, to.Copy) and done.exclude == ("$A",)


@pytest.mark.parametrize(
    ("syntax", "noted"),
    [
        ("docker/dockerfile:1", False),
        ("docker/dockerfile:1.7-labs", False),
        ("docker.io/docker/dockerfile:1.4@sha256:0", False),
        ("docker/dockerfile", False),
        ("dockerfile.v0", False),
        ("docker/dockerfile:1.99", True),
        ("docker/dockerfile:2", True),
        ("example.com/frontend", True),
    ],
)
def test_syntax_that_is_not_ours_is_noted(syntax: str, noted: bool) -> None:
    assert (syntax_note(syntax) is not None) == noted
