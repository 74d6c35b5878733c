"""The less usual forms of what a Dockerfile may say, many of them in one build."""

import os
import subprocess
import tarfile
from collections.abc import Callable

import pytest
from support.builds import Project, states
from support.images import Image
from support.program import Rl
from support.registry import Registry


def test_arguments_environment_and_expansion(project: Project) -> None:
    text = r"""
        ARG GLOBAL=glob
        FROM --platform=$BUILDPLATFORM busybox AS first
        ARG GLOBAL
        ARG BUILDPLATFORM BUILDOS BUILDARCH TARGETPLATFORM TARGETOS TARGETARCH TARGETSTAGE
        ARG BUILDVARIANT BUILDOSVERSION TARGETVARIANT TARGETOSVERSION
        ARG LOCAL=local-$GLOBAL
        ENV X=env
        RUN echo "$GLOBAL|$LOCAL|$TARGETSTAGE" >/args
        RUN [ $BUILDPLATFORM = $BUILDOS/$BUILDARCH ] && [ $TARGETPLATFORM = $TARGETOS/$TARGETARCH ]
        RUN [ "$BUILDVARIANT$BUILDOSVERSION" = "$TARGETVARIANT$TARGETOSVERSION" ]
        ENV V=foo.tar.gz E="" P=/a/b/c/b
        ENV A=${V##*.} B=${V%%.*} C=${P//b/X} D=${P/b/X} F=${N-dash} G=${E-dash} H=${E:-colon}
        ENV I=${E+plus} J=${N+plus} K=${E?no} L=${V#f?o} M=${V%.*} O=${N:-${V:-x}} Q="${N:-a b}"
        ENV R='${V}' S=\${V} T=a\ b
        FROM first AS second
        RUN echo "again $GLOBAL $LOCAL $X" >>/args
        FROM busybox
        COPY --from=1 /args /args
        RUN echo "[$GLOBAL$LOCAL$X$V]" >>/args
    """
    names = "ABCDFGHIJKLMOQRST"
    assert project.script(text, "cat /args", "--build-arg", "GLOBAL=given").splitlines() == [
        "given|local-given|default", "again given local-given env", "[]",
    ]  # fmt: skip
    image = project.build("", "--target", "first")
    env = dict(word.split("=", 1) for word in project.config(image)["Env"])
    assert [env[name] for name in names] == [
        "gz", "foo", "/a/X/c/X", "/a/X/c/b", "dash", "", "colon", "plus", "", "", ".tar.gz",
        "foo.tar", "foo.tar.gz", "a b", "${V}", "${V}", "a b",
    ]  # fmt: skip
    assert project.inside(image, "cat /args") == "glob|local-glob|first"


def test_heredocs_in_every_place(project: Project) -> None:
    text = """
        ARG NAME=ann
        COPY <<-"EOF" <<two.txt /here/
        \tno $NAME
        \t\ttabs
        EOF
        with ${NAME:-x} and \\$NAME
        two.txt
        ADD --chmod=u+x,g-r <<EOF /here/mode
        x
        EOF
        RUN <<ONE cat >/three && <<TWO cat -n >>/three
        one
        ONE
        two
        TWO
        RUN <<'EOF'
        #!/bin/sh -e
        echo "script $NAME" >/four
        false || true
        EOF
    """
    shown = project.script(text, "cd /here; cat EOF two.txt /three /four; stat -c %a mode")
    assert shown.splitlines() == [
        "no $NAME", "tabs", "with ann and $NAME", "one", "     1\ttwo", "script ann", "704",
    ]  # fmt: skip


