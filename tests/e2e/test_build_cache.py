"""Which steps run again, stages side by side, and builds that are killed or run together."""

import json
import os
import re
from collections.abc import Callable

import pytest
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
    done = project.run("--no-cache-filter", "TWO,tow")
    found = states(done)
    assert found["RUN echo one >/one"] == "CACHED" and found["RUN echo two"] == "DONE"
    assert "there is no stage tow; did you mean two?" in done.stderr


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
    """Each of two steps waits for the other; with --jobs 1 neither sees the other."""
    mount = f"--mount=type=cache,id={project.rl.name()},target=/c"
    wait = "for i in $(seq 300); do [ -e /c/{0} ] && exit 0; sleep 0.1; done; exit 1"
    text = f"""
        FROM busybox AS one
        RUN {mount} touch /c/one; {wait.format("two")}
        FROM busybox AS two
        RUN {mount} touch /c/two; {wait.format("one")}
        FROM busybox
        RUN --mount=from=one --mount=from=two true
    """.replace("from=one ", "from=one,target=/1 ").replace("from=two ", "from=two,target=/2 ")
    project.dockerfile(text).run()
    alone = "[ ! -e /c/{0} ] && touch /c/{1} && sleep 0.2 && rm /c/{1}"
    mount = mount.replace("id=", "id=alone-")
    text = text.replace(f"touch /c/one; {wait.format('two')}", alone.format("two", "one"))
    text = text.replace(f"touch /c/two; {wait.format('one')}", alone.format("one", "two"))
    project.dockerfile(text.replace("id=", "id=alone-")).run("--jobs", "1")


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


STEPS = ("RUN", "COPY", "WORKDIR")
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
    found = {name: state for name, state in states(done).items() if name.startswith(STEPS)}
    return found, done.stderr


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
