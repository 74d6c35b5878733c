"""Every instruction of a Dockerfile, built."""

import json

from support.builds import Project


def test_from_scratch_copies_only(project: Project) -> None:
    project.write({"hello": "hi"})
    image = project.build('FROM scratch\nCOPY hello /\nCMD ["/hello"]\n')
    record = project.rl.inspect(image)
    assert record["Config"]["Cmd"] == ["/hello"] and len(record["RootFS"]["Layers"]) == 1


def test_from_with_arguments_and_platform(project: Project) -> None:
    text = """
        ARG NAME=no-such-image
        ARG TAG
        FROM --platform=$BUILDPLATFORM ${NAME}:${TAG:-latest} AS base
        ARG NAME
        FROM base
        RUN echo from $NAME >/note
    """
    assert project.script(text, "cat /note", "--build-arg", "NAME=busybox") == "from busybox"


def test_run_in_shell_exec_and_heredoc_form(project: Project) -> None:
    text = """
        RUN echo shell $((1 + 1)) >/a && \\
            # a comment among continued lines
            echo more >>/a
        RUN ["/bin/sh", "-c", "echo exec $HOME >/b"]
        RUN <<EOF
        echo heredoc >/c
        set -u
        EOF
        RUN <<-'EOF' cat >/d
        \tnot $expanded
        EOF
        RUN <<ONE cat >/e; <<TWO cat >>/e
        one
        ONE
        two
        TWO
    """
    shown = project.script(text, "cat /a /b /c /d /e")
    assert shown.splitlines() == [
        "shell 2", "more", "exec /root", "heredoc", "not $expanded", "one", "two",
    ]  # fmt: skip


def test_heredoc_with_a_shebang_runs_that_program(project: Project) -> None:
    text = """
        RUN <<EOF
        #!/bin/sh -e
        echo $0 >/note
        EOF
    """
    assert project.script(text, "cat /note")


def test_env_label_and_maintainer(project: Project) -> None:
    image = project.build(
        """
        ENV A=1 B="two words" C=$A
        ENV A=2 D=$A
        ENV OLD some words
        LABEL one=1 "two words"="a\\"b"
        LABEL version=$A
        MAINTAINER Ann
        RUN env | sort >/env
        """,
        "--label", "given=yes", "--label", "one=uno",
    )  # fmt: skip
    config = project.config(image)
    env = dict(word.split("=", 1) for word in config["Env"])
    assert (env["A"], env["B"], env["C"], env["D"]) == ("2", "two words", "", "1")
    assert env["OLD"] == "some words"
    labels = config["Labels"]
    assert labels == {"one": "uno", "two words": 'a"b', "version": "2", "given": "yes"}
    assert project.rl.inspect(image)["Author"] == "Ann"
    assert "B=two words" in project.inside(image, "cat /env")


def test_variables_are_expanded_with_all_their_forms(project: Project) -> None:
    text = """
        ARG V=value.tar.gz EMPTY=
        ENV A=${V:-x} B=${EMPTY:-default} C=${V:+set} D=${V#*.} E=${V%.*} F=${V/tar/zip}
        ENV G='$V' H=\\$V
    """
    env = dict(w.split("=", 1) for w in project.config(project.build(text))["Env"])
    assert [env[name] for name in "ABCDEFGH"] == [
        "value.tar.gz", "default", "set", "tar.gz", "value.tar", "value.zip.gz", "$V", "$V",
    ]  # fmt: skip


def test_required_variable_fails_with_its_text(project: Project) -> None:
    err = project.fails("ENV A=${NAME:?no name given}\n")
    assert "no name given" in err and "Dockerfile:2" in err


def test_arg_is_for_run_and_not_in_the_image(project: Project) -> None:
    image = project.build(
        "ARG A=default\nARG B\nRUN echo $A $B $HTTP_PROXY >/note\n",
        "--build-arg", "B=given", "--build-arg", "HTTP_PROXY=http://proxy:1",
    )  # fmt: skip
    assert project.inside(image, "cat /note") == "default given http://proxy:1"
    assert not [w for w in project.config(image)["Env"] if not w.startswith("PATH=")]


def test_unknown_build_argument_is_a_warning(project: Project) -> None:
    project.dockerfile("RUN true\n")
    done = project.run("--build-arg", "NOBODY=1")
    assert "NOBODY" in done.stderr


def test_predefined_platform_arguments(project: Project) -> None:
    text = "ARG TARGETPLATFORM TARGETARCH BUILDOS\nRUN echo $TARGETPLATFORM $BUILDOS >/note\n"
    assert project.script(text, "cat /note").startswith("linux/")


def test_workdir_is_made_and_relative_to_the_last(project: Project) -> None:
    image = project.build("WORKDIR /a/b\nWORKDIR c\nENV D=d\nWORKDIR $D\nRUN pwd >/note\n")
    assert project.config(image)["WorkingDir"] == "/a/b/c/d"
    assert project.inside(image, "cat /note; ls -d /a/b/c/d") == "/a/b/c/d\n/a/b/c/d"


