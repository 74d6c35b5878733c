"""Where the context and the Dockerfile come from."""

import base64
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.builds import Project
from support.program import Rl

BUILD = ["build", "--network", "none", "-q"]


def archive(files: dict[str, str], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


FILES = {"Dockerfile": "FROM busybox\nCOPY a /note\n", "a": "in the archive"}


def shown(rl: Rl, image: str) -> str:
    return rl.out("run", "--rm", "--network", "none", image, "cat", "/note")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archive_on_standard_input(rl: Rl, tmp_path: object, mode: str) -> None:
    path = f"{tmp_path}/context.tar"
    with open(path, "wb") as file:
        file.write(archive(FILES, mode))
    with open(path, "rb") as file:
        image = rl.out(*BUILD, "-", stdin=file)
    assert shown(rl, image) == "in the archive"


def test_dockerfile_alone_on_standard_input(rl: Rl) -> None:
    image = rl.out(*BUILD, "-", input="FROM busybox\nRUN echo alone >/note\n")
    assert shown(rl, image) == "alone"


def test_dockerfile_on_standard_input_with_a_directory(project: Project, rl: Rl) -> None:
    project.write({"a": "from the directory"})
    image = rl.out(*BUILD, "-f", "-", project.directory, input=FILES["Dockerfile"])
    assert shown(rl, image) == "from the directory"


def test_dockerfile_elsewhere_and_of_another_name(project: Project, rl: Rl) -> None:
    project.write({"a": "a", "sub/Other": "FROM busybox\nCOPY a /note\n"})
    image = rl.out(*BUILD, "-f", f"{project.directory}/sub/Other", project.directory)
    assert shown(rl, image) == "a"
    image = rl.out(*BUILD, "-f", "sub/Other", ".", cwd=project.directory)
    assert shown(rl, image) == "a"


@pytest.fixture
def web(project: Project) -> Iterator[str]:
    directory = os.path.normpath(f"{project.directory}/../web")
    os.makedirs(directory)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=directory)  # type: ignore[arg-type]

        def send_head(self) -> Any:
            if self.path.startswith("/private/"):
                token = base64.b64encode(b"x-access-token:t0ken").decode()
                if self.headers["Authorization"] not in (f"basic {token}", "Bearer abc"):
                    self.send_error(401)
                    return None
            if self.path == "/private/moved":  # to another host, which must not see the secret
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{self.server.server_port}/seen")
                self.end_headers()
                return None
            if self.path == "/seen":
                with open(f"{directory}/seen", "w") as file:
                    file.write(f"saw {self.headers['Authorization']}")
            return super().send_head()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_archive_from_a_url(project: Project, rl: Rl, web: str) -> None:
    project.write({"../web/c.tar.gz": archive(FILES, "w:gz")})
    assert shown(rl, rl.out(*BUILD, f"{web}/c.tar.gz")) == "in the archive"
    rl.fails(*BUILD, f"{web}/missing.tar.gz", status=1)


