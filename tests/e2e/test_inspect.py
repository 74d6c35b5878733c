"""inspect, --format, version, info, explain and help."""

import json

import pytest
from support.program import Rl


def test_inspect_has_docker_s_fields(rl: Rl, ann_image: str) -> None:
    name = rl.name()
    container = rl.out(
        "run", "-d", "--name", name, "-e", "A=1", "-w", "/tmp", "-h", "box", "-v", "/anon",
        "--tmpfs", "/scratch", "--cap-add", "SYS_PTRACE", "--label", "x=y", "-u", "ann",
        "--network", "none", "--read-only", "--init", ann_image, "sleep", "100",
    )  # fmt: skip
    shown = rl.inspect(name)
    assert shown["Id"] == container and shown["Name"] == f"/{name}"
    assert shown["Path"] == "sleep" and shown["Args"] == ["100"]
    assert shown["Image"].startswith("sha256:") and shown["Created"].endswith("Z")
    config, host, state = shown["Config"], shown["HostConfig"], shown["State"]
    assert config["Hostname"] == "box" and config["User"] == "ann"
    assert config["WorkingDir"] == "/tmp" and "A=1" in config["Env"]
    assert config["Image"] == ann_image and config["Cmd"] == ["sleep", "100"]
    assert host["NetworkMode"] == "none" and host["ReadonlyRootfs"] is True
    assert "SYS_PTRACE" in str(host["CapAdd"]) and host["Init"] is True
    assert state["Status"] == "running" and state["Running"] is True and state["Pid"] > 1
    assert state["StartedAt"] >= shown["Created"]
    assert {m["Destination"] for m in shown["Mounts"]} >= {"/anon"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.State.Status}}", "running"),
        ("{{ .State.Running }}", "true"),
        ("{{json .State.Running}}", "true"),
        ("{{json .Config.Cmd}}", '["sh","-c","sleep 100"]'),
        ('{{index .Config.Labels "a.b"}}', "c"),
        ("{{range .Config.Cmd}}<{{.}}>{{end}}", "<sh><-c><sleep 100>"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{len .Config.Cmd}}", "3"),
        ("{{range $i, $x := .Config.Cmd}}{{$i}}={{$x}} {{end}}", "0=sh 1=-c 2=sleep 100 "),
        ("{{.HostConfig.NetworkMode | upper}}", "NONE"),
        ('{{join .Config.Cmd "|"}}', "sh|-c|sleep 100"),
        ('{{printf "%s-%d" .State.Status (len .Config.Cmd)}}', "running-3"),
    ],
)
def test_inspect_takes_go_templates(rl: Rl, template: str, expected: str) -> None:
    name = rl.name()
    rl.start("--name", name, "--label", "a.b=c", command="sleep 100")
    assert rl.run("inspect", "-f", template, name).stdout == expected + "\n"


def test_bad_template_is_one_line(rl: Rl) -> None:
    rl.start("--name", "bad-template")
    rl.fails("inspect", "--format", "{{.Nope", "bad-template", check=False)
    assert rl.run("inspect", "--format", "{{.Nope", "bad-template", check=False).returncode


def test_inspect_of_an_image(rl: Rl) -> None:
    shown = rl.inspect("busybox")
    assert shown["Id"].startswith("sha256:") and "busybox:latest" in shown["RepoTags"]
    assert shown["Os"] == "linux" and shown["Architecture"]
    assert shown["RootFS"]["Type"] == "layers" and shown["RootFS"]["Layers"]


def test_inspect_of_several_and_of_what_is_missing(rl: Rl) -> None:
    container = rl.start()
    done = rl.run("inspect", container, "nobody", "busybox", status=1)
    assert len(json.loads(done.stdout)) == 2
    assert "nobody" in done.stderr


def test_inspect_type_chooses(rl: Rl) -> None:
    rl.start("--name", "busybox")
    assert "RepoTags" in json.loads(rl.out("inspect", "--type", "image", "busybox"))[0]
    assert "State" in json.loads(rl.out("inspect", "--type", "container", "busybox"))[0]


