"""COPY, ADD and .dockerignore."""

import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator

import pytest
from support.builds import Project

LIST = "find /out | sort"


def test_files_directories_and_wildcards(project: Project) -> None:
    project.write({"a.txt": "a", "b.txt": "b", "c.md": "c", "d/e": "e", "d/f/g": "g", "x y": "s"})
    text = """
        COPY a.txt /out/renamed
        COPY *.txt d /out/many/
        COPY d /out/dir
        COPY ["x y", "/out/with space"]
        COPY [c].m? /out/
    """
    assert project.script(text, LIST).split("\n") == [
        "/out", "/out/c.md", "/out/dir", "/out/dir/e", "/out/dir/f", "/out/dir/f/g", "/out/many",
        "/out/many/a.txt", "/out/many/b.txt", "/out/many/e", "/out/many/f", "/out/many/f/g",
        "/out/renamed", "/out/with space",
    ]  # fmt: skip


def test_destination_is_relative_to_workdir_and_follows_links_inside(project: Project) -> None:
    project.write({"a": "a", "b": "b"})
    text = """
        WORKDIR /w
        RUN mkdir /real && ln -s /real link && ln -s /../../real up
        COPY a ./
        COPY a link/
        COPY b up/b
    """
    assert project.script(text, "cat /w/a /real/a /real/b; readlink /w/link") == "aab/real"


def test_modes_and_links_of_the_context_are_kept(project: Project) -> None:
    project.write({"run": "#!/bin/sh\necho ran\n", "d/link": "-> ../run", "d/dead": "-> /nowhere"})
    os.chmod(f"{project.directory}/run", 0o751)
    shown = project.script(
        "COPY . /out\n",
        "/out/run; stat -c %a:%u /out/run; readlink /out/d/dead; readlink /out/d/link",
    )
    assert shown.split() == ["ran", "751:0", "/nowhere", "../run"]


@pytest.mark.needs("subids")
def test_chown_and_chmod(project: Project) -> None:
    project.write({"a": "a", "d/b": "b"})
    text = """
        RUN echo ann:x:1000:1001::/:/bin/sh >>/etc/passwd && echo staff:x:50: >>/etc/group
        COPY --chown=ann a /out/1
        COPY --chown=ann:staff a /out/2
        COPY --chown=7:8 --chmod=640 a /out/3
        COPY --chmod=u=rwX,go=rX d /out/4
        COPY --chown=9 a /out/5
    """
    shown = project.script(text, "cd /out; stat -c %u:%g:%a 1 2 3 4 4/b 5")
    assert shown.split() == [
        "1000:1001:644", "1000:50:644", "7:8:640", "0:0:755", "0:0:644", "9:9:644",
    ]  # fmt: skip


def test_from_a_stage_an_image_and_a_named_context(project: Project) -> None:
    project.write({"../other/f": "named"})
    text = """
        FROM busybox AS one
        RUN echo one >/note
        FROM busybox
        COPY --from=one /note /out/1
        COPY --from=0 /note /out/2
        COPY --from=busybox:latest /bin/busybox /out/3
        COPY --from=other f /out/4
    """
    other = os.path.normpath(f"{project.directory}/../other")
    image = project.build(text, "--build-context", f"other={other}")
    assert project.inside(image, "cat /out/1 /out/2 /out/4; test -x /out/3 && echo x").split() == [
        "one", "one", "namedx",
    ]  # fmt: skip


def test_parents_and_exclude(project: Project) -> None:
    project.write({"a/b/c.txt": "c", "a/b/d.md": "d", "x/./y": "y"})
    text = """
        COPY --parents a/b/c.txt /out/1/
        COPY --parents a/./b/*.md /out/2/
        COPY --exclude=*.md --exclude=x a/b /out/3/
    """
    shown = project.script(text, "cd /out; find . -type f | sort")
    assert shown.split() == ["./1/a/b/c.txt", "./2/b/d.md", "./3/c.txt"]


def test_heredocs(project: Project) -> None:
    text = """
        ARG NAME=ann
        COPY <<EOF <<'RAW' /out/
        hello $NAME
        EOF
        raw $NAME
        RAW
        COPY --chmod=755 <<script.sh /out/run
        #!/bin/sh
        echo ran
        script.sh
        ADD <<EOF /out/added
        added
        EOF
    """
    shown = project.script(text, "cat /out/EOF /out/RAW /out/added; /out/run")
    assert shown.splitlines() == ["hello ann", "raw $NAME", "added", "ran"]


def test_several_sources_for_one_file_are_noted(project: Project) -> None:
    project.write({"a.jar": "a", "b.jar": "b"})
    project.dockerfile("COPY *.jar /app.jar\nCOPY *.jar /bin\n")
    said = project.run("--no-cache").stderr
    assert said.count("several sources went to") == 1, said
    assert "several sources went to /app.jar, and the last one is there" in said


def test_link_layer_does_not_depend_on_what_is_below(project: Project) -> None:
    project.write({"a": "a"})
    layers = []
    for word in ("one", "two"):
        image = project.build(f"RUN mkdir /out; echo {word} >/note\nCOPY --link a /out/a\n")
        layers.append(project.rl.inspect(image)["RootFS"]["Layers"])
        assert project.inside(image, "cat /out/a /note") == f"a{word}"
    assert layers[0][-1] == layers[1][-1] and layers[0][-2] != layers[1][-2]


