"""A read-only store for many users: what a teacher publishes, students use without a copy.

Tests cannot be two users of the host.  What differs between teacher and student is the mapping, and
that is another here: one ID, or keep-id, against the full one.
"""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.builds import Project
from support.needs import SEARCH_PATH
from support.program import Rl
from support.registry import Registry
from support.traces import wait_until

pytestmark = pytest.mark.needs("subids", "overlay", "fuse", "squashfuse", "sqfstar")

DOCKERFILE = """
    RUN mkdir /d /old && echo lower > /d/lower && echo x > /gone && echo x > /old/hidden
    COPY --chown=33:34 --chmod=600 secret /secret
    RUN rm /gone && rm -r /old && mkdir /old && echo new > /old/new && chmod 1777 /d
    RUN ln /secret /linked && ln -s secret /link && chmod 4755 /bin/busybox
    LABEL lesson=1
    CMD ["cat", "/d/lower"]
"""


@pytest.fixture(scope="module")
def lesson(test_dir: str, worker_id: str) -> Iterator[tuple[Rl, str]]:
    """The teacher's rl, and the directory where lesson:1 and busybox are published."""
    root = tempfile.mkdtemp(prefix="t", dir=test_dir)
    teacher = Rl(root, f"{worker_id}-{os.getpid()}-teacher")
    teacher.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
    project = Project(teacher, f"{root}/context").write({"secret": "42"})
    project.build(DOCKERFILE, "-t", "lesson:1")
    old = os.umask(0o077)
    try:
        text = teacher.out("image", "publish", f"{root}/shared", "lesson:1", "busybox")
    finally:
        os.umask(old)
    assert [line.split()[:2] for line in text.splitlines()] == [
        ["Published:", "lesson:1"],
        ["Published:", "busybox:latest"],
    ]
    yield teacher, f"{root}/shared"
    subprocess.run(["podman", "unshare", "rm", "-rf", root], check=False, capture_output=True)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def student(lesson: tuple[Rl, str], fresh_store: Callable[..., Rl]) -> Rl:
    """Somebody with an empty store who has been told of the teacher's."""
    rl = fresh_store()
    rl.env["RL_IMAGE_STORES"] = lesson[1]
    return rl


@pytest.fixture
def one_id(student: Rl, tmp_path: Path) -> Rl:
    """The same, without subordinate IDs."""
    (tmp_path / "getsubids").write_text("#!/bin/sh\n")
    (tmp_path / "getsubids").chmod(0o755)
    student.env["PATH"] = f"{tmp_path}:{SEARCH_PATH}"
    return student


def shell(rl: Rl, command: str, *options: str, image: str = "lesson:1") -> str:
    return rl.out("run", "--rm", "--network", "none", *options, image, "sh", "-c", command)