def test_mounts_with_all_their_options(project: Project) -> None:
    name = project.rl.name("mounts")
    project.write({"src/a": "context\n", "../secret": "word"})
    text = f"""
        FROM busybox AS one
        RUN mkdir -p /d/e && echo stage >/d/e/f && chmod 640 /d/e/f
        FROM busybox
        RUN --mount=src=src,dst=/s,readonly \\
            --mount=type=bind,from=one,source=/d/e,destination=/b,ro \\
            cat /s/a /b/f >/1; ! touch /s/x /b/x 2>/dev/null
        RUN --mount=type=bind,from=0,target=/b,readwrite rm /b/d/e/f && ! ls /b/d/e/f 2>/dev/null
        RUN --mount=type=bind,from=one,target=/b cat /b/d/e/f >/2
        RUN --mount=type=cache,id={name},dst=/c,from=one,source=/d,sharing=locked \\
            cat /c/e/f >/3; echo more >/c/more
        RUN --mount=type=cache,id={name},target=/c,from=one,src=/d,ro \\
            ls /c >/4; ! touch /c/x 2>/dev/null
        RUN --mount=type=cache,id={name}-m,target=/c,mode=0750,sharing=private \\
            stat -c %a:%u:%g /c >/5
        RUN --mount=type=cache,id={name}-m,target=/c,sharing=shared stat -c %a /c >>/5
        RUN --mount=type=tmpfs,destination=/t,size=65536 \\
            ! head -c 100000 /dev/zero 2>/dev/null >/t/f; stat -c %s /t/f >/6
        RUN --mount=type=secret,id=word,dst=/w/ord,mode=0404,gid=0 stat -c %a /w/ord >/7
        RUN --mount=type=secret,id=word,env=A --mount=type=secret,id=word,target=/a,env=B \\
            [ "$A$B$(cat /a)" = wordwordword ]
        RUN --mount=type=secret,target=/x/word cat /x/word | wc -c >/8
    """
    path = os.path.normpath(f"{project.directory}/../secret")
    shown = project.script(text, "cat /[1-8]; ls -d /s /b /c /t /w /x", "--secret",
                           f"id=word,src={path}")  # fmt: skip
    assert shown.split() == [
        "context", "stage", "stage", "stage", "e", "more", "750:0:0", "750", "65536", "404", "4",
    ]  # fmt: skip


def test_metadata_of_the_image(project: Project) -> None:
    image = project.build("""
        USER 5:6
        WORKDIR /made
        RUN id -u >/made/ids && id -g >>/made/ids && stat -c %u:%g /made >>/made/ids
        USER :7
        HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --start-interval=2s \\
            --retries=3 CMD ["a", "b c"]
        STOPSIGNAL 9
        VOLUME ["/v1", "/v 2"]
        VOLUME /v3 /v4
        EXPOSE 80 81/tcp 90-92/udp
        ENTRYPOINT exec top
        LABEL a.b="c d" e=f \\
              g="h\\
        i"
    """)
    config = project.config(image)
    assert config["User"] == ":7"
    assert config["Healthcheck"] == {
        "Test": ["CMD", "a", "b c"], "Interval": 90 * 10**9, "Timeout": 5 * 10**8,
        "StartPeriod": 3600 * 10**9, "StartInterval": 2 * 10**9, "Retries": 3,
    }  # fmt: skip
    assert config["StopSignal"] == "9" and config["Entrypoint"] == ["/bin/sh", "-c", "exec top"]
    assert set(config["Volumes"]) == {"/v1", "/v 2", "/v3", "/v4"}
    assert set(config["ExposedPorts"]) == {"80/tcp", "81/tcp", "90/udp", "91/udp", "92/udp"}
    assert config["Labels"] == {"a.b": "c d", "e": "f", "g": "hi"}
    assert project.inside(image, "cat /made/ids").split() == ["5", "6", "5:6"]


def test_steps_that_change_nothing_are_one_layer(project: Project, tmp_path: object) -> None:
    text = "RUN true\nRUN true\nRUN true\nRUN echo a >/a\nRUN rm /a\nRUN echo b >/a\n"
    image = project.build(text)
    layers = project.rl.inspect(image)["RootFS"]["Layers"]
    assert layers[-6] == layers[-5] == layers[-4]
    assert project.inside(image, "cat /a") == "b"
    assert project.inside(project.build("", "--squash"), "cat /a") == "b"
    project.run("-o", f"{tmp_path}/out")
    with open(f"{tmp_path}/out/a") as file:
        assert file.read() == "b\n"


