"""From stages to steps, without an image store: what is needed, expanded, and refused."""

from typing import Any

import pytest

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.parse import parse
from rootless.build.options import BuildOptions
from rootless.build.plan import BaseImage, Need, Plan, Planner
from rootless.errors import BuildError
from rootless.oci import platform as platforms

CONFIG: dict[str, Any] = {
    "Env": ["PATH=/bin", "BASE=yes"],
    "Cmd": ["sh"],
    "Entrypoint": ["/enter"],
    "WorkingDir": "/home",
    "Labels": {"a": "base"},
}


def images(config: dict[str, Any] | None = None) -> Any:
    def find(need: Need) -> BaseImage:
        document = {"config": config or CONFIG, "history": [{"created_by": "base"}]}
        return BaseImage(need.name, {"layers": ["sha256:base"]}, document)

    return find


def plan(text: str, config: dict[str, Any] | None = None, **options: Any) -> Plan:
    made = BuildOptions(context=".", **options)
    return Planner(parse(text.encode()), made).plan(images(config))


def needs(text: str, **options: Any) -> list[str]:
    made = BuildOptions(context=".", **options)
    return [need.name for need in Planner(parse(text.encode()), made).needs()]


def names(made: Plan) -> list[str]:
    return [step.name for step in made.steps]


def test_metadata_is_no_step_and_numbers_are_buildkits() -> None:
    made = plan("FROM a\nENV X=1\nRUN one\nLABEL b=c\nCOPY x /y\nWORKDIR /w\n")
    assert names(made) == ["[2/4] RUN one", "[3/4] COPY x /y", "[4/4] WORKDIR /w"]
    made = plan("FROM a AS one\nRUN x\nFROM scratch\nCOPY --from=one /f /\n")
    assert names(made) == ["[one 2/2] RUN x", "[stage-1 1/1] COPY --from=one /f /"]


def test_only_what_the_target_needs() -> None:
    text = """FROM a AS base
FROM b AS unused
RUN x
FROM base AS left
RUN l
FROM scratch AS right
COPY --from=c /f /
FROM left
RUN --mount=type=bind,from=d,target=/m r
COPY --from=right /f /g
"""
    assert sorted(needs(text)) == ["a", "c", "d"]
    assert needs(text, target="unused") == ["b"]
    assert [step.instruction.name for step in plan(text, target="left").steps] == ["RUN"]


def test_images_from_arguments_platforms_and_named_contexts() -> None:
    text = "ARG TAG=1\nFROM --platform=linux/arm64 x:$TAG\nCOPY --from=dir f /\n"
    made = BuildOptions(
        context=".", build_args={"TAG": "2"}, build_contexts={"dir": "/tmp", "img": "x"}
    )
    found = Planner(parse(text.encode()), made).needs()
    assert [(need.name, str(need.platform)) for need in found] == [("x:2", "linux/arm64")]


def test_scopes_of_arguments_and_environment() -> None:
    made = plan(
        "ARG G=global\nFROM a AS one\nARG G\nARG L=local\nENV E=$L\nRUN x\nFROM a\nARG L\nRUN y\n",
        target="one",
        build_args={"L": "given", "HTTP_PROXY": "p", "UNKNOWN": "u"},
    )
    (step,) = made.steps
    environment = dict(entry.split("=", 1) for entry in step.environment)
    assert environment == {"PATH": "/bin", "BASE": "yes", "G": "global", "L": "given", "E": "given"}
    assert step.hidden == ("HTTP_PROXY=p",)
    assert made.target.state.config["Env"] == ["PATH=/bin", "BASE=yes", "E=given"]
    assert made.target.state.history[-1]["created_by"] == (
        "RUN |2 G=global L=given /bin/sh -c x # buildkit"
    )


def test_predefined_arguments_need_a_declaration() -> None:
    host = platforms.host()
    made = plan("FROM a\nRUN x\nARG TARGETARCH\nARG TARGETSTAGE\nRUN y\n")
    first, second = (dict(e.split("=", 1) for e in step.environment) for step in made.steps)
    assert "TARGETARCH" not in first
    assert (second["TARGETARCH"], second["TARGETSTAGE"]) == (host.architecture, "default")


def test_run_has_the_user_the_directory_and_the_shell_in_force() -> None:
    made = plan(
        'FROM a\nUSER ann\nWORKDIR sub\nSHELL ["/bin/ash", "-ec"]\nRUN x\nRUN ["y"]\nUSER bob\n'
    )
    _, shell, plain = made.steps
    assert (shell.user, shell.workdir, shell.arguments) == (
        "ann",
        "/home/sub",
        ("/bin/ash", "-ec", "x"),
    )
    assert plain.arguments == ("y",)
    assert made.target.state.config["User"] == "bob"


