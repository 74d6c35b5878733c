"""--mount type=image, and every word of --mount and -v on a real container, in any order."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.builds import Project
from support.program import Rl


def sh(rl: Rl, *options: str, script: str, image: str = "busybox", status: int = 0) -> str:
    run = ("run", "--rm", "--network", "none", *options, image, "sh", "-c", script)
    return rl.out(*run, status=status)


@pytest.fixture
def tools(rl: Rl, project: Project) -> str:
    """An image of three layers: one hides a file of another."""
    project.write({"a": "lower", "b": "upper", "c": "gone"})
    name = rl.name()
    project.dockerfile(
        """
        FROM scratch
        COPY --chown=5:6 a b c /opt/tools/
        COPY b /opt/tools/a
        COPY b /top
        """
    )
    rl.run("build", "-q", "-t", name, project.directory)
    return name


def test_an_image_is_mounted_read_only(rl: Rl, tools: str) -> None:
    out = sh(
        rl, "--mount", f"type=image,source={tools},target=/mnt/t",
        script="cat /mnt/t/opt/tools/a /mnt/t/opt/tools/c /mnt/t/top; stat -c %u:%g /mnt/t/opt/"
        "tools/c; touch /mnt/t/x 2>&1 | grep -c Read-only; grep -c ' /mnt/t overlay' /proc/mounts",
    )  # fmt: skip
    assert out == "uppergoneupper5:6\n1\n1"
    subpath = f"type=image,src={tools},dst=/mnt/t,"
    for key in ("image-subpath=opt/tools", "subpath=/opt/tools/"):
        assert sh(rl, "--mount", subpath + key, script="ls /mnt/t").split() == ["a", "b", "c"]
    file = f"type=image,src={tools},dst=/etc/motd,image-subpath=opt/tools/a"
    assert sh(rl, "--mount", file, script="cat /etc/motd; rm /etc/motd 2>/dev/null || echo no") == (
        "upperno"
    )


def test_what_is_written_with_rw_is_lost(rl: Rl, tools: str) -> None:
    how = f"type=image,src={tools},dst=/mnt/t,rw"
    name = rl.name()
    script = "ls /mnt/t/opt/tools; echo x >/mnt/t/new; chown 7:8 /mnt/t/new; rm /mnt/t/opt/tools/a"
    rl.run(
        "run", "--name", name, "--network", "none", "--mount", how, "busybox", "sh", "-c", script
    )
    again = rl.run("start", "-a", name).stdout
    assert again.split() == ["a", "b", "c"], "each start begins with the image"
    place = f"{rl.store}/containers/{rl.inspect(name)['Id']}/images/0/upper"
    assert os.listdir(place) == []
    shown = rl.inspect(name)["Mounts"]
    assert [(m["Type"], m["Source"], m["Destination"], m["RW"]) for m in shown] == [
        ("image", tools, "/mnt/t", True)
    ]
    assert "new" not in rl.out("diff", name)
    rl.fails("cp", __file__, f"{name}:/mnt/t/y", status=1)
    rl.run("rm", name)
    assert sh(rl, "--mount", how, script="cat /mnt/t/opt/tools/a") == "upper"


def test_other_users_and_drivers(rl: Rl, tools: str, no_leftovers: None) -> None:
    how = f"type=image,src={tools},dst=/mnt/t"
    script = "cat /mnt/t/opt/tools/a; stat -c :%u:%g /mnt/t/opt/tools/c"
    for more in (["--userns", "keep-id"], ["--storage-driver", "fuse-overlayfs"],
                 ["--storage-driver", "copy"]):  # fmt: skip
        assert sh(rl, "--mount", how, *more, script=script) == "upper:5:6", more
    kept = sh(rl, "--mount", f"{how},rw", "--userns", "keep-id", "-u", "0",
              script="echo y >/mnt/t/y; cat /mnt/t/y")  # fmt: skip
    assert kept == "y"
    rl.fails("run", "--rm", "--storage-driver", "copy", "--mount", f"{how},rw", "busybox", "true",
             code="RL-USAGE")  # fmt: skip
    rl.fails("run", "--rm", "--mount", "type=image,src=none/such,dst=/t", "busybox", "true",
             code="RL-IMAGE-NOT-FOUND")  # fmt: skip
    rl.fails("run", "--rm", "--network", "none", "--mount", f"{how},image-subpath=no", "busybox",
             "true", code="RL-MOUNT-SOURCE")  # fmt: skip


def test_the_image_stays_as_long_as_a_container_has_it(rl: Rl, tools: str) -> None:
    name = rl.name()
    how = f"type=image,src={tools},dst=/mnt/t"
    rl.run("create", "--name", name, "--network", "none", "--mount", how, "busybox",
           "cat", "/mnt/t/opt/tools/a")  # fmt: skip
    image = rl.out("inspect", "--format", "{{.Id}}", tools)
    rl.fails("rmi", image, status=1, code="RL-IMAGE-IN-USE")
    rl.run("rmi", "-f", image)
    rl.run("image", "prune", "-af")
    assert rl.out("start", "-a", name) == "upper"
    forked = rl.name()
    rl.run("fork", name, forked)
    assert rl.out("start", "-a", forked) == "upper"
    rl.run("rm", name, forked)


@pytest.mark.needs("fuse", "squashfuse", "sqfstar")
def test_an_image_of_a_shared_store(
    fresh_store: Callable[..., Rl], tools: str, rl: Rl, tmp_path: Any
) -> None:
    published = f"{tmp_path}/published"
    rl.run("image", "publish", published, tools)
    other = fresh_store(busybox=True)
    other.env["RL_IMAGE_STORES"] = published
    how = f"type=image,src={tools},dst=/mnt/t"
    assert sh(other, "--mount", how, script="cat /mnt/t/opt/tools/a /mnt/t/top") == "upperupper"


def test_mounts_below_mounts_in_any_order(rl: Rl, tools: str, tmp_path: Any) -> None:
    """Each is seen, whatever order they are written in: parents are mounted first."""
    for name in ("host", "host/in", "deep"):
        os.mkdir(f"{tmp_path}/{name}")
        Path(f"{tmp_path}/{name}/here").write_text(name)
    Path(f"{tmp_path}/file").write_text("file")
    given = [
        ("-v", f"{tmp_path}/file:/m/img/opt/deep/file:ro"),
        ("--mount", f"type=image,src={tools},dst=/m/img,rw"),
        ("--tmpfs", "/m/img/opt/tmp:size=1m"),
        ("-v", f"{tmp_path}/deep:/m/img/opt/deep"),
        ("-v", "/m/img/opt/tmp/volume"),
        ("--mount", f"type=bind,src={tmp_path}/host,dst=/m,ro,bind-recursive=writable"),
    ]
    os.makedirs(f"{tmp_path}/host/img")
    script = (
        "cat /m/here /m/img/opt/deep/here /m/img/opt/tools/a; cat /m/img/opt/deep/file;"
        " touch /m/img/opt/tmp/volume/x /m/img/opt/tmp/y /m/img/z && echo +;"
        " touch /m/new 2>/dev/null || echo -"
    )
    for order in (given, given[::-1]):
        out = sh(rl, *[word for pair in order for word in pair], script=script)
        assert out.replace("\n", "") == "hostdeepupperfile+-"


def options_of(rl: Rl, path: str, *given: str) -> set[str]:
    """The options of the mount on `path`, by /proc/self/mountinfo, with its propagation."""
    line = sh(rl, *given, script=f"grep ' {path} ' /proc/self/mountinfo").split()
    return set(line[5].split(",")) | set(line[6 : line.index("-")])


@pytest.mark.parametrize(
    ("words", "there", "absent"),
    [
        ("ro", {"ro"}, {"rw"}),
        ("rw", {"rw"}, {"ro"}),
        ("z", {"rw"}, set()),
        ("Z,ro", {"ro"}, set()),
        ("rbind,rprivate", {"rw"}, {"shared", "master"}),
        ("private,cached", {"rw"}, set()),
        ("delegated", {"rw"}, set()),
        ("consistent,noexec", {"noexec"}, set()),
        ("nosuid,nodev", {"nosuid", "nodev"}, set()),
        ("exec,suid,dev", {"rw"}, {"noexec"}),
    ],
)
def test_words_of_volume(
    rl: Rl, tmp_path: Any, words: str, there: set[str], absent: set[str]
) -> None:
    found = options_of(rl, "/d", "-v", f"{tmp_path}:/d:{words}")
    assert there <= found and not absent & found


def test_propagation(rl: Rl, tmp_path: Any) -> None:
    """A slave has a master; shared is a peer group in the container: namespaces of others' are
    slaves anyway (mount_namespaces(7))."""
    for word in ("slave", "rslave"):
        found = options_of(rl, "/d", "-v", f"{tmp_path}:/d:{word}")
        assert not any(one.startswith("shared") for one in found)
    for word in ("shared", "rshared"):
        found = options_of(rl, "/d", "--mount",
                           f"type=bind,src={tmp_path},dst=/d,bind-propagation={word}")  # fmt: skip
        assert any(one.startswith("shared:") for one in found)


def test_words_of_mount(rl: Rl, tmp_path: Any) -> None:
    os.makedirs(f"{tmp_path}/sub")
    bind = f"type=bind,src={tmp_path},dst=/d"
    for more in ("", ",consistency=cached", ",consistency=delegated", ",bind-propagation=rprivate",
                 ",bind-recursive=enabled", ",rw=true", ",bind-recursive=disabled",
                 ",bind-nonrecursive"):  # fmt: skip
        assert "rw" in options_of(rl, "/d", "--mount", bind + more), more
    for more in (",ro", ",readonly=1", ",rw=false", ",ro,bind-recursive=writable",
                 ",ro,bind-recursive=readonly,bind-propagation=rprivate"):  # fmt: skip
        assert "ro" in options_of(rl, "/d", "--mount", bind + more), more
    if os.path.ismount("/dev/shm"):
        shm = "cd /d/shm; (>rl-test) 2>/dev/null && echo rw; rm -f rl-test; :"
        below = "type=bind,src=/dev,dst=/d,ro"
        assert sh(rl, "--mount", below, script=shm) == ""
        assert sh(rl, "--mount", f"{below},bind-recursive=writable", script=shm) == "rw"
        covered = f"{below},bind-recursive=disabled"
        error = rl.fails("run", "--rm", "--mount", covered, "busybox", "true", code="RL-NEEDS-ROOT")
        assert "/dev without what is mounted below it" in error
    made = f"{tmp_path}/made/here"
    sh(rl, "--mount", f"type=bind,src={made},dst=/d,bind-create-src", script="touch /d/x")
    assert os.path.exists(f"{made}/x")
    size = sh(rl, "--mount", "type=tmpfs,dst=/d,tmpfs-size=3m,tmpfs-mode=0710",
              script="df -k /d | tail -n 1; stat -c %a /d")  # fmt: skip
    assert "3072" in size and size.endswith("710")
    volume = rl.name()
    sh(rl, "--mount", f"src={volume},dst=/bin2,volume-label=a=b,volume-nocopy", script="ls /bin2")
    assert rl.inspect(volume)["Labels"] == {"a": "b"}
    copied = sh(rl, "--mount", f"src={volume}n,dst=/etc,volume-nocopy", script="ls /etc")
    assert "passwd" not in copied
    tmpfs = sh(rl, "--mount", f'src={volume}t,dst=/d,volume-opt=type=tmpfs,volume-opt=device=tmpfs,'
               '"volume-opt=o=size=2m"', script="df -k /d | tail -n 1")  # fmt: skip
    assert "2048" in tmpfs
    rl.run("volume", "rm", volume, f"{volume}n", f"{volume}t")
    found = options_of(rl, "/d", "--tmpfs", "/d:strictatime,nodiratime,exec,sync,size=5%,uid=3")
    assert "nodiratime" in found and not {"relatime", "noexec"} & found
    rl.fails("run", "--rm", "--tmpfs", "/d:noswap", "busybox", "true", code="RL-USAGE")
    name = rl.name("v")
    sh(rl, "--volume-driver", "local", "-v", f"{name}:/d", script="touch /d/x")
    rl.run("volume", "rm", name)
    rl.fails("run", "--rm", "--volume-driver", "nfs", "-v", f"{name}:/d", "busybox", "true",
             code="RL-USAGE")  # fmt: skip


def test_words_that_need_root_are_refused(rl: Rl, tmp_path: Any) -> None:
    for spec in (f"{tmp_path}:/d:O", f"{tmp_path}:/d:idmap", f"{tmp_path}:/d:upperdir=/x"):
        said = rl.fails("run", "--rm", "-v", spec, "busybox", "true", code="RL-USAGE")
        assert "unknown option" in said
    assert "only root" in rl.fails("create", "-v", f"{tmp_path}:/d:idmap", "busybox")
    for spec in ("type=npipe,src=x,dst=/d", "type=bind,src=/,dst=/d,relabel=shared",
                 "type=volume,src=vv,dst=/d,volume-driver=nfs"):  # fmt: skip
        rl.fails("run", "--rm", "--mount", spec, "busybox", "true", code="RL-USAGE")


def test_u_gives_the_files_to_the_user(rl: Rl, tmp_path: Any) -> None:
    Path(f"{tmp_path}/f").write_text("x")
    out = sh(
        rl, "-u", "33:34", "-v", f"{tmp_path}:/d:U", script="stat -c %u:%g /d /d/f; touch /d/g"
    )
    assert out.split() == ["33:34", "33:34"]
    sh(rl, "-v", f"{tmp_path}:/d:U", script="ls -ln /d")
    assert os.stat(f"{tmp_path}/f").st_uid == os.getuid()
