"""What is wrong with a Dockerfile: told by --check all at once, by a build before any step."""

import re

import pytest
from support.builds import Project
from support.images import Image, busybox_tar
from support.registry import Registry


def test_check_prints_every_problem(project: Project) -> None:
    project.write({"Dockerfile": "FROM busybox as a\nMAINTAINER x\nCMD echo\nWORKDIR rel\n"})
    done = project.run("--check", status=1)
    for rule in ("FromAsCasing", "MaintainerDeprecated", "JSONArgsRecommended"):
        assert f"WARNING: {rule} - https://docs.docker.com/" in done.stdout
    assert "warnings have been found!" in done.stdout and "Dockerfile:3\n---" in done.stdout
    assert "   3 | >>> CMD echo" in done.stdout
    wrong = ["FROM busybox", "RUNN x", "COPY a", "RUN --mont=x", "EXPOSE 99999", "USER ${X?none}"]
    wrong += ["COPY --from=9 a /", "COPY Dockrfile /", "COPY ../x /", "RUN --mount=from=5 true"]
    project.write({"Dockerfile": "\n".join(wrong)})
    shown = project.run("--check", "--target", "nope", status=1).stdout
    assert re.findall("^Dockerfile:([0-9]+)", shown, re.M) == [str(n) for n in range(2, 11)]
    assert "did you mean Dockerfile?" in shown and "has no stage 'nope'" in shown, shown
    project.write({"Dockerfile": "FROM busybox\nRUN exit 1\n"})
    assert "no warnings found" in project.run("--check").stdout


def test_warnings_come_after_the_build_or_fail_it(project: Project) -> None:
    project.write({"Dockerfile": "FROM busybox\nCMD echo\n"})
    assert " - JSONArgsRecommended: " in project.run().stderr
    project.write({"Dockerfile": "# check=error=true\nFROM busybox\nCMD echo\n"})
    assert "JSONArgsRecommended" in project.fails("", code="RL-BUILD-LINT")
    project.write({"Dockerfile": "# check=skip=all;error=true\nFROM busybox\nCMD echo\n"})
    project.run()
    argument = ("--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true")
    assert "JSONArgsRecommended" in project.fails("", *argument, code="RL-BUILD-LINT")


def lines(shown: str) -> list[int]:
    """The lines of the Dockerfile that --check speaks of, in its order."""
    return [int(number) for number in re.findall("^Dockerfile:([0-9]+)", shown, re.M)]


def nowhere(project: Project) -> str:
    """A registries.conf by which nobody is asked for docker.io."""
    path = f"{project.directory}-registries.conf"
    with open(path, "w") as file:
        file.write('[[registry]]\nprefix = "docker.io"\nlocation = "127.0.0.1:1"\n')
    return path


def test_check_asks_the_registry_and_fetches_no_layer(project: Project, registry: Registry) -> None:
    config = {"Env": ["KNOWN=1"], "Shell": ["/bin/sh", "-ec"], "WorkingDir": "/w"}
    good = registry.push("test/checked", Image([busybox_tar()], config))
    arm = registry.push("test/arm", Image([busybox_tar()], {}, architecture="arm64"))
    project.dockerfile(f"""
        FROM {good} AS good
        USER $KNOWN$UNKNOWN
        CMD the shell is set
        RUN --mount=target=.. true
        COPY --from={registry.host}/test/none /x /
        FROM {registry.host}/test/checked:none
        FROM {arm}
        FROM --platform=linux/arm64 {arm}
    """)
    done = project.run("--check", status=1)
    assert lines(done.stdout) == [2, 8, 4, 5, 6, 7], done.stdout
    assert "undefined variable '$UNKNOWN'" in done.stdout and "JSONArgs" not in done.stdout
    assert "made for linux/arm64, not for linux/amd64" in done.stdout
    assert "test/checked" not in project.rl.out("images")


def test_check_without_a_network_says_what_it_did_not_look_at(project: Project) -> None:
    place = "127.0.0.1:1"  # where nobody listens
    project.dockerfile(f"""
        FROM {place}/none AS build
        USER $ANY
        FROM busybox
        COPY --from={place}/some /x /
    """)
    done = project.run("--check")
    assert "no warnings found" in done.stdout and "not checked" not in done.stdout
    assert f"{place}/none is not checked" in done.stderr
    assert f"{place}/some is not checked" in done.stderr


