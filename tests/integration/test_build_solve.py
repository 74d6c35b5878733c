"""Builds by the solver itself: its events, cache mounts, squashed layers, agents."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.builds import Project
from support.program import Rl

from rootless.build import context, solve, ssh_relay
from rootless.build.events import Event, Result
from rootless.build.options import parse
from rootless.context import Context
from rootless.errors import BuildError
from rootless.paths import Paths

pytestmark = pytest.mark.needs("user", "userns", "subids")

Builder = Callable[..., tuple[Result, list[Event]]]


@pytest.fixture
def project(rl: Rl, tmp_path: Path) -> Project:
    return Project(rl, f"{tmp_path}/context")


@pytest.fixture
def builder(project: Project) -> Builder:
    """Build a Dockerfile in this process: the result and the events."""
    rl = project.rl
    ctx = Context(
        paths=Paths(rl.store, f"{rl.runtime}/rl"), uid=os.getuid(), gid=os.getgid(), home=rl.home,
        environ=rl.environment(), config={}, debug=False,
    )  # fmt: skip

    def build(text: str, **values: Any) -> tuple[Result, list[Event]]:
        events: list[Event] = []
        project.dockerfile(text)
        values = {"context": project.directory, "network": "none", **values}
        options = parse(values, ctx.environ)
        project.events = events  # type: ignore[attr-defined]
        with context.open_context(ctx, options) as opened:
            return solve.build(ctx, options, opened, events.append), events

    return build


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if event.step]


def test_events_of_a_step(builder: Builder, project: Project) -> None:
    text = f"RUN echo {project.rl.name()}; echo wrong >&2\n"
    result, events = builder(text)
    first, *middle, last = [event for event in events if event.step]
    assert (first.kind, last.kind) == ("started", "done") and last.seconds > 0
    assert {(e.kind, e.stream) for e in middle} == {("output", "stdout"), ("output", "stderr")}
    assert first.name.startswith("[2/2] RUN echo") and first.total == 1 and first.lines == (2, 2)
    assert (result.steps, result.cached, len(result.cache_keys)) == (1, 0, 1)
    again, events = builder(text)
    assert kinds(events) == ["cached"] and again.image_id == result.image_id
    assert again.cache_keys == result.cache_keys


def test_failure_has_place_excerpt_and_last_lines(builder: Builder, project: Project) -> None:
    with pytest.raises(BuildError) as e:
        builder("ENV A=1\nRUN seq 100; exit 7\n")
    assert e.value.location == ("Dockerfile", 3, 3) and ">>> RUN seq" in e.value.excerpt
    assert "exit code: 7" in e.value.what and e.value.code == "RL-BUILD-RUN"
    failed = project.events[-1]  # type: ignore[attr-defined]
    assert failed.kind == "failed" and failed.data.split()[-1] == b"100"
    assert len(failed.data.split()) == 20


def test_wrong_path_is_found_before_any_step(builder: Builder, project: Project) -> None:
    with pytest.raises(BuildError) as e:
        builder("RUN echo never\nCOPY missing /\n")
    assert e.value.location is not None and e.value.location[1] == 3
    assert not kinds(project.events)  # type: ignore[attr-defined]


def test_same_result_of_a_changed_step_is_a_hit_for_what_follows(
    builder: Builder, project: Project
) -> None:
    name = project.rl.name()
    text = "FROM busybox AS a\nRUN echo {} >/x; echo {} >/out; touch -d @1 /out\n"
    text += f"FROM busybox\nCOPY --from=a /out /{name}\nRUN cat /{name}\n"
    builder(text.format(1, name))
    _, events = builder(text.format(2, name))
    assert kinds(events)[-2:] == ["cached", "cached"]


def test_cache_mounts_are_shared_locked_or_private(builder: Builder, project: Project) -> None:
    name = project.rl.name("c")
    text = """
        FROM busybox AS start
        RUN mkdir /s && echo start >/s/f
        FROM busybox AS one
        RUN --mount=type=cache,id={n},target=/c,sharing={s},from=start,source=/s cat /c/f; \
            mkdir /c/held && sleep 0.5 && rmdir /c/held && echo {x}
        FROM busybox AS two
        RUN --mount=type=cache,id={n},target=/c,sharing={s},from=start,source=/s cat /c/f; \
            mkdir /c/held && sleep 0.5 && rmdir /c/held && echo {x}2
        FROM busybox
        COPY --from=one /bin/true /1
        COPY --from=two /bin/true /2
    """
    for sharing in ("locked", "private"):
        _, events = builder(text.format(n=f"{name}-{sharing}", s=sharing, x=name))
        assert not {"failed", "cancelled"} & set(kinds(events))
        output = b"".join(event.data for event in events)
        assert output.count(b"start\n") == 2
    with pytest.raises(BuildError):  # both at once, in one directory
        builder(text.format(n=f"{name}-shared", s="shared", x=name))


def test_squash_keeps_what_is_hidden_of_the_base(builder: Builder, project: Project) -> None:
    rl = project.rl
    project.build("RUN mkdir -p /d/sub && touch /d/old /d/sub/old /gone\n", "-t", "squash-base:1")
    text = """
        FROM squash-base:1
        RUN rm /gone && rm -r /d && mkdir -p /d/sub && touch /d/new
        RUN touch /d/sub/new && ln /d/new /d/link && rm -r /home && touch /home
        RUN rm /home && mkdir /home && touch /home/only
    """
    plain, _ = builder(text)
    squashed, _ = builder(text, squash=True)
    assert len(squashed.record["layers"]) == len(plain.record["layers"]) - 2
    script = "find /d /home /gone 2>/dev/null | sort"
    shown = project.inside(squashed.image_id, f"{script}; stat -c %h /d/link")
    expected = project.inside(plain.image_id, f"{script}; stat -c %h /d/link")
    assert shown == expected
    assert shown.split() == ["/d", "/d/link", "/d/new", "/d/sub", "/d/sub/new", "/home",
                             "/home/only", "2"]  # fmt: skip
    again, _ = builder(text, squash=True)
    assert again.image_id == squashed.image_id
    rl.run("rmi", "-f", "squash-base:1")


def test_mount_points_leave_no_trace_but_what_was_written_does(
    builder: Builder, project: Project
) -> None:
    result, _ = builder(
        "RUN --mount=type=cache,target=/root/.cache/pip --mount=type=tmpfs,target=/opt/x/y "
        f"echo {project.rl.name()} >/opt/x/kept\n"
    )
    top = result.record["layers"][-1].partition(":")[2]
    found = subprocess.run(
        ["find", f"{project.rl.store}/layers/{top}/diff", "-printf", "%P\\n"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert sorted(found) == ["opt", "opt/x", "opt/x/kept"]


def test_umask_of_the_caller_does_not_matter(builder: Builder, project: Project) -> None:
    before = os.umask(0o077)
    try:
        result, _ = builder(
            f"RUN mkdir /{project.rl.name()}; touch /f\nWORKDIR /w\n", no_cache=True
        )
    finally:
        os.umask(before)
    shown = project.inside(result.image_id, "stat -c %a / /f /w")
    assert shown.split() == ["755", "644", "755"]


def test_stage_that_is_copied_while_others_run(builder: Builder, project: Project) -> None:
    """The slow step ends when one has run that follows the copy."""
    name = project.rl.name()
    mount = f"--mount=type=cache,id={name},target=/c"
    slow = f"RUN {mount} until [ -e /c/seen ]; do sleep 0.05; done; echo {name} >/slow"
    text = f"""
        FROM busybox AS slow
        {slow}
        FROM busybox AS files
        RUN echo {name} >/file
        FROM busybox AS middle
        COPY --from=files /file /
        RUN {mount} cat /file; touch /c/seen
        FROM middle
        COPY --from=slow /slow /
    """
    result, events = builder(text, explain_cache=True)
    done = [event.name for event in events if event.kind == "done"]
    assert f"[slow 2/2] {slow}" in done
    notes = [event.text for event in events if event.kind == "note" and event.step]
    assert notes == ["it has not been built before"]
    assert builder(text)[0].image_id == result.image_id


def test_shell_on_fail_sees_the_files_of_the_step(project: Project) -> None:
    project.dockerfile("RUN echo left >/note; false\n")
    done = project.run("--shell-on-fail", status=1, input="cat /note; exit\n")
    assert "left" in done.stdout + done.stderr


def test_agent_relay_passes_bytes_both_ways(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/agent")
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                data = b""
                while chunk := connection.recv(100):
                    data += chunk
                connection.sendall(data[::-1])

        threading.Thread(target=answer, daemon=True).start()
        pid = ssh_relay.start(f"{tmp_path}/agent", f"{tmp_path}/relay")
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{tmp_path}/relay")
                client.sendall(b"abc")
                client.shutdown(socket.SHUT_WR)
                assert client.recv(100) == b"cba" and client.recv(100) == b""
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
