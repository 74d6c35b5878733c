"""Volumes: the commands, what a first use copies, sharing, options, and that none is lost."""

import io
import json
import os
import subprocess
import tarfile
import uuid
from typing import Any

import pytest
from support.builds import Project
from support.program import Rl, program


@pytest.fixture
def volume(rl: Rl) -> Any:
    """Makes names of volumes, and removes those volumes in the end."""
    made = []

    def name() -> str:
        made.append(f"v-{uuid.uuid4().hex[:10]}")
        return made[-1]

    yield name
    rl.remove_containers()
    rl.run("volume", "rm", "-f", *made, check=False)


def sh(rl: Rl, *args: str, script: str, image: str = "busybox") -> str:
    return rl.out("run", "--rm", "--network", "none", *args, image, "sh", "-c", script)


def test_create_list_inspect_and_remove(rl: Rl, volume: Any) -> None:
    name = volume()
    assert rl.out("volume", "create", "--label", "of=test", "-l", "bare", name) == name
    assert rl.out("volume", "create", name) == name  # as Docker: it is there
    assert name in rl.out("volume", "ls", "-q").splitlines()
    assert rl.out("volume", "ls", "-f", f"name={name}").splitlines() == [
        "DRIVER    VOLUME NAME", f"local     {name}",
    ]  # fmt: skip
    assert rl.out("volume", "ls", "-qf", "label=of=test", "-f", f"name={name}") == name
    assert rl.out("volume", "ls", "-qf", "label=of=other", "-f", f"name={name}") == ""
    assert rl.out("volume", "ls", "-f", f"name={name}", "--format", "{{.Name}} {{.Labels}}") == (
        f"{name} of=test,bare="
    )
    shown = json.loads(rl.out("volume", "inspect", name))[0]
    assert shown["Labels"] == {"of": "test", "bare": ""}
    assert shown["Driver"] == "local" and shown["Scope"] == "local"
    assert os.path.isdir(shown["Mountpoint"])
    assert rl.out("inspect", "--type", "volume", "-f", "{{.Name}}", name) == name
    assert rl.out("volume", "rm", name) == name
    assert not os.path.exists(shown["Mountpoint"])
    rl.fails("volume", "rm", name, status=1, code="RL-VOLUME-NOT-FOUND")
    assert rl.out("volume", "rm", "-f", name) == name
    failed = rl.run("volume", "inspect", name, status=1)
    assert failed.stdout == "[]\n" and "RL-VOLUME-NOT-FOUND" in failed.stderr


def test_wrong_names_drivers_and_options_are_refused(rl: Rl) -> None:
    for words in (
        ["a/b"], ["x"], ["-d", "nfs", "some"], ["-o", "type=nfs", "-o", "device=:/x", "some"],
        ["-o", "nonsense=1", "some"], ["-o", "type=tmpfs", "-o", "o=size=lots", "some"],
        ["-o", "o=bind", "-o", "device=relative", "some"], ["-o", "size=1g", "some"],
    ):  # fmt: skip
        rl.fails("volume", "create", *words, code="RL-USAGE")
    rl.fails("volume", "create", "-o", "o=bind", "-o", "device=/nowhere/at/all", "some",
             status=1, code="RL-VOLUME-SOURCE")  # fmt: skip
    assert "some" not in rl.out("volume", "ls", "-q").splitlines()


def test_a_volume_in_use_is_never_removed(rl: Rl, volume: Any) -> None:
    name = volume()
    container = rl.out("create", "-v", f"{name}:/data", "busybox", "true")
    error = rl.fails("volume", "rm", "-f", name, status=1, code="RL-VOLUME-IN-USE")
    assert container[:12] in error
    rl.run("volume", "prune", "-af")
    assert name in rl.out("volume", "ls", "-q", "-f", "dangling=false").splitlines()
    rl.run("rm", "-v", container)  # a named volume stays
    assert name in rl.out("volume", "ls", "-q", "-f", "dangling=true").splitlines()