def make_tar(mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, text in (("in/a", b"a"), ("in/b", b"b")):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return out.getvalue()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_add_unpacks_local_archives_and_copy_does_not(project: Project, mode: str) -> None:
    project.write({"x.tar": make_tar(mode)})
    text = "ADD x.tar /out/added/\nCOPY x.tar /out/\nADD --unpack=false x.tar /out/as-is\n"
    assert project.script(text, "cat /out/added/in/*; ls /out").split() == [
        "abadded", "as-is", "x.tar",
    ]  # fmt: skip


def test_replacing_a_file_by_a_directory_or_the_other_way_is_refused(project: Project) -> None:
    project.write({"d/x": "x", "f": "f"})
    project.fails("RUN mkdir -p /out/f\nCOPY d/x /out/f/x\nCOPY d /out/f/x\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("COPY nothing /\n", 2),
        ("RUN true\nCOPY a nothing /\n", 3),
        ("COPY ../secret /\n", 2),
        ("COPY --from=nowhere:1 /a /\n", 2),
        ("COPY --chown=nobody-here a /\n", 2),
        ("COPY ignored /\n", 2),
    ],
)
def test_missing_or_bad_source_names_its_line(project: Project, text: str, line: int) -> None:
    project.write({"a": "a", "b": "b", "ignored": "", ".dockerignore": "ignored\n"})
    project.write({"../secret": "outside"})
    err = project.fails(text)
    assert f"Dockerfile:{line}" in err and ">>>" in err


def test_nothing_leads_out_of_the_context(project: Project) -> None:
    project.write({"../secret": "outside", "link": "-> ../secret", "conf": "-> /etc", "a": "a"})
    project.write({"d/up": "-> ../../secret", "loop": "-> loop", "d/b": "b"})
    sources = ["../secret", "d/../../secret", "link", "d/up", "conf", "conf/passwd", "loop"]
    for source in [*sources, "--parents d/../../secret"]:
        err = project.fails(f"COPY {source} /out/\n", code="RL-BUILD-ESCAPE")
        assert "Dockerfile:2" in err and "DONE" not in err
    for source in ("../secret", "link", "conf"):
        text = f"RUN --mount=source={source},target=/x ls -R /x\n"
        assert "Dockerfile:2" in project.fails(text, code="RL-BUILD-ESCAPE")
    # Links as such are copied, and mean what they mean in the image.
    text = "COPY . /out\nCOPY conf/* /none/\nRUN --mount=target=/x ! cat /x/link 2>/dev/null\n"
    shown = project.script(text, "readlink /out/link; readlink /out/conf; ls /none; cat /out/d/b")
    assert shown == "../secret\n/etc\nb"


def test_dockerignore(project: Project) -> None:
    project.write(
        {
            ".dockerignore": "# comment\n*.log\n!keep.log\n**/tmp\nd/*\n!d/yes\n/Dockerfile\n",
            "a.log": "", "keep.log": "", "d/yes": "", "d/no": "", "e/tmp/x": "", "e/f.log": "",
        }
    )  # fmt: skip
    shown = project.script("COPY . /out\n", "cd /out; find . -type f | sort")
    assert shown.split() == ["./.dockerignore", "./d/yes", "./e/f.log", "./keep.log"]


def test_dockerignore_beside_another_dockerfile(project: Project) -> None:
    project.write({".dockerignore": "a\n", "x.Dockerfile.dockerignore": "b\n", "a": "", "b": ""})
    project.write({"x.Dockerfile": "FROM busybox\nCOPY . /out\n"})
    image = project.build("", "-f", f"{project.directory}/x.Dockerfile")
    assert "/out/b" not in project.inside(image, LIST)
    assert "/out/a" in project.inside(image, LIST)


@pytest.fixture
def web(project: Project) -> Iterator[str]:
    """The URL of a server of files in ../web."""
    directory = os.path.normpath(f"{project.directory}/../web")
    os.makedirs(directory)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=directory)  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_add_from_a_url_with_checksum(project: Project, web: str) -> None:
    project.write({"../web/file.txt": "remote\n"})
    digest = hashlib.sha256(b"remote\n").hexdigest()
    text = f"""
        ADD {web}/file.txt /out/
        ADD --checksum=sha256:{digest} --chmod=600 {web}/file.txt /out/renamed
    """
    assert project.script(text, "cat /out/*; stat -c %a /out/*").split() == [
        "remote", "remote", "600", "600",
    ]  # fmt: skip
    err = project.fails(f"ADD --checksum=sha256:{'0' * 64} {web}/file.txt /\n")
    assert "Dockerfile:2" in err
    for missing in ("missing", os.fsdecode(b"not-utf-8-\xff")):
        err = project.fails(f"ADD {web}/{missing} /\n")
        assert "Dockerfile:2" in err and "[RL-BUILD-DOWNLOAD]" in err


@pytest.mark.needs("git")
def test_add_from_git(project: Project, web: str) -> None:
    source = os.path.normpath(f"{project.directory}/../source")
    project.write({"../source/sub/f": "from git\n"})
    run = {"cwd": source, "check": True, "capture_output": True}
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *words], **run)  # type: ignore[call-overload]
    bare = os.path.normpath(f"{project.directory}/../web/repo.git")
    subprocess.run(["git", "clone", "-q", "--bare", source, bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    text = f"ADD {web}/repo.git#main:sub /out/\nADD --keep-git-dir {web}/repo.git /whole\n"
    assert project.script(text, "cat /out/f; ls -a /whole").split() == [
        "from", "git", ".", "..", ".git", "sub",
    ]  # fmt: skip