def test_user_runs_steps_and_containers(project: Project) -> None:
    text = """
        RUN echo 'ann:x:1000:1000::/home/ann:/bin/sh' >>/etc/passwd && chmod 777 /tmp
        USER ann
        RUN id -u >/tmp/who && echo $HOME >>/tmp/who
    """
    image = project.build(text)
    assert project.config(image)["User"] == "ann"
    assert project.inside(image, "id -u; cat /tmp/who; stat -c %u /tmp/who").split() == [
        "1000", "1000", "/home/ann", "1000",
    ]  # fmt: skip


def test_cmd_entrypoint_shell_stopsignal_expose_and_volume(project: Project) -> None:
    image = project.build("""
        SHELL ["/bin/sh", "-ec"]
        CMD echo hello
        ENTRYPOINT ["/bin/echo", "entry"]
        CMD ["from", "cmd"]
        STOPSIGNAL SIGUSR1
        EXPOSE 80 53/udp 8000-8002
        VOLUME /data /more
        VOLUME ["/with space"]
    """)
    config = project.config(image)
    assert config["Shell"] == ["/bin/sh", "-ec"]
    assert config["Entrypoint"] == ["/bin/echo", "entry"] and config["Cmd"] == ["from", "cmd"]
    assert config["StopSignal"] == "SIGUSR1"
    assert set(config["ExposedPorts"]) == {
        "80/tcp", "53/udp", "8000/tcp", "8001/tcp", "8002/tcp",
    }  # fmt: skip
    assert "/with space" in config["Volumes"] and "/data" in config["Volumes"]
    assert project.rl.out("run", "--rm", "--network", "none", image) == "entry from cmd"


def test_shell_form_commands_use_the_shell(project: Project) -> None:
    image = project.build('SHELL ["/bin/sh", "-ec"]\nCMD echo $HOME\n')
    assert project.config(image)["Cmd"] == ["/bin/sh", "-ec", "echo $HOME"]
    assert project.rl.out("run", "--rm", "--network", "none", image) == "/root"


def test_entrypoint_takes_the_base_images_cmd_away(project: Project) -> None:
    image = project.build('FROM busybox AS a\nCMD ["base"]\nFROM a\nENTRYPOINT ["/bin/echo"]\n')
    assert not project.config(image)["Cmd"]


def test_healthcheck(project: Project) -> None:
    image = project.build(
        "HEALTHCHECK --interval=5s --timeout=1m --start-period=2s --retries=4 CMD true\n"
    )
    check = project.config(image)["Healthcheck"]
    assert check["Test"] == ["CMD-SHELL", "true"] and check["Retries"] == 4
    assert (check["Interval"], check["Timeout"]) == (5 * 10**9, 60 * 10**9)
    image = project.build("HEALTHCHECK NONE\n")
    assert project.config(image)["Healthcheck"]["Test"] == ["NONE"]


def test_onbuild_runs_in_the_next_build(project: Project) -> None:
    rl = project.rl
    base = f"{rl.name('onbuild')}:1"
    image = project.build("ONBUILD COPY note /\nONBUILD RUN echo more >>/note\n", "-t", base)
    assert project.config(image)["OnBuild"] == ["COPY note /", "RUN echo more >>/note"]
    project.write({"note": "text\n"})
    assert project.script(f"FROM {base}\n", "cat /note") == "text\nmore"
    rl.run("rmi", "-f", base)


def test_escape_directive_and_comments(project: Project) -> None:
    text = "# escape=`\n# a comment\nFROM busybox\nRUN echo 'a`\n  b' >/note\n"
    assert project.script(text, "cat /note") == "a  b"


def test_syntax_directive_is_accepted_and_never_fetched(project: Project) -> None:
    text = "# syntax=docker/dockerfile:1.7-labs\nFROM busybox\nRUN echo yes >/note\n"
    assert project.script(text, "cat /note") == "yes"


def test_history_and_config_are_what_docker_would_write(project: Project) -> None:
    project.write({"a": "a"})
    image = project.build('ENV A=1\nCOPY a /\nRUN true\nCMD ["sh"]\n')
    value = image.partition(":")[2]
    with open(f"{project.rl.store}/blobs/sha256/{value}") as file:
        document = json.load(file)
    added = [h for h in document["history"] if h.get("comment") == "buildkit.dockerfile.v0"]
    assert [bool(h.get("empty_layer")) for h in added[-4:]] == [True, False, False, True]
    assert [h["created_by"].split(" ")[0] for h in added[-4:]] == ["ENV", "COPY", "RUN", "CMD"]
    layers = [h for h in document["history"] if not h.get("empty_layer")]
    assert len(layers) == len(document["rootfs"]["diff_ids"])