def test_networks_of_the_build(project: Project) -> None:
    project.network = []
    name = f"RUN echo {project.rl.name()} && ls -l /proc/self/ns/net"
    host = os.readlink("/proc/self/ns/net")
    project.dockerfile(f"{name}\nRUN --network=none ls -l /proc/self/ns/net\n")
    shown = project.run("--network", "host", "--allow", "network.host").stderr
    assert shown.count(host) == 1, shown  # --network of the step goes before
    project.dockerfile(f"RUN echo 2\n{name}\nRUN --network=host ls -l /proc/self/ns/net\n")
    shown = project.run("--network", "none").stderr
    assert shown.count(host) == 1, shown


def test_rights_and_devices_of_a_step(project: Project) -> None:
    project.build("RUN --security=sandbox --device=vendor.example/none true\n")
    err = project.fails("RUN --security=insecure true\n", code="RL-NEEDS-ROOT")
    assert "Dockerfile:2" in err
    project.fails("RUN --device=vendor.example/none,required true\n", code="RL-NOT-YET")


def test_build_arguments_for_the_builder(project: Project) -> None:
    """Those that BuildKit has built in: no ARG declares them, and no step sees them."""
    project.dockerfile(f"""
        # syntax=docker/dockerfile:1
        FROM busybox
        RUN --mount=type=cache,id={project.rl.name()},target=/c \\
            cp /c/place /before 2>/dev/null; hostname >/c/place; env >/environment
        RUN cat /before >>/hosts 2>/dev/null; hostname >>/hosts
    """)

    def hosts(*given: str) -> list[str]:
        words = [word for one in given for word in ("--build-arg", f"BUILDKIT_{one}")]
        return project.inside(project.build("", *words), "cat /hosts").split()

    assert hosts() == ["buildkitsandbox"]
    assert hosts("SANDBOX_HOSTNAME=one") == ["buildkitsandbox", "one"]
    assert hosts("SANDBOX_HOSTNAME=one", "CACHE_MOUNT_NS=apart") == ["one"]
    assert hosts("SANDBOX_HOSTNAME=two", "CACHE_MOUNT_NS=apart") == ["one", "two"]
    words = ["--build-arg", "BUILDKIT_SYNTAX=docker/dockerfile:1.99", "--build-arg", "BUILD=1"]
    said = project.run(*words).stderr
    assert "asks for syntax 1.99" in said and "build arguments: BUILD\n" in said


def test_proxies_reach_the_steps_and_no_key_and_no_image(project: Project) -> None:
    upper = [f"{word}_PROXY" for word in ("ALL", "FTP", "HTTP", "HTTPS", "NO")]
    names = sorted((*upper, *map(str.lower, upper)))

    def given(value: str) -> list[str]:
        return [word for name in names for word in ("--build-arg", f"{name}={name}-{value}")]

    step = f"RUN env | grep -i _proxy= | LC_ALL=C sort >/proxies; echo {project.rl.name()}"
    image = project.build(f"{step}\n", *given("one"))
    shown = project.inside(image, "cat /proxies").split()
    assert shown == [f"{name}={name}-one" for name in names]
    document = project.rl.out("history", "--no-trunc", image) + str(project.config(image))
    assert "-one" not in document
    assert set(states(project.run(*given("two"))).values()) == {"CACHED"}
    # Declared, they are arguments like any other.
    image = project.build(f"ARG HTTP_PROXY\n{step}\n", *given("two"))
    assert "HTTP_PROXY-two" in project.inside(image, "cat /proxies")
    assert "HTTP_PROXY-two" in project.rl.out("history", "--no-trunc", image)
    changed = [*given("two"), "--build-arg", "HTTP_PROXY=three"]
    assert set(states(project.run(*changed)).values()) == {"DONE"}


