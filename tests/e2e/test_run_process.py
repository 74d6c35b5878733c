"""What the container's process gets: command, environment, directory, user, hostname."""

import os
import resource

import pytest
from support.program import Rl


def sh(rl: Rl, *args: str, image: str = "busybox", script: str) -> str:
    return rl.out("run", "--rm", "--network", "none", *args, image, "sh", "-c", script)


def test_entrypoint_and_command_of_the_image(rl: Rl, entry_image: str) -> None:
    assert rl.out("run", "--rm", entry_image) == "entry from image"


def test_arguments_replace_the_command_and_keep_the_entrypoint(rl: Rl, entry_image: str) -> None:
    assert rl.out("run", "--rm", entry_image, "mine") == "entry mine"


def test_entrypoint_option_drops_the_images_command(rl: Rl, entry_image: str) -> None:
    assert rl.out("run", "--rm", "--entrypoint", "/bin/echo", entry_image) == ""
    assert rl.out("run", "--rm", "--entrypoint", "/bin/echo", entry_image, "x") == "x"


def test_empty_entrypoint_resets_the_images(rl: Rl, entry_image: str) -> None:
    assert rl.out("run", "--rm", "--entrypoint", "", entry_image, "echo", "plain") == "plain"


def test_image_without_command_is_an_error(rl: Rl, ann_image: str, no_leftovers: None) -> None:
    rl.fails("run", "--rm", ann_image)


def test_environment_of_image_options_and_caller(rl: Rl, entry_image: str) -> None:
    env = rl.out(
        "run", "--rm", "-e", "BOTH=option", "-e", "FROM_HOST", "-e", "NOT_SET_ON_HOST",
        "--entrypoint", "env", entry_image, env={"FROM_HOST": "host value", "OTHER": "x"},
    ).splitlines()  # fmt: skip
    assert {"FROM_IMAGE=yes", "BOTH=option", "FROM_HOST=host value", "PATH=/bin"} <= set(env)
    names = {line.partition("=")[0] for line in env}
    assert "NOT_SET_ON_HOST" not in names and "OTHER" not in names
    assert "HOME=/home/ann" in env
    assert any(line.startswith("HOSTNAME=") for line in env)


def test_environment_without_an_images_path_has_docker_s(rl: Rl, ann_image: str) -> None:
    env = rl.out("run", "--rm", ann_image, "env").splitlines()
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in env


def test_env_file(rl: Rl, tmp_path: object) -> None:
    path = f"{tmp_path}/env"
    with open(path, "w") as f:
        f.write('# comment\n\nA=1\nQUOTED="kept as is"\nB=x=y\nFROM_HOST\n')
    env = rl.out(
        "run", "--rm", "--env-file", path, "-e", "A=2", "busybox", "env", env={"FROM_HOST": "h"}
    ).splitlines()
    assert {"A=2", 'QUOTED="kept as is"', "B=x=y", "FROM_HOST=h"} <= set(env)
    rl.fails("run", "--rm", "--env-file", f"{path}.none", "busybox", "true")


def test_working_directory(rl: Rl, entry_image: str) -> None:
    assert rl.out("run", "--rm", "--entrypoint", "pwd", entry_image) == "/home"
    assert sh(rl, "-w", "/made/by/run", script="pwd") == "/made/by/run"
    assert sh(rl, script="pwd") == "/"
    rl.fails("run", "--rm", "-w", "relative", "busybox", "true")


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("ann", "1000:1000:1000 50"),
        ("1000", "1000:1000:1000 50"),
        ("ann:staff", "1000:50:50"),
        ("ann:50", "1000:50:50"),
        ("1234", "1234:0:0"),
        ("1234:4321", "1234:4321:4321"),
        ("0", "0:0:0"),
    ],
)
@pytest.mark.needs("subids")
def test_user_is_looked_up_in_the_container(
    rl: Rl, ann_image: str, user: str, expected: str
) -> None:
    script = "echo $(id -u):$(id -g):$(id -G)"
    assert sh(rl, "-u", user, image=ann_image, script=script) == expected


def test_unknown_user_is_an_error(rl: Rl, ann_image: str, no_leftovers: None) -> None:
    assert "bob" in rl.fails("run", "--rm", "-u", "bob", ann_image, "true")


@pytest.mark.needs("subids")
def test_user_of_the_image_and_home(rl: Rl, entry_image: str) -> None:
    out = rl.out("run", "--rm", "--entrypoint", "/bin/sh", entry_image, "-c", "id -un; echo $HOME")
    assert out.split() == ["ann", "/home/ann"]


