"""config.json: Docker's rules for what options and image make together."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.runtime import spec
from rootless.runtime.exec_options import process_for_exec
from rootless.runtime.options import RunOptions

ID = "abcdef012345" + "0" * 52
HOST_LIMITS = {"nofile": (1024, 4096), "core": (0, -1)}


def options(**values):
    return RunOptions.from_values({"image": "busybox", **values}, environ={}, cwd="/work")


def build(image=None, facts=None, **values):
    names = iter(f"anonymous{number}" for number in range(9))
    config = {"Cmd": ["sh"], **(image or {})}
    return spec.build(
        options(**values),
        {"config": config, "layers": ["sha256:aa"]},
        **{
            "container_id": ID,
            "directory": "/store/c",
            "volume_path": lambda name: f"/store/v/{name}/_data",
            "host_has": lambda path: True,
            "new_volume_name": lambda: next(names),
            **(facts or {}),
        },
    )


def mounts(config):
    found = {mount["destination"]: mount for mount in config["mounts"]}
    assert len(found) == len(config["mounts"])
    return found


def order(config):
    return [mount["destination"] for mount in config["mounts"]]


@pytest.mark.parametrize(
    ("image", "values", "expected"),
    [
        ({"Cmd": ["a"]}, {}, ["a"]),
        ({"Cmd": ["a"]}, {"args": ["b", "c"]}, ["b", "c"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {}, ["e", "a"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"args": ["b"]}, ["e", "b"]),
        ({"Entrypoint": ["e"], "Cmd": None}, {}, ["e"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"entrypoint": "x"}, ["x"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"entrypoint": "x", "args": ["b"]}, ["x", "b"]),
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"entrypoint": "", "args": ["b"]}, ["b"]),
        ({"Entrypoint": [], "Cmd": ["a"]}, {}, ["a"]),
    ],
)
def test_command(image, values, expected):
    config = build(image, **values)
    assert config["process"]["args"] == expected
    assert config["rl"]["entrypoint"] + config["rl"]["command"] == expected


@pytest.mark.parametrize(
    ("image", "values"),
    [
        ({"Cmd": []}, {}),
        ({"Cmd": None, "Entrypoint": None}, {}),
        # A given entrypoint drops the image's command, the empty one too.
        ({"Entrypoint": ["e"], "Cmd": ["a"]}, {"entrypoint": ""}),
    ],
)
def test_no_command(image, values):
    with pytest.raises(UsageError, match="no command specified") as caught:
        build(image, **values)
    assert caught.value.code == "RL-NO-COMMAND"


def test_environment():
    image = {"Env": ["PATH=/image", "A=image", "GONE=1", "B=image"]}
    env = build(image, env=["A=mine", "GONE", "C=x=y"])["process"]["env"]
    assert env == ["PATH=/image", "HOSTNAME=abcdef012345", "A=mine", "C=x=y", "B=image"]
    env = build(tty=True)["process"]["env"]
    assert env[0] == "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert "TERM=xterm" in env
    assert "TERM=vt100" in build(tty=True, env=["TERM=vt100"])["process"]["env"]


_ENTRY = st.builds("{}={}".format, st.sampled_from("ABCD"), st.sampled_from("xyz"))


@given(st.lists(_ENTRY | st.sampled_from("ABCD")), st.lists(_ENTRY))
def test_each_variable_is_there_once_and_the_given_wins(given_env, image_env):
    env = build({"Env": image_env}, env=given_env)["process"]["env"]
    found = dict(entry.split("=", 1) for entry in env)
    assert len(found) == len(env)
    last = {entry.partition("=")[0]: entry for entry in given_env}
    for name in "ABCD":
        if name in last:
            assert (f"{name}={found[name]}" if name in found else name) == last[name]
        else:
            assert (name in found) == any(entry.startswith(f"{name}=") for entry in image_env)


def test_working_directory_user_and_stop_signal():
    image = {"WorkingDir": "/app", "User": "www", "StopSignal": "3", "Labels": {"a": "1", "b": "1"}}
    config = build(image, label=["b=2"])
    assert config["process"]["cwd"] == "/app"
    assert config["rl"]["user"] == "www"
    assert config["rl"]["stop_signal"] == "SIGQUIT"
    assert config["rl"]["labels"] == {"a": "1", "b": "2"}
    config = build(image, workdir="/w", user="0:5", stop_signal="INT", stop_timeout=3)
    assert config["process"]["cwd"] == "/w"
    assert config["rl"]["user"] == "0:5"
    assert (config["rl"]["stop_signal"], config["rl"]["stop_timeout"]) == ("SIGINT", 3)
    assert build()["process"]["cwd"] == "/"
    assert build()["rl"]["stop_timeout"] == 10


@pytest.mark.parametrize(
    ("values", "user"),
    [
        ({}, "www"),
        ({"userns": "keep-id"}, "1001:100"),
        ({"userns": "keep-id:uid=7"}, "7:100"),
        ({"userns": "keep-id", "user": "root"}, "root"),
    ],
)
def test_keep_id_runs_as_the_caller(values, user):
    config = build({"User": "www"}, facts={"caller": (1001, 100)}, **values)
    assert config["rl"]["user"] == user


def test_default_mounts():
    found = mounts(build())
    assert found["/proc"]["type"] == "proc"
    assert found["/dev"]["options"] == ["nosuid", "strictatime", "mode=755", "size=65536k"]
    assert "gid=5" in found["/dev/pts"]["options"]
    assert "size=67108864" in found["/dev/shm"]["options"]
    assert found["/dev/mqueue"]["type"] == "mqueue"
    assert found["/sys"]["type"] == "sysfs"
    assert "ro" in found["/sys"]["options"]
    assert found["/sys/fs/cgroup"]["type"] == "cgroup2"
    assert found["/etc/hosts"]["source"] == "/store/c/hosts"
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        assert found[f"/dev/{name}"]["source"] == f"/dev/{name}"
    assert ["/proc/self/fd", "/dev/fd"] in build()["rl"]["links"]


def test_facts_change_the_mounts():
    assert "gid=5" not in mounts(build(facts={"tty_group": False}))["/dev/pts"]["options"]
    assert "size=1024" in mounts(build(shm_size="1k"))["/dev/shm"]["options"]
    found = mounts(build(read_only=True))
    assert "ro" in found["/etc/hosts"]["options"]
    assert build(read_only=True)["root"]["readonly"]
    found = mounts(build(privileged=True, facts={"host_devices": ["/dev/fuse"]}))
    assert "/dev/fuse" in found
    assert "ro" not in found["/sys"]["options"]
    assert "/dev/fuse" not in mounts(build(facts={"host_devices": ["/dev/fuse"]}))


def test_the_hosts_namespaces():
    def kinds(**values):
        return {entry["type"] for entry in build(**values)["linux"]["namespaces"]}

    assert kinds() == {"user", "mount", "pid", "ipc", "uts", "cgroup", "network"}
    everything = {"network": "host", "ipc": "host", "pid": "host", "uts": "host"}
    assert kinds(**everything, cgroupns="host") == {"user", "mount"}
    found = mounts(build(**everything, cgroupns="host"))
    for path in ("/proc", "/sys", "/dev/shm", "/dev/mqueue", "/sys/fs/cgroup"):
        assert found[path]["type"] == "bind"
        assert found[path]["source"] == path
    assert "/dev/shm" not in mounts(build(ipc="none"))
    no_mqueue = {"host_has": lambda path: path == "/dev/shm"}
    found = mounts(build(ipc="host", facts=no_mqueue))
    assert "/dev/shm" in found
    assert "/dev/mqueue" not in found


def test_the_users_mounts_come_last_the_deepest_after_their_parents():
    config = build(
        {"Volumes": {"/data": {}, "/image": {}}},
        volume=["/h/deep:/srv/a/b:ro", "vol:/srv", "./d:/data", "/h:/etc"],
        tmpfs=["/run:size=1m,tmpcopyup,private"],
        mount=["type=bind,src=/m,dst=/m,bind-recursive=disabled,ro"],
    )
    found, places = mounts(config), order(config)
    assert found["/srv/a/b"]["options"] == ["rbind", "rprivate", "rro"]
    assert found["/srv"]["source"] == "/store/v/vol/_data"
    assert found["/m"]["options"] == ["bind", "rprivate", "ro"]
    assert found["/run"]["options"] == ["noexec", "nosuid", "nodev", "size=1m"]
    assert places.index("/srv") < places.index("/srv/a/b")
    assert places.index("/etc") < places.index("/etc/hosts")
    assert places.index("/sys/fs/cgroup") < places.index("/srv")
    assert found["/image"]["source"] == "/store/v/anonymous0/_data"
    extension = config["rl"]
    assert [(v["name"], v["anonymous"]) for v in extension["volumes"]] == [
        ("vol", False),
        ("anonymous0", True),
    ]
    assert ["/image", "/store/v/anonymous0/_data"] in extension["copy_up"]
    assert extension["tmpfs_copy_up"] == ["/run"]
    assert extension["create"] == ["/h/deep", "/work/d", "/h"]


def test_the_user_may_mount_over_a_default():
    found = mounts(build(volume=["/h:/dev/shm", "/hosts:/etc/hosts", "/c:/sys/fs/cgroup"]))
    assert found["/dev/shm"]["source"] == "/h"
    assert found["/etc/hosts"]["source"] == "/hosts"
    config = build(volume=["/dev:/dev"])
    assert [place for place in order(config) if place.startswith("/dev")] == ["/dev"]
    assert config["rl"]["links"] == []


def test_devices_and_volume_options():
    config = build(
        device=["/dev/kvm:/dev/vm:r"],
        mount=["src=vol,dst=/v,volume-subpath=a,volume-nocopy,volume-label=k=v"],
        volume=["/own:/own:U"],
    )
    assert mounts(config)["/dev/vm"]["source"] == "/dev/kvm"
    place = mounts(config)["/v"]
    assert (place["source"], place["subpath"]) == ("/store/v/vol/_data", "a")
    (volume,) = config["rl"]["volumes"]
    assert volume["labels"] == {"k": "v"}
    assert config["rl"]["chown"] == ["/own"]
    assert config["rl"]["copy_up"] == []


def test_inspect_mounts():
    shown = build(volume=["/h:/c:ro,z", "vol:/v"], tmpfs=["/t"])["rl"]["mounts"]
    assert shown[0] == {
        "Type": "bind",
        "Source": "/h",
        "Destination": "/c",
        "Mode": "ro,z",
        "RW": False,
        "Propagation": "rprivate",
    }
    assert (shown[1]["Name"], shown[1]["Driver"]) == ("vol", "local")
    assert shown[2]["Type"] == "tmpfs"


def test_hidden_paths():
    linux = build()["linux"]
    assert "/proc/kcore" in linux["maskedPaths"]
    assert "/proc/sys" in linux["readonlyPaths"]
    linux = build(security_opt=["unmask=/proc/kcore:/proc/sys", "mask=/etc/shadow"])["linux"]
    assert "/proc/kcore" not in linux["maskedPaths"]
    assert "/etc/shadow" in linux["maskedPaths"]
    assert "/proc/sys" not in linux["readonlyPaths"]
    assert "/proc/sysrq-trigger" in linux["readonlyPaths"]
    for words in (["systempaths=unconfined"], ["unmask=ALL"]):
        linux = build(security_opt=words)["linux"]
        assert (linux["maskedPaths"], linux["readonlyPaths"]) == ([], [])
    assert build(privileged=True)["linux"]["maskedPaths"] == []


def test_capabilities_and_privileges():
    process = build(cap_drop=["ALL"], cap_add=["CHOWN"], security_opt=["no-new-privileges"])
    sets = process["process"]["capabilities"]
    assert sets["bounding"] == sets["effective"] == sets["permitted"] == ["CAP_CHOWN"]
    assert sets["inheritable"] == sets["ambient"] == []
    assert process["process"]["noNewPrivileges"]
    assert not build()["process"]["noNewPrivileges"]


def test_limits():
    process = build(ulimit=["core=-1"], facts={"host_limits": HOST_LIMITS})["process"]
    limits = {entry["type"]: (entry["soft"], entry["hard"]) for entry in process["rlimits"]}
    assert limits == {"RLIMIT_NOFILE": (4096, 4096), "RLIMIT_CORE": (2**64 - 1, 2**64 - 1)}
    with pytest.raises(UsageError, match="your own hard limit is 4096"):
        build(ulimit=["nofile=5000"], facts={"host_limits": HOST_LIMITS})


def test_resources():
    assert build()["linux"]["resources"] == {}
    found = build(memory="64m", cpus="1.5", cpuset_cpus="0-1", pids_limit=5)["linux"]["resources"]
    assert found == {
        "memory": {"limit": 64 << 20, "swap": 128 << 20},
        "cpu": {"quota": 150000, "period": 100000, "cpus": "0-1"},
        "pids": {"limit": 5},
    }


def test_ports():
    image = {"ExposedPorts": {"80/tcp": {}, "53/udp": {}, "99": {}}}
    network = build(image, publish=["8080:80", "1:2"], expose=["7"])["rl"]["network"]
    assert network["exposed"] == ["2/tcp", "53/udp", "7/tcp", "80/tcp", "99/tcp"]
    assert len(network["ports"]) == 2
    network = build(image, publish=["8080:80"], publish_all=True)["rl"]["network"]
    random = [p for p in network["ports"] if not p["host_port"]]
    assert sorted((p["container_port"], p["protocol"]) for p in random) == [
        (53, "udp"),
        (99, "tcp"),
    ]
    with pytest.raises(UsageError, match="SCTP"):
        build({"ExposedPorts": {"5/sctp": {}}}, publish_all=True)
    assert build({"ExposedPorts": {"5/sctp": {}}})["rl"]["network"]["ports"] == []


def test_hostname():
    assert build()["hostname"] == "abcdef012345"
    assert build(hostname="web")["hostname"] == "web"
    host = {"host_hostname": "big"}
    assert build(network="host", facts=host)["hostname"] == "big"
    assert build(uts="host", facts=host)["hostname"] == "big"
    assert build(facts=host)["hostname"] == "abcdef012345"
    assert build(domainname="example.org")["domainname"] == "example.org"
    assert "domainname" not in build()


def test_the_config_is_json():
    config = build(facts={"seccomp": "/f.bpf", "driver": "slirp4netns"}, cap_add=["ALL"])
    assert json.loads(json.dumps(config)) == config
    assert config["rl"]["seccomp"] == "/f.bpf"
    assert config["rl"]["network"]["driver"] == "slirp4netns"
    assert config["rl"]["layers"] == ["sha256:aa"]


def exec_(config=None, environ=None, **values):
    container = config or build({"User": "www", "WorkingDir": "/app"}, group_add=["video"])
    values.setdefault("args", ["ls"])
    return process_for_exec(values, container, environ=environ or {}, cwd="/work")


def test_exec_takes_over_the_containers_settings():
    process = exec_()
    assert process["args"] == ["ls"]
    assert process["cwd"] == "/app"
    assert process["rl"]["user"] == "www"
    assert process["rl"]["groups"] == ["video"]
    assert process["capabilities"]["bounding"][0] == "CAP_CHOWN"


def test_exec_with_its_own_settings():
    process = exec_(
        build({"Env": ["A=1", "B=1"]}, facts={"seccomp": "/f"}, group_add=["video"]),
        environ={"HOME": "/me"},
        env=["A=2", "HOME", "B"],
        tty=True,
        interactive=True,
        user="root",
        workdir="/w",
        privileged=True,
    )
    assert "A=2" in process["env"]
    assert "HOME=/me" in process["env"]
    assert "TERM=xterm" in process["env"]
    assert not any(entry.startswith("B=") for entry in process["env"])
    assert process["terminal"]
    assert process["rl"]["interactive"]
    assert process["cwd"] == "/w"
    assert (process["rl"]["user"], process["rl"]["groups"]) == ("root", [])
    assert process["rl"]["seccomp"] == ""
    assert "CAP_SYS_ADMIN" in process["capabilities"]["effective"]


def test_exec_detached_has_a_terminal_and_no_input():
    process = exec_(detach=True, tty=True, interactive=True)
    assert process["terminal"] and not process["rl"]["interactive"]
    assert not process["rl"]["interactive"]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"args": []}, "no command specified"),
        ({"workdir": "x"}, "needs to be an absolute path"),
        ({"user": "a b"}, "invalid --user"),
        ({"detach_keys": "xx"}, "invalid detach keys"),
        ({"env": ["=x"]}, "invalid environment variable"),
    ],
)
def test_bad_exec(values, match):
    with pytest.raises(UsageError, match=match):
        exec_(**values)