def test_check_looks_into_images_and_named_contexts(project: Project) -> None:
    project.write({"other/file": "", "Dockerfile": """FROM busybox AS base
COPY --from=busybox /bin/busybox /bin/non[e] /
COPY --from=busybox /bin/busyboxx /
COPY --from=other fiel /
RUN --mount=type=bind,from=busybox,source=/etc/passwdd,target=/x true
RUN --mount=type=bind,from=other,source=file,target=/x --mount=target=/y,source=no true
RUN --mount=type=bind,from=base,source=/anything,target=/x true
FROM base
COPY --from=base --chmod=99 /may/be/there /
"""})  # fmt: skip
    args = ("--build-context", f"other={project.directory}/other")
    shown = project.run("--check", *args, status=1).stdout
    assert lines(shown) == [3, 4, 5, 6, 7, 9], shown
    assert "did you mean bin/busybox?" in shown and "did you mean file?" in shown
    assert "the stage base is this one" in shown


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("FROM busybox\nRUNN true\n", 2, ["RUN"]),
        ("FROM busybox\nRUN true\nCOPY --form=x a b\n", 3, ["--from"]),
        ("FROM busybox\nCOPY --from=5 /a /b\n", 2, ["5"]),
        ("FROM busybox\nEXPOSE 99999\n", 2, ["99999"]),
        ("FROM busybox\nHEALTHCHECK --interval=5 CMD true\n", 2, ["5"]),
        ("FROM busybox\nENV\n", 2, ["ENV"]),
        ("FROM busybox\nRUN <<EOF\ntrue\n", 2, ["EOF"]),
        ("RUN true\n", 1, ["FROM"]),
    ],
)
def test_mistake_names_its_line(project: Project, text: str, line: int, words: list[str]) -> None:
    project.write({"Dockerfile": text})
    err = project.fails("")
    assert f"Dockerfile:{line}" in err, err
    assert all(word in err for word in words), err
    assert ">>>" in err


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("RUNN true", "did you mean RUN?"),
        ("RUN --moutn=x true", "did you mean --mount?"),
        ("RUN --mount=type=cahce,target=/x true", "did you mean cache?"),
        ("RUN --mount=targte=/x true", "did you mean target?"),
        ("RUN --network=hots true", "did you mean host?"),
        ("USER ${NAME:?a name}", "a name"),
        ("COPY --from=biuld /x /", "did you mean build?"),
        ("RUN --mount=from=7,target=/x true", "there is no stage 7"),
        ("COPY Dockerflie /", "did you mean Dockerfile?"),
        ("COPY --from=other Dockerfile fiel /x/", "did you mean file?"),
        ("COPY --from=busybox /bin/busyboy /x", "did you mean bin/busybox?"),
        ("RUN --mount=source=Dockerflie,target=/x true", "did you mean Dockerfile?"),
        ("RUN --mount=from=other,source=fiel,target=/x true", "did you mean file?"),
        ("RUN --mount=from=busybox,source=/bni,target=/x true", "did you mean bin?"),
        ("ADD --checksum=md5:0 http://127.0.0.1:1/x /", "sha256"),
        ("COPY --chmod=u+y Dockerfile /", "octal"),
        ("STOPSIGNAL SIGUSR3", "did you mean SIGUSR"),
        ("COPY --from=busyobx /x /", "did you mean busybox?"),
    ],
)
def test_nothing_runs_where_anything_is_wrong(project: Project, wrong: str, words: str) -> None:
    project.write({"other/file": "", "other/Dockerfile": "", ".dockerignore": "other\n"})
    text = f"FROM busybox AS build\nRUN echo it-ran\n{wrong}\nFROM build\n"
    args = ("--no-cache", "--build-context", f"other={project.directory}/other")
    env = {"CONTAINERS_REGISTRIES_CONF": nowhere(project)}
    err = project.fails(text, *args, env=env)
    assert "Dockerfile:3: " in err and words in err, err
    assert "[build 2/" not in err, err
