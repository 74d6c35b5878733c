"""Which steps run again, stages side by side, and builds that are killed or run together."""

import json
import os
import re
import signal
import time
from collections.abc import Callable

import pytest
from support import traces
from support.builds import Project, states
from support.program import Rl
from support.registry import Registry


def test_nothing_changed_runs_nothing(project: Project) -> None:
    project.write({"a": "a"})
    text = "COPY a /\nRUN cat /a >/b\nENV X=1\nRUN echo $X >/c\n"
    first = project.build(text)
    found = states(project.run())
    ran = [name for name in found if name.startswith(("COPY", "RUN"))]
    assert ran and all(found[name] == "CACHED" for name in ran), found
    assert project.build() == first


def test_times_and_unread_files_do_not_matter_content_and_mode_do(project: Project) -> None:
    project.write({"a": "a", "other": "x"}).dockerfile("COPY a /\nRUN cat /a\n")
    project.run()
    os.utime(f"{project.directory}/a", (1, 1))
    project.write({"other": "y"})
    assert states(project.run())["COPY a /"] == "CACHED"
    project.write({"a": "b"})
    found = states(project.run())
    assert found["COPY a /"] == "DONE" and found["RUN cat /a"] == "DONE"
    os.chmod(f"{project.directory}/a", 0o700)
    assert states(project.run())["COPY a /"] == "DONE"
    # Back again: what was made before is still known.
    os.chmod(f"{project.directory}/a", 0o644)
    assert states(project.run())["RUN cat /a"] == "CACHED"


def test_change_of_same_size_within_the_clocks_grain_is_seen(project: Project) -> None:
    project.write({"a": "1"}).dockerfile("COPY a /\nRUN cat /a\n")
    for number in range(2, 6):
        project.run()
        project.write({"a": str(number)})
        assert project.inside(project.build(), "cat /a") == str(number)


def test_arguments_matter_only_where_they_are_used(project: Project) -> None:
    text = "FROM busybox\nRUN echo first\nARG A\nRUN echo second\nARG B\nENV C=1\n"
    project.dockerfile(text).run("--build-arg", "A=1")
    found = states(project.run("--build-arg", "A=2"))
    assert found["RUN echo first"] == "CACHED" and found["RUN echo second"] == "DONE"


def test_no_cache_and_no_cache_filter(project: Project) -> None:
    text = """
        FROM busybox AS one
        RUN echo one >/one
        FROM busybox AS two
        COPY --from=one /one /
        RUN echo two
    """
    project.dockerfile(text).run()
    assert "CACHED" not in states(project.run("--no-cache")).values()
    found = states(project.run("--no-cache-filter", "two"))
    assert found["RUN echo one >/one"] == "CACHED" and found["RUN echo two"] == "DONE"


def test_explain_cache_gives_reasons(project: Project) -> None:
    name = project.rl.name()
    project.write({"a": name}).dockerfile("COPY a /\nRUN cat /a\n")
    project.run()
    assert re.search(r"^#1 CACHED\n#1 .*", project.run("--explain-cache").stderr, re.M)
    project.write({"a": name + "b"})
    text = project.run("--explain-cache").stderr
    assert re.search(r"^#1 \[2/3\] COPY a /\n#1 .+\n#1 DONE", text, re.M), text


def test_target_and_stages_that_nothing_needs(project: Project) -> None:
    text = """
        FROM busybox AS base
        RUN echo base >/note
        FROM base AS unused
        RUN exit 1
        FROM base AS wanted
        RUN echo wanted >>/note
        FROM base
        RUN echo last >>/note
    """
    assert project.script(text, "cat /note").split() == ["base", "last"]
    assert project.script("", "cat /note", "--target", "wanted").split() == ["base", "wanted"]
    assert project.script("", "cat /note", "--target", "0").split() == ["base"]
    err = project.fails("", "--target", "wantd")
    assert "wanted" in err