def test_base_by_digest_and_sources_as_json(
    project: Project, busybox_reference: str, rl: Rl
) -> None:
    rl.run("pull", busybox_reference)
    digest = rl.inspect(busybox_reference)["RepoDigests"][0]
    project.write({"with space": "a", "[b]": "b"})
    text = f"""
        FROM {digest}
        ADD ["with space", "[[]b]", "/to here/"]
        ADD --chmod=600 ["with space", "/to here/too"]
    """
    shown = project.script(text, "cd '/to here'; cat *; stat -c %a too")
    assert shown == "ba" + "a600"
    rl.run("rmi", "-f", busybox_reference)


def test_pull_asks_for_a_newer_base(project: Project, registry: Registry, rl: Rl) -> None:
    def push(number: int) -> str:
        from support.images import busybox_tar

        image = Image([busybox_tar()], {"Env": [f"NUMBER={number}", "PATH=/bin"]})
        return registry.push("test/newer", image)

    reference = push(1)
    project.dockerfile(f"FROM {reference}\nRUN echo $NUMBER >/number\n")
    assert project.inside(project.build(), "cat /number") == "1"
    push(2)
    assert project.inside(project.build(), "cat /number") == "1"
    assert project.inside(project.build("", "--pull"), "cat /number") == "2"
    assert "load metadata for" in project.run("--pull").stderr
    rl.run("rmi", "-f", reference)


def test_platform_of_another_machine(project: Project) -> None:
    text = """
        FROM --platform=$BUILDPLATFORM busybox AS tools
        ARG TARGETOS TARGETARCH TARGETVARIANT
        RUN echo $TARGETOS $TARGETARCH $TARGETVARIANT >/for
        FROM scratch
        COPY --from=tools /for /
    """
    image = project.build(text, "--platform", "linux/arm/v7")
    found = project.rl.inspect(image)
    assert (found["Os"], found["Architecture"], found["Variant"]) == ("linux", "arm", "v7")
    project.run("--platform", "linux/arm/v7", "-o", f"{project.directory}/out")
    with open(f"{project.directory}/out/for") as file:
        assert file.read() == "linux arm v7\n"


def test_copies_with_all_their_options(project: Project) -> None:
    project.write(
        {
            "a/b/one.txt": "1", "a/b/two.md": "2", "a/c/one.txt": "3", "run": "#!/bin/sh\n",
            "list": "one\n", "link": "-> a/b/one.txt", "dirlink": "-> a/b",
        }
    )  # fmt: skip
    text = """
        FROM busybox AS from
        RUN mkdir -p /x/y/z /x/w && echo f >/x/y/z/f && ln -s ../y/z /x/w/link
        FROM busybox
        COPY --parents --exclude=**/*.md ./a/./**/* /out/1/
        COPY --from=from --parents /x/./y/z/f /out/2/
        COPY --from=from /x/w/link /out/3/
        COPY --from=from /x/w /out/4/
        COPY --chmod=a=r,u+w --chown=0:0 --exclude=b a /out/5
        COPY --link --chmod=4755 run /out/6
        COPY link dirlink /out/7/
        ADD --link --exclude=*.txt a/b /out/8/
        COPY ["list", "/out/with [brackets]/"]
        COPY [l]ist* /out/
        WORKDIR /out
        COPY list .
        COPY list ./9/..//10
    """
    shown = project.script(
        text,
        "cd /out; find . -type f | sort; readlink 4/link; stat -c %a 5 5/c 5/c/one.txt 6",
    )
    assert shown.splitlines() == [
        "./1/b/one.txt", "./1/c/one.txt", "./10", "./2/y/z/f", "./3/f", "./5/c/one.txt", "./6",
        "./7/link", "./7/one.txt", "./7/two.md", "./8/two.md", "./list", "./with [brackets]/list",
        "../y/z", "755", "644", "644", "4755",
    ]  # fmt: skip


@pytest.mark.needs("zstd")
def test_archives_of_zstd_and_onto_links(project: Project) -> None:
    project.write({"in/d/f": "zstd\n"})
    subprocess.run(
        ["tar", "--zstd", "-cf", "x.tar.zst", "-C", "in", "d"], cwd=project.directory, check=True
    )
    text = """
        RUN mkdir /real /d2 && touch /real/x && ln -s real /d && ln -s real /l
        ADD x.tar.zst /
        ADD x.tar.zst in /both/
        ADD x.tar.zst /l/
    """
    # As Docker: a link in the archive's way is replaced, one above is followed.
    shown = project.script(text, "cat /d/f; ls /d /real; find /both -type f; readlink /l")
    assert shown.split() == ["zstd", "/d:", "f", "/real:", "d", "x", "/both/d/f", "real"]