def test_version_and_info(rl: Rl) -> None:
    assert rl.out("version")
    assert rl.out("--version")
    assert rl.store in rl.out("info")
    assert isinstance(json.loads(rl.out("info", "--format", "json")), dict)


def test_help_of_every_command(rl: Rl) -> None:
    assert "run" in rl.out("--help")
    for command in ("run", "exec", "ps", "logs", "stop", "rm", "pull", "images", "doctor"):
        assert "Usage" in rl.out(command, "--help")


def test_doctor_runs_and_says_what_works(rl: Rl) -> None:
    done = rl.run("doctor", check=False)
    assert done.returncode in (0, 1) and "overlay" in done.stdout
    assert json.loads(rl.run("doctor", "--format", "json", check=False).stdout)


def test_code_of_an_error_can_be_explained(rl: Rl) -> None:
    line = rl.fails("run", "--rm", "--pull", "never", "no-such-image", "true")
    code = line.rpartition("[")[2].rstrip("]")
    assert len(rl.out("explain", code).splitlines()) > 1
    rl.fails("explain", "RL-NO-SUCH-CODE")


def test_debug_gives_a_traceback(rl: Rl) -> None:
    done = rl.run("run", "--pull", "never", "no-such", "true", check=False, env={"RL_DEBUG": "1"})
    assert done.returncode == 125 and "Traceback" in done.stderr


def test_no_command_and_unknown_command(rl: Rl) -> None:
    done = rl.run(check=False)
    assert "Usage" in done.stdout + done.stderr
    done = rl.run("frobnicate", check=False)
    assert done.returncode != 0 and "frobnicate" in done.stderr


def test_management_commands_are_the_same(rl: Rl) -> None:
    container = rl.out("container", "run", "-d", "--network", "none", "busybox", "sleep", "100")
    assert rl.out("container", "ls", "-q") == container[:12]
    assert "busybox" in rl.out("image", "ls")
    rl.run("container", "rm", "-f", container)


# The fields of Docker's Engine API 1.47, ContainerInspect; those that it leaves out when they are
# empty are not among them.
STATE = "Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt"
TOP = (
    "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name "
    "RestartCount Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig "
    "GraphDriver Mounts Config NetworkSettings"
)
HOST_CONFIG = (
    "Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove "
    "VolumeDriver VolumesFrom ConsoleSize CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch "
    "ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts "
    "ReadonlyRootfs SecurityOpt UTSMode UsernsMode ShmSize Runtime Isolation CpuShares Memory "
    "NanoCpus CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps "
    "BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod "
    "CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests "
    "MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount "
    "CpuPercent IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths"
)
CONFIG = (
    "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env "
    "Cmd Image Volumes WorkingDir Entrypoint OnBuild Labels"
)
NETWORK = (
    "Bridge SandboxID SandboxKey Ports HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen "
    "SecondaryIPAddresses SecondaryIPv6Addresses EndpointID Gateway GlobalIPv6Address "
    "GlobalIPv6PrefixLen IPAddress IPPrefixLen IPv6Gateway MacAddress Networks"
)
ENDPOINT = (
    "IPAMConfig Links Aliases MacAddress DriverOpts GwPriority NetworkID EndpointID Gateway "
    "IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen DNSNames"
)


def test_inspect_has_every_field_that_docker_documents(rl: Rl) -> None:
    container = rl.start("-v", "/tmp:/mnt:ro")
    found = rl.inspect(container)
    (endpoint,) = found["NetworkSettings"]["Networks"].values()
    for part, names in (
        (found, TOP), (found["State"], STATE), (found["HostConfig"], HOST_CONFIG),
        (found["Config"], CONFIG), (found["NetworkSettings"], NETWORK), (endpoint, ENDPOINT),
        (found["Mounts"][0], "Type Source Destination Mode RW Propagation"),
        (found["GraphDriver"], "Name Data"),
    ):  # fmt: skip
        assert not set(names.split()) - set(part)