def test_prune_takes_nameless_ones_and_with_all_the_others(rl: Rl, volume: Any) -> None:
    name = volume()
    rl.run("volume", "create", "--label", f"mine={name}", name)
    nameless = rl.out("volume", "create", "--label", f"mine={name}")
    only = ["--filter", f"label=mine={name}"]
    asked = rl.run("volume", "prune", *only, input="n\n", status=1)
    assert "anonymous local volumes" in asked.stdout and "RL-CANCELLED" in asked.stderr
    first = rl.out("volume", "prune", "-f", *only)
    assert first == f"Deleted Volumes:\n{nameless}\n\nTotal reclaimed space: 0B"
    assert rl.out("volume", "prune", "-f", *only) == "Total reclaimed space: 0B"
    sh(rl, "-v", f"{name}:/d", script="head -c 1000 /dev/zero >/d/x")
    assert rl.out("volume", "prune", "-a", "-f", *only) == (
        f"Deleted Volumes:\n{name}\n\nTotal reclaimed space: 1kB"
    )


def test_first_use_copies_what_the_image_has(rl: Rl, volume: Any, project: Project) -> None:
    name, second = volume(), volume()
    files = project.build(
        "FROM busybox\n"
        "RUN mkdir -p /srv/data/deep && echo one >/srv/data/file && chmod 2750 /srv/data/deep"
        " && chown 33:44 /srv/data/file /srv/data && ln -s file /srv/data/link"
    )
    look = "stat -c '%u:%g %a %F %n' /v /v/file /v/deep /v/link; cat /v/file"
    place = ["-v", f"{name}:/srv/data"]
    sh(rl, *place, script="echo two >/srv/data/new", image=files)
    out = sh(rl, "-v", f"{name}:/v:ro", script=look).splitlines()
    assert out == [
        "33:44 755 directory /v", "33:44 644 regular file /v/file",
        "0:0 2750 directory /v/deep", "0:0 777 symbolic link /v/link", "one",
    ]  # fmt: skip
    assert sh(rl, *place, script="cat /srv/data/new", image=files) == "two"  # once only
    assert sh(rl, "-v", f"{second}:/srv/data:nocopy", script="ls /srv/data", image=files) == ""


def test_volumes_of_another_container(rl: Rl, volume: Any, tmp_path: Any) -> None:
    name = volume()
    (tmp_path / "f").write_text("host\n")
    first = rl.name()
    rl.run("create", "--name", first, "-v", f"{name}:/named", "-v", "/nameless", "-v",
           f"{tmp_path}:/host:ro", "--tmpfs", "/mem", "busybox", "true")  # fmt: skip
    both = ["--volumes-from", first]
    sh(rl, *both, script="echo 1 >/named/x; echo 2 >/nameless/x; ! touch /host/x; ls /host")
    out = sh(
        rl,
        "--volumes-from",
        f"{first}:ro",
        "-v",
        f"{tmp_path}:/named",
        script="cat /nameless/x; ls /named; touch /nameless/y || echo ro; ls -d /mem ||:",
    )
    assert out.splitlines() == ["2", "f", "ro"]
    second = rl.out("create", *both, "busybox", "true")
    assert rl.inspect(second)["HostConfig"]["VolumesFrom"] == [f"{first}:rw"]
    nameless = [m["Name"] for m in rl.inspect(first)["Mounts"] if m["Destination"] == "/nameless"]
    rl.run("rm", "-v", first)
    assert nameless[0] in rl.out("volume", "ls", "-q")  # the second has it
    rl.run("rm", "-v", second)
    left = rl.out("volume", "ls", "-q").splitlines()
    assert nameless[0] not in left and name in left
    rl.fails("run", "--rm", "--volumes-from", "nobody", "busybox", "true",
             code="RL-CONTAINER-NOT-FOUND")  # fmt: skip
    rl.fails("run", "--rm", "--volumes-from", f"{first}:rx", "busybox", "true", code="RL-USAGE")


def test_two_running_containers_share_a_volume_that_survives_them(rl: Rl, volume: Any) -> None:
    name = volume()
    first = rl.start("-v", f"{name}:/d")
    second = rl.start("-v", f"{name}:/d")
    rl.run("exec", first, "sh", "-c", "echo hello >/d/f")
    assert rl.out("exec", second, "cat", "/d/f") == "hello"
    rl.run("rm", "-fv", first, second)
    assert sh(rl, "-v", f"{name}:/d", script="cat /d/f") == "hello"


