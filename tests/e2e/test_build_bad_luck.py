"""Builds that fail, are interrupted or killed, run together, or find the disk full."""

import glob
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest
from support import traces
from support.builds import Project, states
from support.program import Rl
from support.stores import leftovers, make_context

from rootless.store import check


def test_failure_cancels_what_runs_beside_it(project: Project, no_leftovers: None) -> None:
    mount = f"--mount=type=cache,id={project.rl.name()},target=/c"
    err = project.fails(f"""
        FROM busybox AS slow
        RUN {mount} touch /c/started; sleep 1000
        FROM busybox
        RUN {mount} until [ -e /c/started ]; do sleep 0.05; done; exit 3
        COPY --from=slow /one /
    """)
    assert "exit code: 3" in err and "CANCELED" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_build_ends_its_steps(
    project: Project, rl: Rl, no_leftovers: None, number: int
) -> None:
    project.dockerfile("RUN echo started; sleep 100\n")
    words = ["build", "--progress", "plain", "--network", "none", project.directory]
    with rl.popen(*words) as process:
        wait_line(process, " started")
        process.send_signal(number)
        process.communicate(timeout=15)
        assert process.returncode == 128 + number


def wait_line(process: subprocess.Popen[str], end: str) -> None:
    """Wait for a line of standard error that ends so."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip("\n").endswith(end):
            return
    raise AssertionError(f"the build has ended without {end!r}")


def test_killed_build_leaves_the_cache_right(
    fresh_store: Callable[..., Rl], tmp_path: object
) -> None:
    """Killed at twenty moments; what the next build takes from the cache is whole."""
    rl = fresh_store(busybox=True)
    project = Project(rl, f"{tmp_path}/context")
    project.write({f"d/{n}": "x" * 1000 for n in range(200)})
    project.dockerfile("""
        FROM busybox AS one
        COPY d /d
        RUN cat /d/* | wc -c >/note
        FROM busybox
        RUN mkdir /w && seq 1000 >/w/seq
        COPY --from=one /d /note /e/
        RUN cat /e/* | wc -c >>/e/note; rm -r /w
    """)
    words = ["build", "--squash", "--network", "none", project.directory]
    for moment in range(20):
        project.write({"d/0": f"{moment:04}" * 250})
        with rl.popen(*words) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1 + 0.03 * moment)
            process.kill()
            process.communicate(timeout=15)
        traces.wait_until(lambda: not traces.processes(rl.worker, rl.root), 10)
        if moment % 5 == 4:
            assert check.check(make_context(rl.root, prepare=False)) == []
            script = "cat /e/note; head -c 4 /e/0; ls -d /w 2>/dev/null"
            shown = project.inside(project.build("", "--squash"), script).split()
            assert shown == ["200000", "200007", f"{moment:04}"]
    assert leftovers(make_context(rl.root, prepare=False).paths) == []


def test_two_builds_at_once_share_the_work(project: Project, rl: Rl) -> None:
    name = rl.name("twins")
    project.write({"a": "a"}).dockerfile(f"""
        FROM busybox
        COPY a /
        RUN --mount=type=cache,id={name},target=/c \\
            echo made >>/c/count; until [ -e /c/go ]; do sleep 0.05; done; cp /c/count /note
    """)
    words = ["build", "--progress", "plain", "--network", "none", project.directory]
    first = rl.popen(*words, "-t", f"{name}:0")

    def counts() -> list[str]:
        return glob.glob(f"{rl.store}/buildcache/mounts/*/**/count", recursive=True)

    before = traces.wait_until(counts, 20, "the first build's step")
    assert isinstance(before, list)
    others = [rl.popen(*words, "-t", f"{name}:{n}") for n in (1, 2)]
    for process in others:
        wait_line(process, "another build makes this step now: waiting for it")
    for path in before:
        with open(f"{os.path.dirname(path)}/go", "w"):
            pass
    for process in (first, *others):
        process.communicate(timeout=60)
        assert process.returncode == 0
    images = {rl.inspect(f"{name}:{n}")["Id"] for n in range(3)}
    assert len(images) == 1
    assert project.inside(f"{name}:2", "cat /note") == "made"
    rl.run("rmi", *(f"{name}:{n}" for n in range(3)))


def test_full_disk_is_one_line_and_the_store_is_right(
    project: Project, rl: Rl, small_store: str
) -> None:
    project.write({"small": os.urandom(1_500_000), "big": os.urandom(8_000_000)})
    env = {"RL_STORE": small_store}
    layout = f"{project.directory}-layout"
    project.dockerfile("FROM busybox\n").run("-o", f"type=oci,tar=false,dest={layout}")
    base = ["--build-context", f"busybox=oci-layout://{layout}"]
    try:
        project.dockerfile("COPY small /\nCOPY big /\n")
        err = project.fails("", *base, env=env, code="RL-STORE-FULL")
        assert "Dockerfile:3" in err and "the disk is full" in err
        project.fails("COPY small /\nRUN cat </dev/zero >/x\n", *base, env=env)
        text = "COPY small /a\nCOPY --link small /b\n"
        project.fails(text, *base, "--squash", env=env, code="RL-STORE-FULL")
        assert os.listdir(f"{small_store}/tmp") == []
        # What was done is kept, and there is room again.
        found = states(project.run(*base, env=env))
        assert found["COPY small /a"] == "CACHED", found
    finally:
        shutil.rmtree(small_store, ignore_errors=True)