def test_onbuild_of_a_stage_and_every_instruction(project: Project) -> None:
    text = """
        FROM busybox AS base
        ONBUILD ARG WHO=nobody
        ONBUILD ENV NAME=$WHO
        ONBUILD RUN echo $NAME >/name
        ONBUILD WORKDIR /there
        ONBUILD CMD ["cat", "/name"]
        RUN test ! -e /name
        FROM base
        RUN pwd >>/name
    """
    image = project.build(text, "--build-arg", "WHO=ann")
    assert project.rl.out("run", "--rm", "--network", "none", image).split() == ["ann", "/there"]
    assert not project.config(image)["OnBuild"]


def test_directives_and_odd_bytes(project: Project) -> None:
    text = (
        b"\xef\xbb\xbf# syntax=docker/dockerfile:1.7-labs\r\n# check=skip=all\r\n# escape=`\r\n"
        b"FROM busybox\r\n\r\n  # a comment\r\nrun echo one `\r\n# between\r\n\r\n  two >/a\r\n"
        b"RUN echo caf\xe9 >/b; echo 'C:\\x' >>/a\r\n"
    )
    project.write({"Dockerfile": text})
    image = project.build()
    assert project.inside(image, "cat /a").splitlines() == ["one two", "C:\\x"]
    assert project.inside(image, "wc -c </b") in ("5", "6")


def test_what_an_exported_archive_says(
    project: Project, fresh_store: Callable[..., Rl], tmp_path: object
) -> None:
    """Every form of the output that keeps an image can be loaded and run."""
    project.dockerfile('RUN echo exported >/f\nCMD ["cat", "/f"]\n')
    for kind in ("oci", "docker"):
        path = f"{tmp_path}/{kind}.tar"
        project.run("-o", f"type={kind},dest={path},name=exported:1")
        other = fresh_store()
        other.run("load", "-i", path)
        assert other.out("run", "--rm", "--network", "none", "exported:1") == "exported"
    layout = f"{tmp_path}/layout"
    project.run("-o", f"type=oci,tar=false,dest={layout},rewrite-timestamp=true")
    project.run("-o", f"type=docker,tar=false,dest={layout}-docker")
    assert os.path.exists(f"{layout}-docker/manifest.json")
    kept = project.rl.name("kept")
    project.run("-o", f"type=image,name={kept},unpack=true,store=true,push=false")
    assert project.inside(kept, "cat /f") == "exported"
    project.rl.run("rmi", kept)
    done = subprocess.run(
        ["skopeo", "inspect", f"oci:{layout}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and '"Layers"' in done.stdout, done.stderr
    project.run("-o", f"type=tar,dest={tmp_path}/fs.tar", "-o", f"type=local,dest={tmp_path}/fs")
    with tarfile.open(f"{tmp_path}/fs.tar") as archive:
        assert {"f", "bin/busybox"} <= {name.removeprefix("./") for name in archive.getnames()}
    assert os.path.exists(f"{tmp_path}/fs/bin/busybox")


def test_cached_steps_do_not_wait_for_others(project: Project) -> None:
    """Stages share what they begin with: it is done once, and both take it."""
    text = f"""
        FROM busybox AS base
        RUN echo {project.rl.name()} >/once
        FROM base AS one
        RUN cat /once >/one
        FROM base AS two
        RUN cat /once >/two
        FROM busybox
        COPY --from=one /one /
        COPY --from=two /two /
    """
    project.dockerfile(text)
    done = project.run("--no-cache")
    assert done.stderr.count(">/once\n") == 1, done.stderr
    assert set(states(project.run()).values()) <= {"CACHED", "DONE"}