@pytest.mark.needs("subids")
def test_group_add(rl: Rl, ann_image: str) -> None:
    groups = sh(rl, "--group-add", "staff", "--group-add", "777", image=ann_image, script="id -G")
    assert {"50", "777"} <= set(groups.split())


def test_keep_id_maps_the_caller_to_the_same_id(rl: Rl) -> None:
    assert sh(rl, "--userns", "keep-id", script="id -u; id -g").split() == [
        str(os.getuid()),
        str(os.getgid()),
    ]


def test_hostname_defaults_to_the_short_id(rl: Rl) -> None:
    container = rl.start(command="hostname; cat /etc/hostname; sleep 100")
    log = rl.wait_log(container, container[:12] + "\n" + container[:12])
    assert log.split() == [container[:12]] * 2


def test_hostname_and_domainname(rl: Rl) -> None:
    script = "hostname; cat /etc/hostname /proc/sys/kernel/domainname /etc/hosts"
    args = ["-h", "box", "--domainname", "lab.test", "busybox", "sh", "-c", script]
    out = rl.out("run", "--rm", *args)
    lines = out.splitlines()
    assert lines[:3] == ["box", "box", "lab.test"]
    assert any("box" in line.split() for line in lines[3:])


def test_add_host_and_dns(rl: Rl) -> None:
    out = rl.out(
        "run", "--rm", "--add-host", "db:10.1.2.3", "--add-host", "six=fd00::1",
        "--dns", "192.0.2.53", "--dns-search", "lab.test", "--dns-option", "ndots:2",
        "busybox", "cat", "/etc/hosts", "/etc/resolv.conf",
    )  # fmt: skip
    lines = [line.split() for line in out.splitlines()]
    assert ["10.1.2.3", "db"] in lines and ["fd00::1", "six"] in lines
    assert ["nameserver", "192.0.2.53"] in lines
    assert ["search", "lab.test"] in lines and ["options", "ndots:2"] in lines
    assert ["127.0.0.1", "localhost"] in [line[:2] for line in lines]


def test_ulimits(rl: Rl) -> None:
    out = sh(rl, "--ulimit", "nofile=100:200", "--ulimit", "core=0",
             script="ulimit -Sn; ulimit -Hn; ulimit -c")  # fmt: skip
    assert out.split() == ["100", "200", "0"]


def test_ulimit_above_the_callers_is_an_error(rl: Rl, no_leftovers: None) -> None:
    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))

    rl.fails("run", "--rm", "--ulimit", "nofile=1024", "busybox", "true", preexec_fn=low)


def test_sysctl_of_the_containers_namespaces(rl: Rl) -> None:
    assert (
        sh(rl, "--sysctl", "net.ipv4.ip_unprivileged_port_start=80",
           script="cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == "80"
    )  # fmt: skip
    rl.fails("run", "--rm", "--sysctl", "vm.swappiness=1", "busybox", "true")


def test_shm_size(rl: Rl) -> None:
    assert sh(rl, script="df -k /dev/shm | awk 'NR==2 {print $2}'") == "65536"
    assert sh(rl, "--shm-size", "1m", script="df -k /dev/shm | awk 'NR==2 {print $2}'") == "1024"


def test_labels(rl: Rl, entry_image: str, tmp_path: object) -> None:
    path = f"{tmp_path}/labels"
    with open(path, "w") as f:
        f.write("file=1\n")
    container = rl.out(
        "run", "-d", "--label", "both=option", "-l", "empty", "--label-file", path,
        "--entrypoint", "sleep", entry_image, "100",
    )  # fmt: skip
    labels = rl.inspect(container)["Config"]["Labels"]
    assert labels == {"kind": "test", "both": "option", "empty": "", "file": "1"}


@pytest.mark.parametrize(
    "args",
    [
        ["--no-such-flag"],
        ["-e"],
        ["--memory", "lots"],
        ["-p", "nonsense"],
        ["-v", "relative/path:relative"],
        ["--ulimit", "nofile"],
        ["--network", "no-such-network"],
        ["--name", "!bad"],
        ["--cap-add", "NO_SUCH_CAPABILITY"],
        ["--security-opt", "nonsense"],
        ["--pull", "sometimes"],
        ["--rm", "--restart", "always"],
    ],
)
def test_bad_option_is_one_line_and_125(rl: Rl, no_leftovers: None, args: list[str]) -> None:
    rl.fails("run", *args, "busybox", "true")
