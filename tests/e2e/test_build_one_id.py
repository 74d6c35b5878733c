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
    assert found["app/src"] == found["app/src/a"] == (1000, 50)
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