def test_entrypoint_drops_the_bases_cmd_but_not_its_own() -> None:
    config = plan('FROM a\nENTRYPOINT ["e"]\n').target.state.config
    assert config["Entrypoint"] == ["e"] and not config.get("Cmd")
    config = plan('FROM a\nCMD ["c"]\nENTRYPOINT ["e"]\n').target.state.config
    assert (config["Entrypoint"], config["Cmd"]) == (["e"], ["c"])
    assert plan("FROM a\nRUN x\n").target.state.config["Cmd"] == ["sh"]


def test_config_of_every_metadata_instruction() -> None:
    state = plan(
        "FROM scratch\nENV A=1\nENV A=2 B=3\nLABEL x=y\nEXPOSE 80 53/udp\nVOLUME /v /w\n"
        "STOPSIGNAL SIGINT\nMAINTAINER me\nCMD echo hi\nONBUILD RUN later\n"
        "HEALTHCHECK --interval=30s --retries=3 CMD curl x\n"
    ).target.state
    config = state.config
    assert config["Env"][1:] == ["A=2", "B=3"] and config["Env"][0].startswith("PATH=/usr/local")
    assert config["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert config["Volumes"] == {"/v": {}, "/w": {}} and state.author == "me"
    assert config["Cmd"] == ["/bin/sh", "-c", "echo hi"] and config["OnBuild"] == ["RUN later"]
    assert config["Healthcheck"] == {
        "Test": ["CMD-SHELL", "curl x"], "Interval": 30 * 10**9, "Retries": 3,
    }  # fmt: skip
    assert [entry["created_by"] for entry in state.history] == [
        "ENV A=1", "ENV A=2 B=3", "LABEL x=y", "EXPOSE [53/udp 80/tcp]",
        "VOLUME [/v /w]", "STOPSIGNAL SIGINT", "MAINTAINER me",
        'CMD ["/bin/sh" "-c" "echo hi"]',
        'HEALTHCHECK &{["CMD-SHELL" "curl x"] "30s" "0s" "0s" "0s" \'\\x03\'}',
    ]  # fmt: skip


def test_onbuild_of_the_base_is_done_once_and_not_inherited() -> None:
    made = plan("FROM a AS one\nRUN own\n", {**CONFIG, "OnBuild": ["ENV T=1", "RUN trigger"]})
    assert [step.arguments[-1] for step in made.steps] == ["trigger", "own"]
    assert "OnBuild" not in made.target.state.config
    assert "T=1" in made.target.state.config["Env"]


def test_stage_upon_stage_inherits_all() -> None:
    made = plan("FROM a AS one\nARG V=1\nENV E=1\nUSER u\nRUN x\nFROM one\nRUN y $V\n")
    (last,) = made.target.steps
    assert last.user == "u" and {"E=1", "V=1"} <= set(last.environment)
    assert len(made.target.state.history) == 6  # base, ARG, ENV, USER, RUN and RUN


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("FROM a\nCOPY --from=later x /\nFROM b AS later\n", 2, "later"),
        ("FROM a\nCOPY --from=3 x /\n", 2, "no stage 3"),
        ("FROM a AS me\nCOPY --from=me x /\n", 2, "is this one"),
        ("FROM $NOTHING\n", 1, "empty"),
        ("FROM --platform=rubbish a\n", 1, "platform"),
        ("FROM a\nRUN --security=insecure x\n", 2, "root"),
        ("FROM a\nENV X=${Y:?must}\n", 2, "must"),
    ],
)
def test_mistakes_name_their_line(text: str, line: int, words: str) -> None:
    target = "0" if "later" in text else ""
    with pytest.raises(BuildError) as e:
        plan(text, target=target)
    assert words in e.value.what and e.value.location is not None
    assert e.value.location[1] == line


def test_more_layers_than_a_run_can_have_below() -> None:
    most = "FROM b AS a\n" + "COPY x /\nWORKDIR /y\n" * 490 + "FROM a\n" + "COPY x /\n" * 9
    assert plan(f"{most}RUN a\n").target.layers == 501
    with pytest.raises(BuildError) as caught:
        plan(f"{most}COPY x /\nRUN a\n")
    assert caught.value.code == "RL-IMAGE-TOO-MANY-LAYERS"
    assert caught.value.location == ("Dockerfile", 993, 993)


def test_target_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(BuildError, match="biuld"):
        plan("FROM a AS build\n", target="biuld")


def test_transfer_history_has_its_flags() -> None:
    made = plan(
        'FROM a\nCOPY --chown=1:2 --chmod=644 --link ["a b", "c", "/d/"]\nADD <<E /f\nx\nE\n'
    )
    assert [entry["created_by"] for entry in made.target.state.history[1:]] == [
        "COPY --chown=1:2 --chmod=644 a b c /d/ # buildkit",
        "ADD <<E /f # buildkit",
    ]
    assert isinstance(made.steps[0].instruction, to.Copy)