def servers() -> list[str]:
    """The command lines of all squashfuse processes of this user."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
        if line.startswith("/usr/bin/squashfuse"):
            found.append(line)
    return found


def test_it_runs_without_a_copy_and_nothing_stays(student: Rl, lesson: tuple[Rl, str]) -> None:
    said = student.run("run", "--rm", "--network", "none", "lesson:1")
    assert (said.stdout, said.stderr) == ("lower\n", "")
    for diff in Path(f"{student.store}/layers").glob("*/diff"):
        assert not list(diff.iterdir())
    for blob in Path(f"{student.store}/blobs/sha256").iterdir():
        assert blob.is_symlink()
    wait_until(lambda: not [one for one in servers() if lesson[1] in one])


OWNERS = (
    "stat -c '%n %u:%g %a %h' /secret /linked /bin/busybox /d; ls /old; test -e /gone || echo no"
)
SEEN = [
    "/secret 33:34 600 2",
    "/linked 33:34 600 2",
    "/bin/busybox 0:0 4755 1",
    "/d 0:0 1777 1",
    "new",
    "no",
]


@pytest.mark.parametrize("driver", ["overlay", "fuse-overlayfs", "copy"])
def test_files_are_as_in_the_image(student: Rl, driver: str) -> None:
    text = shell(
        student, f"{OWNERS}; echo more >> /secret; cat /linked", "--storage-driver", driver
    )
    lines = text.splitlines()
    assert [one.rsplit(" ", 1)[0] for one in lines[:4]] == [
        one.rsplit(" ", 1)[0] for one in SEEN[:4]
    ]
    assert lines[4:6] == SEEN[4:]
    assert "42" in lines[6]


def test_keep_id_has_its_owners_without_a_copy(student: Rl) -> None:
    text = shell(student, "id -u; stat -c %u:%g /secret /bin", "--userns", "keep-id")
    assert text.split() == [str(os.getuid()), "33:34", "0:0"]


def test_without_subordinate_ids_all_is_roots_and_can_be_changed(one_id: Rl) -> None:
    changes = "chmod 644 /secret && echo 7 >> /secret && stat -c %a /linked && cat /secret"
    text = shell(one_id, f"cat /proc/self/uid_map; stat -c %u:%g /secret; {changes}")
    assert text.split() == ["0", str(os.getuid()), "1", "0:0", "600", "427"]


def test_it_is_listed_and_inspected(student: Rl, lesson: tuple[Rl, str]) -> None:
    def listed() -> list[str]:
        lines = student.out("images", "--format", "{{.Repository}}:{{.Tag}} {{.ReadOnly}}")
        return sorted(lines.splitlines())

    assert listed() == ["busybox:latest true", "lesson:1 true"]
    assert student.out("images").splitlines()[0].endswith("R/O")
    assert student.out("images", "-q", "--filter", "readonly=false") == ""
    document = json.loads(student.out("image", "inspect", "lesson:1"))[0]
    assert json.loads(student.out("image", "inspect", document["Id"]))[0] == document
    teachers = json.loads(lesson[0].out("image", "inspect", "lesson:1"))[0]
    for key in ("Id", "RepoTags", "Config", "RootFS", "Size"):
        assert document[key] == teachers[key]
    assert listed() == ["busybox:latest true", "lesson:1 true"]
    student.run("tag", "lesson:1", "mine:1")
    assert listed() == ["busybox:latest true", "lesson:1 true", "mine:1 false"]
    student.fails("rmi", "lesson:1", status=1, code="RL-IMAGE-SHARED")
    student.run("rmi", "mine:1")
    student.run("history", "lesson:1")
    assert student.out("image", "mount", "lesson:1", "cat", "d/lower") == "lower"
    assert student.out("image", "diff", "busybox", "lesson:1") == lesson[0].out(
        "image", "diff", "busybox", "lesson:1"
    )
    counted = [one.out("image", "layers", "lesson:1") for one in (student, lesson[0])]
    assert counted[0].splitlines()[-1] == counted[1].splitlines()[-1]
    assert listed() == ["busybox:latest true", "lesson:1 true"]


def test_exec_stop_and_start_again(student: Rl) -> None:
    name = student.name()
    student.start("--name", name, image="lesson:1")
    student.run("exec", name, "sh", "-c", "cat /d/lower && echo 1 > /d/mine")
    student.run("stop", "-t", "0", name)
    student.run("start", name)
    assert student.out("exec", name, "cat", "/d/lower", "/d/mine") == "lower\n1"
    assert student.out("image", "prune", "-f").endswith("0B")
    assert student.out("exec", name, "cat", "/old/new") == "new"
    assert student.out("ps", "--format", "{{.Image}}") == "lesson:1"


@pytest.mark.parametrize("ids", ["student", "one_id"])
def test_a_build_stands_on_it(ids: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    rl = request.getfixturevalue(ids)
    project = Project(rl, f"{tmp_path}/context").write({"file": "f", "etc/x": "x"})
    project.build(
        """
        FROM lesson:1 AS base
        WORKDIR /d/work
        RUN cat /d/lower /secret && rm /d/lower && test ! -e /gone
        FROM busybox
        COPY --from=base /old /copied
        COPY --from=lesson:1 /secret /d/ /from/
        COPY file /etc/
        RUN cat /from/secret /from/lower /copied/new && test ! -e /copied/hidden
        """,
        "-t",
        "made",
    )
    text = shell(rl, "cat /from/lower /copied/new /etc/file", image="made")
    assert text.split() == ["lower", "new", "f"]
    out = f"{tmp_path}/out"
    project.run("--output", f"type=local,dest={out}", "--target", "base")
    assert sorted(os.listdir(f"{out}/d")) == ["work"]


def test_it_is_saved_and_pushed_as_it_was_published(
    student: Rl, lesson: tuple[Rl, str], registry: Registry, tmp_path: Path
) -> None:
    digests = []
    for rl, name in ((lesson[0], "teacher"), (student, "student")):
        to = f"{registry.host}/test/shared-{name}:1"
        rl.run("tag", "lesson:1", to)
        rl.run("push", "-q", to)
        digests.append(json.loads(rl.out("image", "inspect", to))[0]["RepoDigests"][0][-64:])
    index = json.loads(Path(f"{lesson[1]}/index.json").read_text())
    published = {one["digest"].removeprefix("sha256:") for one in index["manifests"]}
    assert digests[1] in published
    student.run("rmi", f"{registry.host}/test/shared-student:1")
    student.run("save", "-o", f"{tmp_path}/a.tar", "lesson:1")
    loaded = lesson[0].out("load", "-i", f"{tmp_path}/a.tar")
    assert loaded.splitlines()[-1] == "Loaded image: lesson:1"
    with tarfile.open(f"{tmp_path}/a.tar") as archive:
        assert all(not member.issym() for member in archive)
    fresh = subprocess.run(
        ["skopeo", "inspect", f"docker-archive:{tmp_path}/a.tar"], capture_output=True, check=False
    )
    assert fresh.returncode == 0, fresh.stderr


def test_the_store_is_never_written_by_who_reads_it(student: Rl, lesson: tuple[Rl, str]) -> None:
    def state() -> list[tuple[str, int, int]]:
        return sorted(
            (path, os.lstat(path).st_mtime_ns, os.lstat(path).st_mode)
            for top, directories, files in os.walk(lesson[1])
            for path in [f"{top}/{name}" for name in directories + files]
        )

    before = state()
    assert all(mode & 0o044 == 0o044 for path, _, mode in before
               if "/tmp" not in path and not path.endswith("lock"))  # fmt: skip
    shell(student, "true")
    student.run("inspect", "lesson:1")
    student.run("rmi", "-f", json.loads(student.out("image", "inspect", "lesson:1"))[0]["Id"][7:])
    assert state() == before


def test_programs_that_fail_are_named(lesson: tuple[Rl, str], student: Rl, tmp_path: Path) -> None:
    for name in ("squashfuse_ll", "sqfstar"):
        (tmp_path / name).write_text("#!/bin/sh\necho no, not today >&2; exit 1\n")
        (tmp_path / name).chmod(0o755)
    env: dict[str, str | None] = {"PATH": f"{tmp_path}:{SEARCH_PATH}"}
    student.fails("run", "--rm", "lesson:1", env=env, code="RL-SHARED-STORE")
    project = Project(student, f"{tmp_path}/context").dockerfile("FROM lesson:1\nWORKDIR /x\n")
    assert "RL-SHARED-STORE" in project.run(env=env, check=False).stderr
    place = f"{tmp_path}/place"
    line = lesson[0].fails("image", "publish", place, "busybox", env=env, status=1)
    assert "no, not today" in line
    assert os.listdir(f"{place}/blobs/sha256") == os.listdir(f"{place}/tmp") == []


def test_a_damaged_file_is_an_error(
    lesson: tuple[Rl, str], fresh_store: Callable[..., Rl], tmp_path: Path
) -> None:
    copied = f"{tmp_path}/copied"
    shutil.copytree(lesson[1], copied, symlinks=True)
    rl = fresh_store()
    rl.env["RL_IMAGE_STORES"] = copied
    shell(rl, "true")
    largest = max(Path(copied).glob("layers/*/image"), key=lambda path: path.stat().st_size)
    with open(largest, "r+b") as file:
        file.seek(2000)
        file.write(b"damage")
    line = rl.fails("run", "--rm", "lesson:1", code="RL-SHARED-STORE")
    assert "damaged" in line
    other = fresh_store()
    other.env["RL_IMAGE_STORES"] = copied
    other.fails("run", "--rm", "lesson:1", code="RL-SHARED-STORE")
    assert os.listdir(f"{other.store}/layers") == []
    assert os.listdir(f"{other.store}/images/by-id") == []
    assert "damaged" in rl.run("system", "check", status=1).stdout
    lesson[0].run("image", "publish", copied, "lesson:1")
    assert shell(other, "cat /d/lower") == shell(rl, "cat /d/lower") == "lower"
    rl.run("system", "check")


def test_a_store_that_is_gone_is_an_error_until_it_is_there_again(
    lesson: tuple[Rl, str], fresh_store: Callable[..., Rl], tmp_path: Path
) -> None:
    copied = f"{tmp_path}/copied"
    shutil.copytree(lesson[1], copied, symlinks=True)
    rl = fresh_store()
    rl.env["RL_IMAGE_STORES"] = copied
    name = rl.name()
    rl.run("create", "--name", name, "--network", "none", "lesson:1")
    os.rename(copied, f"{copied}.away")
    rl.fails("start", "-a", name, status=1, code="RL-SHARED-STORE")
    rl.fails("run", "lesson:1", code="RL-SHARED-STORE")
    listed = rl.run("images")
    assert "RL-SHARED-STORE" in listed.stderr
    os.rename(f"{copied}.away", copied)
    assert rl.out("start", "-a", name) == "lower"
    # Moved for good: the same image, found elsewhere.
    os.rename(copied, f"{copied}.moved")
    rl.env["RL_IMAGE_STORES"] = f"{copied}.moved"
    assert shell(rl, "cat /d/lower") == "lower"


def test_a_tag_is_published_again_and_taken_back(
    lesson: tuple[Rl, str], fresh_store: Callable[..., Rl], tmp_path: Path
) -> None:
    teacher, _ = lesson
    place = f"{tmp_path}/place"
    rl = fresh_store()
    rl.env["RL_IMAGE_STORES"] = place
    project = Project(teacher, f"{tmp_path}/context")
    for version in ("one", "two"):
        project.build(f"RUN echo {version} > /version", "-t", "course:latest")
        teacher.run("image", "publish", place, "course")
        assert shell(rl, "cat /version", image="course") == version
        again = teacher.out("image", "publish", place, "course")
        assert again.startswith("Already published: course:latest")
    teacher.run("image", "unpublish", place, "course")
    rl.fails("run", "--pull", "never", "course", code="RL-IMAGE-NOT-FOUND")
    teacher.run("image", "unpublish", place, "lesson:1", status=1)


def test_what_is_no_shared_store_is_left_alone(lesson: tuple[Rl, str], tmp_path: Path) -> None:
    teacher, _ = lesson
    (tmp_path / "file").write_text("x")
    teacher.fails("image", "publish", str(tmp_path), "busybox", status=1, code="RL-SHARED-STORE")
    teacher.fails("image", "publish", teacher.store, "busybox", status=1, code="RL-SHARED-STORE")
    teacher.fails(
        "image", "unpublish", f"{tmp_path}/none", "busybox", status=1, code="RL-SHARED-STORE"
    )
    assert os.listdir(tmp_path) == ["file"]


def test_a_killed_publish_leaves_nothing_that_is_seen(
    lesson: tuple[Rl, str], fresh_store: Callable[..., Rl], tmp_path: Path
) -> None:
    teacher, _ = lesson
    place = f"{tmp_path}/place"
    teacher.run("image", "publish", place, "busybox")
    process = teacher.popen("image", "publish", place, "lesson:1")
    wait_until(lambda: bool(os.listdir(f"{place}/tmp")) or process.poll() is not None)
    process.kill()
    process.communicate()
    rl = fresh_store()
    rl.env["RL_IMAGE_STORES"] = place
    assert shell(rl, "echo yes", image="busybox") == "yes"
    teacher.run("image", "publish", place, "lesson:1")
    assert shell(rl, "cat /d/lower") == "lower"
    assert os.listdir(f"{place}/tmp") == []


def test_several_publish_at_once(
    lesson: tuple[Rl, str], fresh_store: Callable[..., Rl], tmp_path: Path
) -> None:
    teacher, _ = lesson
    place = f"{tmp_path}/place"
    running = [teacher.popen("image", "publish", place, name) for name in ("lesson:1", "busybox")]
    for process in running:
        _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    rl = fresh_store()
    rl.env["RL_IMAGE_STORES"] = place
    assert shell(rl, "cat /d/lower") == "lower"