def test_stages_run_side_by_side(project: Project) -> None:
    text = """
        FROM busybox AS one
        RUN sleep 3; echo one >/one
        FROM busybox AS two
        RUN sleep 3; echo two >/two
        FROM busybox
        COPY --from=one /one /
        COPY --from=two /two /
    """
    project.dockerfile(text)
    begin = time.monotonic()
    project.run("--no-cache")
    assert time.monotonic() - begin < 5.5
    begin = time.monotonic()
    project.run("--no-cache", "--jobs", "1")
    assert time.monotonic() - begin > 6


def test_failure_cancels_what_runs_beside_it(project: Project, no_leftovers: None) -> None:
    text = """
        FROM busybox AS slow
        RUN sleep 60; echo one >/one
        FROM busybox
        RUN sleep 0.5; exit 3
        COPY --from=slow /one /
    """
    begin = time.monotonic()
    err = project.fails(text)
    assert time.monotonic() - begin < 20
    assert "exit code: 3" in err and "CANCELED" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_build_ends_its_steps(
    project: Project, rl: Rl, no_leftovers: None, number: int
) -> None:
    project.dockerfile("RUN echo started; sleep 100\n")
    words = ["build", "--progress", "plain", "--network", "none", project.directory]
    with rl.popen(*words) as process:
        assert process.stderr is not None
        while "started" not in process.stderr.readline().partition(" ")[2]:
            assert process.poll() is None
        time.sleep(0.2)
        process.send_signal(number)
        process.communicate(timeout=15)
        assert process.returncode not in (0, None)


@pytest.mark.parametrize("delay", [0.05, 0.2, 0.4, 0.8])
def test_killed_build_leaves_the_cache_right(project: Project, rl: Rl, delay: float) -> None:
    project.write({f"d/{n}": "x" * 1000 for n in range(200)})
    text = "COPY d /d\nRUN sleep 0.3; cat /d/* | wc -c >/note\nRUN echo more >>/note; sleep 0.2\n"
    project.dockerfile(f"FROM busybox\nENV TEST={rl.name()}\n{text}")
    words = ["build", "--network", "none", project.directory]
    with rl.popen(*words, process_group=0) as process:
        time.sleep(delay)
        process.kill()
        process.communicate(timeout=15)
    assert project.inside(project.build(), "cat /note").split() == ["200000", "more"]
    # Nothing of the killed one runs on.
    traces.wait_until(lambda: not traces.processes(rl.worker, rl.root), 10)


def test_two_builds_at_once_both_succeed(project: Project, rl: Rl) -> None:
    name = rl.name("twins")
    project.write({"a": "a"})
    project.dockerfile(f"FROM busybox\nENV TEST={name}\nCOPY a /\nRUN sleep 1; echo x >/note\n")
    words = ["build", "-q", "--network", "none", project.directory]
    several = [rl.popen(*words, "-t", f"{name}:{n}") for n in range(3)]
    images = {process.communicate(timeout=60)[0].strip() for process in several}
    assert all(process.returncode == 0 for process in several)
    # Whoever came second took the step of the first.
    assert len(images) == 1 and "sha256:" in images.pop()
    assert rl.out("run", "--rm", "--network", "none", f"{name}:2", "cat", "/note") == "x"
    rl.run("rmi", *(f"{name}:{n}" for n in range(3)))


@pytest.mark.parametrize("mode", ["min", "max"])
def test_cache_goes_to_another_store_in_a_directory(
    project: Project, fresh_store: Callable[..., Rl], tmp_path: object, mode: str
) -> None:
    project.write({"a": "a"}).dockerfile("""
        FROM busybox AS one
        RUN echo one >/one && rm /etc/group && mkdir /d
        FROM busybox
        COPY --from=one /one /
        COPY a /
        RUN echo two >/two; ln /two /three; chown 0:0 /two
    """)
    cache = f"{tmp_path}/cache"
    assert "there is no cache" in project.run("--cache-from", f"type=local,src={cache}").stderr
    first = project.build("", "--cache-to", f"type=local,dest={cache},mode={mode}")
    # The base image must be the same, whose layers carry times.
    layout = f"{tmp_path}/layout"
    project.write({"base": "FROM busybox\n"})
    words = ["-f", f"{project.directory}/base", "-o", f"type=oci,tar=false,dest={layout}"]
    project.run(*words)
    other = Project(fresh_store(), project.directory)
    done = other.run(
        "--build-context", f"busybox=oci-layout://{layout}",
        "--cache-from", f"type=local,src={cache}", "-t", "app:1",
    )  # fmt: skip
    found = states(done)
    assert found["COPY a /"] == found["COPY --from=one /one /"] == "CACHED", done.stderr
    ran = [name for name, state in found.items() if name.startswith("RUN") and state == "DONE"]
    assert len(ran) == (mode == "min"), done.stderr
    layers = [rl.inspect(name)["RootFS"] for rl, name in ((project.rl, first), (other.rl, "app:1"))]
    assert layers[0] == layers[1]
    assert other.inside("app:1", "cat /one /a /three") == "one\natwo"


