"""Builds of a user without subordinate IDs: the image says the owners that were asked for."""

import os
import tarfile
from collections.abc import Callable

import pytest
from support.builds import Project
from support.needs import SEARCH_PATH
from support.program import Rl

DOCKERFILE = """
    FROM busybox AS first
    COPY --chown=1000:50 src /app/src
    RUN echo more >>/app/src/a && chown 7 /app/src/a
    FROM busybox
    COPY --from=first /app /app
    ADD --chown=ann src /new
"""
Environment = dict[str, str | None]


@pytest.fixture
def one_id(fresh_store: Callable[..., Rl], tmp_path: object) -> tuple[Rl, Environment]:
    """rl on a host whose getsubids knows of no range, and the environment for it."""
    rl = fresh_store(busybox=True)
    with open(f"{tmp_path}/getsubids", "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod(f"{tmp_path}/getsubids", 0o755)
    for name in os.listdir(f"{rl.store}/cache"):  # what is known of the IDs
        os.unlink(f"{rl.store}/cache/{name}")
    return rl, {"PATH": f"{tmp_path}:{SEARCH_PATH}"}


def test_owners_are_in_what_leaves_the_store(
    one_id: tuple[Rl, Environment], tmp_path: object
) -> None:
    rl, env = one_id
    project = Project(rl, f"{tmp_path}/project").write({"src/a": "hello\n"})
    project.dockerfile(DOCKERFILE.replace("--chown=ann", "--chown=33"))
    project.run("-t", "built", env=env)
    project.run("--output", f"type=tar,dest={tmp_path}/out.tar", env=env)
    with tarfile.open(f"{tmp_path}/out.tar") as archive:
        found = {m.name.removeprefix("./"): (m.uid, m.gid) for m in archive}
    assert found["app"] == (0, 0)
    assert found["app/src"] == (1000, 50)
    assert found["app/src/a"] == (7, 0), "busybox gives the group that stat(2) shows"
    assert found["new"] == found["new/a"] == (33, 33)
    # In a container there is one ID only.
    shown = ["run", "--rm", "--network", "none", "built", "stat", "-c", "%u", "/app/src/a"]
    assert rl.out(*shown, env=env) == "0"
    assert rl.out(*shown[:-4], "cat", "/app/src/a", env=env) == "hello\nmore"


def test_names_are_looked_up_all_the_same(one_id: tuple[Rl, Environment], tmp_path: object) -> None:
    rl, env = one_id
    project = Project(rl, f"{tmp_path}/project").write({"src/a": "hello\n"})
    error = project.dockerfile(DOCKERFILE).run(status=1, env=env).stderr
    assert "has no ann" in error and "RL-BUILD-OWNER" in error


CHOWNS = """
    FROM busybox
    RUN mkdir -p /www/sub && echo a >/www/a && echo b >/www/sub/b && ln -s a /www/link \\
        && mkfifo /www/pipe && chmod 4755 /www/sub/b && chmod 0 /www/a
    RUN chown -R 33:34 /www && ln -s a /www/own && mv /www/link /www/moved
    RUN chown -h 0:0 /www/pipe && echo c >/www/c && cp -p /www/c /www/d \\
        && chown 8:9 /www/c && chown 0:0 /www/c
    RUN cd /www && chown 1:2 ./own && chown 3:3 sub/../sub && ! chown 1 missing 2>/dev/null \\
        && ln -s /www/sub /abs && chown 40:41 /abs/ && chown 11:12 /abs
    RUN mkdir -p /jail/bin /jail/lib /jail/lib64 /jail/abs && echo x >/jail/abs/x \\
        && cp /bin/busybox /jail/bin && cp /lib/*.so* /jail/lib 2>/dev/null; \\
        cp /lib64/*.so* /jail/lib64 2>/dev/null; chroot /jail /bin/busybox chown 70:71 /abs/x
"""


def test_changes_of_owner_in_a_step_are_in_the_image(
    one_id: tuple[Rl, Environment], tmp_path: object
) -> None:
    rl, env = one_id
    project = Project(rl, f"{tmp_path}/project").dockerfile(CHOWNS)
    project.run("--output", f"type=tar,dest={tmp_path}/out.tar", env=env)
    with tarfile.open(f"{tmp_path}/out.tar") as archive:
        found = {m.name.removeprefix("./"): (m.uid, m.gid, m.mode) for m in archive}
    owners = {name: (uid, gid) for name, (uid, gid, _) in found.items()}
    assert owners["www"] == (33, 34)
    assert owners["www/a"] == (1, 2), "through the link"
    assert owners["www/sub"] == (11, 12)
    assert owners["www/sub/b"] == (33, 34) and found["www/sub/b"][2] == 0o755
    assert owners["www/moved"] == (33, 34) and owners["www/own"] == (0, 0)
    assert owners["www/pipe"] == owners["www/c"] == owners["www/d"] == (0, 0)
    assert owners["jail/abs/x"] == (70, 71)


OF_A_USER = """
    FROM busybox
    RUN mkdir /home/ann && echo ann:x:1000:50::/home/ann:/bin/sh >>/etc/passwd && echo a >/top
    USER ann
    WORKDIR /home/ann
    RUN id -u >id && echo $HOME >>id && mkdir sub && ln -s id sub/link && echo more >>/top
    RUN echo b >>sub/new && mv id moved && ! chown 7 moved
"""


def test_what_a_step_of_a_user_makes_is_that_users(
    one_id: tuple[Rl, Environment], tmp_path: object
) -> None:
    rl, env = one_id
    project = Project(rl, f"{tmp_path}/project").dockerfile(OF_A_USER)
    project.run("-t", "of-a-user", env=env)
    project.run("--output", f"type=tar,dest={tmp_path}/out.tar", env=env)
    with tarfile.open(f"{tmp_path}/out.tar") as archive:
        found = {m.name.removeprefix("./"): (m.uid, m.gid) for m in archive}
        content = archive.extractfile(next(m for m in archive if m.name.endswith("moved")))
        assert content is not None and content.read() == b"1000\n/home/ann\n"
    names = [f"home/ann/{name}" for name in ("sub", "sub/link", "sub/new", "moved")]
    assert {found[name] for name in names} == {(1000, 50)}
    assert found["top"] == found["etc/passwd"] == (0, 0), "it was root's before"
    shown = rl.out("run", "--rm", "--network", "none", "of-a-user", "id", "-u", env=env)
    assert shown == "1000", "an image with a USER runs"