@pytest.mark.needs("git")
def test_git_repository_with_a_subdirectory(project: Project, rl: Rl, web: str) -> None:
    source = os.path.normpath(f"{project.directory}/../source")
    project.write({f"../source/sub/{name}": text for name, text in FILES.items()})
    run = {"cwd": source, "check": True, "capture_output": True}
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *words], **run)  # type: ignore[call-overload]
    bare = os.path.normpath(f"{project.directory}/../web/repo.git")
    subprocess.run(["git", "clone", "-q", "--bare", source, bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    assert shown(rl, rl.out(*BUILD, f"{web}/repo.git#main:sub")) == "in the archive"


def test_named_contexts_replace_images_and_stages(project: Project, rl: Rl) -> None:
    base = f"{rl.name('named')}:1"
    project.build("RUN echo base >/note\n", "-t", base)
    layout = os.path.normpath(f"{project.directory}/../layout")
    project.build("RUN echo layout >/note\n", "-o", f"type=oci,tar=false,dest={layout}", "--load")
    project.write({"../dir/f": "directory\n"})
    other = os.path.normpath(f"{project.directory}/../dir")
    project.dockerfile("FROM replaced\nCOPY --from=dir f /two\nCOPY --from=oci /note /three\n")
    image = project.build(
        "",
        "--build-context", f"replaced=docker-image://{base}",
        "--build-context", f"dir={other}",
        "--build-context", f"oci=oci-layout://{layout}",
    )  # fmt: skip
    assert project.inside(image, "cat /note /two /three").split() == [
        "base", "directory", "layout",
    ]  # fmt: skip
    rl.run("rmi", "-f", base)


def test_contexts_that_are_not_there(project: Project, rl: Rl, no_leftovers: None) -> None:
    rl.fails(*BUILD, f"{project.directory}/nowhere", status=1)
    rl.fails(*BUILD, project.directory, status=1)  # no Dockerfile in it
    project.dockerfile("COPY --from=x f /\n")
    rl.fails(*BUILD, "--build-context", "x=/nowhere", project.directory, status=1)
    rl.fails(*BUILD, "-", input="", status=1)
    rl.fails("build")
    rl.fails(*BUILD, "-f", "-", "-", input="x")


def test_base_image_is_pulled_when_it_is_missing(
    project: Project, rl: Rl, busybox_reference: str
) -> None:
    text = f"FROM {busybox_reference}\nRUN echo pulled >/note\n"
    assert project.script(text, "cat /note") == "pulled"
    rl.run("rmi", busybox_reference, check=False)
    err = project.fails(f"FROM {busybox_reference}-none\n")
    assert "Dockerfile:1" in err


@pytest.mark.needs("git")
@pytest.mark.parametrize(
    "secret", ["GIT_AUTH_TOKEN", "GIT_AUTH_HEADER.127.0.0.1", "GIT_AUTH_TOKEN.example.org"]
)
def test_private_git_repository(project: Project, web: str, rl: Rl, secret: str) -> None:
    project.write({"../source/Dockerfile": FILES["Dockerfile"], "../source/a": "private"})
    source = os.path.normpath(f"{project.directory}/../source")
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "x"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *words], cwd=source, check=True)
    bare = os.path.normpath(f"{project.directory}/../web/private/repo.git")
    subprocess.run(["git", "clone", "-q", "--bare", source, bare], check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, check=True)
    value = "Bearer abc" if "HEADER" in secret else "t0ken"
    words = ["--secret", f"id={secret},env=VALUE", f"{web}/private/repo.git"]
    env: dict[str, str | None] = {"VALUE": value}
    project.dockerfile(f"FROM busybox\nADD {web}/private/repo.git#main /repo\n")
    if "example" in secret:
        error = rl.fails(*BUILD, *words, code="RL-BUILD-GIT", status=1, env=env)
        assert "GIT_AUTH_TOKEN" in error
        return
    assert shown(rl, rl.out(*BUILD, *words, env=env)) == "private"
    image = rl.out(*BUILD, *words[:2], project.directory, env=env)
    assert project.inside(image, "cat /repo/a") == "private"


def test_private_files(project: Project, web: str, rl: Rl) -> None:
    project.write({"../web/private/c.tar": archive(FILES, "w"), "../web/private/f": "private"})
    project.dockerfile(f"ADD {web}/private/f /f\nADD {web}/private/moved /seen\n")
    host = web.partition("//")[2]
    env: dict[str, str | None] = {"VALUE": "abc", "HEADER": "Bearer abc", "OTHER": "no"}
    other = ["--secret", "id=HTTP_AUTH_TOKEN_example.org,env=OTHER"]
    assert "the server answers 401" in project.fails("", *other, env=env)
    for secret in (f"HTTP_AUTH_TOKEN_{host},env=VALUE", "HTTP_AUTH_HEADER_127.0.0.1,env=HEADER"):
        words = [*other, "--secret", f"id={secret}"]
        image = project.build("", "--no-cache", *words, env=env)
        assert project.inside(image, "cat /f; cat /seen") == "privatesaw None"
        assert shown(rl, rl.out(*BUILD, *words, f"{web}/private/c.tar", env=env))


def test_stage_from_a_directory_and_names_with_a_tag(project: Project, tmp_path: object) -> None:
    busybox = f"{tmp_path}/busybox"
    project.dockerfile("FROM busybox\n").run("-o", busybox)
    os.makedirs(f"{tmp_path}/files/sub")
    for name, text in (("note", "files"), ("sub/left", "out"), (".dockerignore", "sub/left\n")):
        with open(f"{tmp_path}/files/{name}", "w") as file:
            file.write(text)
    project.dockerfile("""
        FROM root
        COPY --from=files:latest . /files
        RUN ls -A /files /files/sub >/list
    """)
    image = project.build(
        "", "--build-context", f"root={busybox}", "--build-context", f"files={tmp_path}/files"
    )
    assert project.inside(image, "cat /list /files/note") == (
        "/files:\n.dockerignore\nnote\nsub\n\n/files/sub:\nfiles"
    )
    history = project.rl.out("history", "--format", "{{.CreatedBy}}", "--no-trunc", image)
    assert history.splitlines()[-1] == "COPY . / # buildkit"