def test_damaged_cache_directory_is_an_error(project: Project, tmp_path: object) -> None:
    path = f"{tmp_path}/rl-build-cache.json"
    for text in ("{", '{"version": 99}', '{"version": 1, "steps": {"%s": {}}}' % ("0" * 64)):
        with open(path, "w") as file:
            file.write(text)
        project.dockerfile("RUN true\n")
        project.fails("", "--cache-from", f"type=local,src={tmp_path}", code="RL-BUILD-CACHE")


TWO_STAGES = """
    FROM busybox AS one
    RUN echo one >/one && rm /etc/group && mkdir /d
    FROM busybox
    WORKDIR /
    COPY --from=one /one /
    COPY a /
    RUN echo two >/two; ln /two /three
"""


def _elsewhere(project: Project, other: Rl, *args: str) -> tuple[dict[str, str], str]:
    """Build the same in another store, on the same base; the states, and what was said."""
    layout = f"{project.directory}-layout"
    project.write({"base": "FROM busybox\n"})
    words = ["-f", f"{project.directory}/base", "-o", f"type=oci,tar=false,dest={layout}"]
    project.run(*words)
    done = Project(other, project.directory).run(
        "--build-context", f"busybox=oci-layout://{layout}", *args
    )
    return states(done), done.stderr


@pytest.mark.parametrize("options", ["mode=max", "mode=max,compression=zstd", "mode=min"])
def test_cache_on_a_registry_serves_another_store(
    project: Project, fresh_store: Callable[[], Rl], registry: Registry, options: str
) -> None:
    project.write({"a": "a"}).dockerfile(TWO_STAGES)
    place = f"type=registry,ref={registry.host}/cache/{project.rl.name()}"
    assert "there is no cache" in project.run("--cache-from", place).stderr
    docker = ",oci-mediatypes=false" if options == "mode=max" else ""
    first = project.build("", "--cache-to", f"{place},{options}{docker}")
    other = fresh_store()
    found, said = _elsewhere(project, other, "--cache-from", place, "-t", "app:1")
    ran = [name for name, state in found.items() if state != "CACHED"]
    assert ran == ([] if "max" in options else ["RUN echo one >/one && rm /etc/group && mkdir /d"])
    assert project.rl.inspect(first)["RootFS"] == other.inspect("app:1")["RootFS"], said
    assert Project(other, "/").inside("app:1", "cat /one /a /three") == "one\natwo"


def test_inline_cache_of_a_pushed_image(
    project: Project, fresh_store: Callable[[], Rl], registry: Registry
) -> None:
    project.write({"a": "a"}).dockerfile(TWO_STAGES)
    name = f"{registry.host}/cache/{project.rl.name()}"
    project.run("-t", name, "--push", "--cache-to", "type=inline")
    found, said = _elsewhere(project, fresh_store(), "--cache-from", name)
    # The first stage is no part of the image: an inline cache has mode=min.
    ran = [step for step, state in found.items() if state != "CACHED"]
    assert ran == ["RUN echo one >/one && rm /etc/group && mkdir /d"], said
    plain = f"{name}-plain"
    project.run("-t", plain, "--push")
    assert "there is no cache in" in project.run("--cache-from", plain).stderr