def test_a_volume_in_memory(rl: Rl, volume: Any) -> None:
    name = volume()
    rl.run("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o",
           "o=size=1m,mode=750,uid=7", name)  # fmt: skip
    look = "stat -fc %T /m; stat -c '%u %a' /m; df -k /m | awk 'NR==2{print $2}'"
    assert sh(rl, "-v", f"{name}:/m", script=look).splitlines() == ["tmpfs", "7 750", "1024"]
    holder = rl.out("create", "-v", f"{name}:/m", "busybox", "true")
    rl.fails("create", "-v", f"{name}:/m", "busybox", "true", status=1,
             code="RL-VOLUME-IN-USE")  # fmt: skip
    rl.run("rm", holder)
    rl.fails("volume", "export", name, status=1, code="RL-VOLUME-MEMORY")
    rl.fails("volume", "create", "-o", "o=bind", "-o", "device=/tmp", name, status=1,
             code="RL-VOLUME-EXISTS")  # fmt: skip


def test_a_volume_for_a_directory_of_the_host(rl: Rl, volume: Any, tmp_path: Any) -> None:
    name, other = volume(), volume()
    rl.run("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}", name)
    sh(rl, "-v", f"{name}:/d", script="echo x >/d/f")
    assert (tmp_path / "f").read_text() == "x\n"
    rl.run("volume", "rm", name)
    assert (tmp_path / "f").exists()
    spec = f"type=volume,src={other},dst=/d,volume-opt=o=bind,volume-opt=device={tmp_path}"
    assert sh(rl, "--mount", spec, script="cat /d/f") == "x"
    assert rl.out("volume", "inspect", "-f", "{{.Options.device}}", other) == str(tmp_path)


def test_subpath_stays_in_the_volume(rl: Rl, volume: Any) -> None:
    name = volume()
    sh(rl, "-v", f"{name}:/d", script="mkdir -p /d/a/b; echo in >/d/a/b/f; ln -s /etc /d/out")
    mount = f"type=volume,source={name},target=/s,volume-subpath="
    assert sh(rl, "--mount", f"{mount}a/b", script="cat /s/f") == "in"
    error = rl.fails(
        "run", "--rm", "--mount", f"{mount}out", "busybox", "true", code="RL-MOUNT-SOURCE"
    )
    assert "/out" in error and "No such file" in error  # the volume's own /etc, not the host's
    rl.fails("run", "--rm", "--mount", f"{mount}../x", "busybox", "true", code="RL-USAGE")


def test_export_and_import_keep_everything(rl: Rl, volume: Any, tmp_path: Any) -> None:
    name, copy = volume(), volume()
    sh(rl, "-v", f"{name}:/d", script="cd /d; echo x >f; ln f hard; ln -s f soft; mkdir d; "
       "chown 5:6 f; chmod 4711 f; chmod 1777 d; mkfifo p; touch .wh.odd; "
       "truncate -s 100M hole; echo end >>hole")  # fmt: skip
    archive = f"{tmp_path}/v.tar"
    rl.run("volume", "export", name, "-o", archive)
    assert os.path.getsize(archive) < 1 << 20  # the hole is none in the archive
    with open(archive, "rb") as file:
        done = subprocess.run([program(), "volume", "import", copy], stdin=file, env=rl.env,
                              capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{copy}\n"), done.stderr
    look = "cd /d; stat -c '%n %u %g %a %F %h %s %y' .wh.odd d f hard hole p soft; du hole"
    before, after = (sh(rl, "-v", f"{one}:/d", script=look) for one in (name, copy))
    assert before == after and "4711" in after
    error = rl.fails("volume", "import", copy, "/etc/hostname", status=1)
    assert "/etc/hostname is neither" in error
    assert "standard input is empty" in rl.fails("volume", "import", copy, status=1)
    rl.fails("volume", "import", "not-there-yet", "/etc/hostname", status=1)
    assert "not-there-yet" not in rl.out("volume", "ls", "-q")
    rl.fails("volume", "export", "nothing-there", status=1, code="RL-VOLUME-NOT-FOUND")


def test_imported_archives_cannot_leave_the_volume(rl: Rl, volume: Any, tmp_path: Any) -> None:
    name = volume()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        inner = tarfile.TarInfo("link/planted")
        archive.addfile(inner)
    path = tmp_path / "evil.tar"
    path.write_bytes(data.getvalue())
    rl.run("volume", "import", name, str(path), check=False)
    assert not (tmp_path / "planted").exists()