def test_cache_that_cannot_be_reached_or_written(
    project: Project, fresh_store: Callable[[], Rl], registry: Registry, rl: Rl
) -> None:
    project.dockerfile("RUN true\n")
    nowhere = "type=registry,ref=127.0.0.1:1/nothing"
    assert "cannot use the cache" in project.run("--cache-from", nowhere).stderr
    project.fails("", "--cache-to", nowhere, code="RL-REGISTRY-UNREACHABLE")
    done = project.run("--cache-to", f"{nowhere},ignore-error=true")
    assert "the cache was not written" in done.stderr
    # A blob that has vanished from the registry: the step is done again.
    project.dockerfile(f"RUN echo {rl.name()} >/file\n")
    place = f"type=registry,ref={registry.host}/cache/{rl.name()}"
    project.run("--cache-to", place)
    repository = place.partition("/")[2]
    _, _, data = registry.request(
        "GET",
        f"/v2/{repository}/manifests/latest",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
    )
    for layer in json.loads(data)["layers"]:
        status, _, _ = registry.request("DELETE", f"/v2/{repository}/blobs/{layer['digest']}")
        assert status == 202
    found, said = _elsewhere(project, fresh_store(), "--cache-from", place)
    assert list(found.values()) == ["DONE"] and "cannot take this step from the cache" in said


def test_removed_image_does_not_break_the_cache(project: Project, rl: Rl) -> None:
    text = f"ENV TEST={rl.name()}\nRUN echo one >/note\n"
    project.build(text, "-t", "gone:1")
    rl.run("rmi", "gone:1")
    assert project.inside(project.build(), "cat /note") == "one"


def test_source_date_epoch_makes_the_same_image_in_two_stores(project: Project) -> None:
    project.write({"a": "a", "d/b": "b"})
    text = """
        FROM scratch
        COPY --chmod=644 a /
        COPY --chmod=755 d /d
        WORKDIR /w
        LABEL x=1
        CMD ["/a"]
    """
    project.dockerfile(text)
    args = ["--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"]
    first = project.build("", *args)
    os.utime(f"{project.directory}/a", (5, 5))
    time.sleep(1.1)
    assert project.build("", *args) == first
    assert project.rl.inspect(first)["Created"].startswith("2023-11-14T22:13:20")
    value = first.partition(":")[2]
    with open(f"{project.rl.store}/blobs/sha256/{value}") as file:
        document = json.load(file)
    assert {h["created"][:19] for h in document["history"]} == {"2023-11-14T22:13:20"}


def test_run_with_source_date_epoch_is_reproducible(project: Project) -> None:
    project.dockerfile("RUN mkdir /d && date >/dev/null && echo x >/d/f\n")
    args = ["--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"]
    first = project.build("", *args)
    time.sleep(1.1)
    assert project.build("", *args) == first


def test_prune_of_the_cache(fresh_store: Callable[..., Rl], tmp_path: object) -> None:
    rl = fresh_store(busybox=True)
    project = Project(rl, f"{tmp_path}/context").dockerfile("""
        RUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/x bs=1k count=99 2>/dev/null
        RUN echo one >/one
    """)
    project.run("-t", "kept")
    project.dockerfile("FROM busybox\nRUN echo two >/two\n").run("-t", "gone")
    rl.run("rmi", "gone")
    rl.fails("builder", "prune", code="RL-CANCELLED", status=1, input="n\n")
    assert "Total reclaimed space: 0B" in rl.out("builder", "prune", "-f", "--filter", "until=1h")
    everything = rl.out("builder", "prune", "-a", "-f", "--keep-storage", "1gb")
    assert everything == "Total reclaimed space: 0B"
    lines = rl.out("builder", "prune", "-f").splitlines()
    assert lines[0] == "Deleted build cache objects:" and len(lines) == 5, lines
    assert not lines[-1].endswith(" 0B")
    # What the image has is known still; the rest is done again.
    assert states(project.run())["RUN echo two >/two"] == "DONE"
    rl.run("buildx", "prune", "-a", "-f")
    assert re.search(r"^Build Cache +0 ", rl.out("system", "df"), re.M)
    assert set(states(project.run()).values()) == {"DONE"}
