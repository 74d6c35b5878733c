# ruff: noqa: E501
"""From quadlet files to commands of rl and units of systemd."""

import os
import subprocess
from pathlib import Path

import pytest

from rootless.cli._table import TABLE
from rootless.cli.refused import REFUSED as REFUSED_OPTIONS
from rootless.errors import QuadletError
from rootless.quadlet import collection, keys, place, units
from rootless.quadlet.collection import Collection, Quadlet
from rootless.quadlet.direct import in_order
from rootless.quadlet.translate import Plan, translate
from rootless.quadlet.units import Program, Wanted

PROGRAM = Program(["/bin/true"], {"RL_STORE": "/a b/100%"})


def quadlet(file: str, text: str) -> Quadlet:
    return collection.read(file, text, [], file, "/src/my dir")


def plan(text: str, *others: Quadlet, file: str = "web.container", direct: bool = True) -> Plan:
    one = quadlet(file, text)
    return translate(one, Collection([one, *others]), direct=direct)


def container(lines: str) -> list[str]:
    """The words of `rl run` for a container, without those that every one has."""
    found = plan(f"[Container]\nImage=img\n{lines}").start[-1]
    usual = ["run", "--replace", "--detach", "--restart=no", "--name=systemd-web"]
    assert found[:5] == usual
    return found[5:]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "img"),
        ("Exec=sh -c 'a b' %n", ["img", "sh", "-c", "a b", "%n"]),
        ('Entrypoint=["/bin/sh", "-c"]\nExec=x', ["--entrypoint=/bin/sh", "img", "-c", "x"]),
        ("Entrypoint=/bin/sh", ["--entrypoint=/bin/sh", "img"]),
        ('Environment=A=1 "B=2 3"\nEnvironment=C=4', ["--env=A=1", "--env=B=2 3", "--env=C=4", "img"]),
        ("Environment=A=1\nEnvironment=\nEnvironment=B=2", ["--env=B=2", "img"]),
        ("EnvironmentFile=./env", ["--env-file=/src/my dir/env", "img"]),
        ("EnvironmentFile=%h/env", ["--env-file=%h/env", "img"]),
        ("User=1\nGroup=2", ["--user=1:2", "img"]),
        ("AddCapability=A B\nDropCapability=all", ["--cap-add=A", "--cap-add=B", "--cap-drop=all", "img"]),
        ("ReadOnly=yes\nTmpfs=/tmp:size=1m",
         ["--read-only", "--tmpfs=/tmp:size=1m", "--tmpfs=/run", "--tmpfs=/var/tmp", "img"]),
        ("ReadOnly=yes\nReadOnlyTmpfs=no", ["--read-only", "img"]),
        ("NoNewPrivileges=true\nSeccompProfile=unconfined",
         ["--security-opt", "no-new-privileges", "--security-opt=seccomp=unconfined", "img"]),
        ("Volume=./d:/d:ro\nVolume=/anon\nVolume=named:/n",
         ["--volume=/src/my dir/d:/d:ro", "--volume=/anon", "--volume=named:/n", "img"]),
        ("Mount=type=bind,src=./d,dst=/d", ["--mount=type=bind,src=/src/my dir/d,dst=/d", "img"]),
        ("AddDevice=-/dev/never-there\nAddDevice=/dev/null", ["--device=/dev/null", "img"]),
        ("RunInit=false\nTimezone=local\nPull=never", ["--pull=never", "--tz=local", "img"]),
        ("PodmanArgs=--cpus 2 '--label=a b'", ["--cpus", "2", "--label=a b", "img"]),
        ("PublishPort=80\nPublishPort=127.0.0.1::53/udp",
         ["--publish=80", "--publish=127.0.0.1::53/udp", "img"]),
    ],
)  # fmt: skip
def test_keys_of_a_container(lines: str, expected: list[str] | str) -> None:
    assert container(lines) == ([expected] if isinstance(expected, str) else expected)


def test_references_become_names_and_needs() -> None:
    others = [
        quadlet("data.volume", "[Volume]\nVolumeName=d1"),
        quadlet("plain.volume", ""),
        quadlet("app.build", "[Build]\nImageTag=localhost/app\nSetWorkingDirectory=unit"),
        quadlet("quiet.network", "[Network]\nDriver=none"),
        quadlet("base.image", "[Image]\nImage=reg/base:1"),
    ]
    found = plan(
        "[Container]\nImage=app.build\nVolume=data.volume:/d\nMount=type=volume,source=plain.volume,"
        "dst=/p\nMount=type=image,source=base.image,dst=/b\nNetwork=quiet.network",
        *others,
    )
    assert found.start[-1][5:] == [
        "--volume=d1:/d", "--mount=type=volume,source=systemd-plain,dst=/p",
        "--mount=type=image,source=reg/base:1,dst=/b", "--network=none", "localhost/app",
    ]  # fmt: skip
    assert {one.file for one in found.needs} == {one.file for one in others}


def test_templates_refer_to_their_own_instances() -> None:
    volume = quadlet("data@.volume", "[Volume]\n")
    template = quadlet("web@.container", "[Container]\nImage=x\nVolume=data@.volume:/d")
    both = Collection([volume, template])
    assert "--volume=systemd-data-%i:/d" in translate(template, both).start[-1]
    instance = both.find("web@1.container")
    assert instance is not None and instance.service == "web@1.service"
    found = translate(instance, both)
    assert (found.resource, [one.service for one in found.needs]) == (
        "systemd-web_1", ["data-volume@1.service"],
    )  # fmt: skip
    assert "--volume=systemd-data-1:/d" in found.start[-1]
    text = units.of_quadlet(translate(template, both), both, PROGRAM, "x")
    assert "Requires=data-volume@%i.service\n" in text


@pytest.mark.parametrize(
    ("file", "text", "code", "message"),
    [
        ("a.container", "[Container]\nImage=x\nImgae=x", "RL-QUADLET",
         "a.container:3: unknown key Imgae= in [Container] (did you mean Image?)"),
        ("a.container", "[Contaner]\nImage=x", "RL-QUADLET",
         "a.container:2: unknown section [Contaner] (did you mean Container?)"),
        ("a.container", "[Container]\nExec=x", "RL-QUADLET", "a.container:2: [Container] needs Image="),
        ("a.container", "[Unit]\nDescription=x", "RL-QUADLET", "a.container: there is no section"),
        ("a.container", "[Container]\nImage=x\nAutoUpdate=registry", "RL-NOT-HERE", "a.container:3: cannot take AutoUpdate="),
        ("a.container", "[Container]\nImage=x\nNotify=yes", "RL-NOT-YET", "a.container:3: cannot take Notify=true"),
        ("a.container", "[Container]\nImage=x\nVolume=y.volume:/y", "RL-QUADLET-REFERENCE", "a.container:3: Volume= names y.volume"),
        ("a.container", "[Container]\nImage=x\n[Unit]\nAfter=b.container", "RL-QUADLET-REFERENCE", "a.container:4: After= names b.container"),
        ("a.container", "[Container]\nImage=x\nNetwork=b.container", "RL-QUADLET-REFERENCE", "a.container:3: Network= names b.container"),
        ("a.container", "[Container]\nImage=x\nExec='x", "RL-QUADLET", "a.container:3: Exec=: the quote"),
        ("a.container", "[Container]\nImage=x\nReadOnly=maybe", "RL-QUADLET", "a.container:3: ReadOnly=maybe is neither"),
        ("a.container", "[Container]\nImage=x\nGroup=5", "RL-QUADLET", "a.container:3: Group= needs User="),
        ("a.container", "[Container]\nImage=x\n[Service]\nType=notify", "RL-QUADLET", "a.container:4: cannot take Type=notify"),
        ("a.container", "[Container]\nImage=x\n[Service]\nUser=x", "RL-QUADLET", "a.container:4: cannot take User="),
        ("a.container", "[Container]\nImage=x\n[Install]\nWantedby=x", "RL-QUADLET", "a.container:4: unknown key Wantedby= in [Install] (did you mean WantedBy?)"),
        ("a.network", "[Network]\nSubnet=10.0.0.0/8", "RL-NOT-YET", "a.network:2: cannot take Subnet="),
        ("a.network", "[Network]\nNetworkName=x", "RL-NOT-YET", "a.network:2: cannot take NetworkName="),
        ("a.network", "[Network]\nDriver=macvlan", "RL-NOT-YET", "a.network:2: cannot make a network of the driver macvlan"),
        ("a.network", "", "RL-NOT-YET", "a.network: cannot make a network of the driver bridge"),
        ("a.build", "[Build]\nFile=x", "RL-QUADLET", "a.build:2: [Build] needs ImageTag="),
        ("a.image", "[Image]\nArch=arm64", "RL-QUADLET", "a.image:2: [Image] needs Image="),
        ("a.pod", "[Pod]", "RL-NOT-HERE", "a.pod: cannot read a .pod file"),
        ("a.contaner", "", "RL-QUADLET", "a.contaner is no quadlet"),
        ("a b.container", "", "RL-QUADLET", "a b.container: 'a b' cannot be"),
    ],
)  # fmt: skip
def test_what_cannot_be_says_where_and_why(file: str, text: str, code: str, message: str) -> None:
    with pytest.raises(QuadletError) as caught:
        found = plan(text, file=file)
        units.of_quadlet(found, Collection([found.quadlet]), PROGRAM, file)
    assert caught.value.what.startswith(message), caught.value.what
    assert caught.value.code == code
    assert caught.value.remedy


def test_every_rule_is_an_option_that_rl_has() -> None:
    commands = {"Container": "run", "Volume": "volume create", "Image": "pull", "Build": "build"}
    for section, command in commands.items():
        for key, (form, flag, _) in keys.RULES[section].items():
            assert form in ("own", "raw") or flag in TABLE[command][2], f"{key}={flag}"
            assert key not in keys.REFUSED[section]


def test_what_run_refuses_is_refused_as_a_key_too() -> None:
    options = {
        "CgroupsMode": "cgroups", "HealthOnFailure": "health-on-failure",
        "HealthLogDestination": "health-log-destination", "ImageVolume": "image-volume",
        "HealthMaxLogCount": "health-max-log-count", "HealthMaxLogSize": "health-max-log-size",
        "HealthStartupCmd": "health-startup-cmd", "HealthStartupInterval": "health-startup-interval",
        "HealthStartupRetries": "health-startup-retries", "Pod": "pod",
        "HealthStartupSuccess": "health-startup-success", "SubGIDMap": "subgidname", "UIDMap": "uidmap",
        "HealthStartupTimeout": "health-startup-timeout", "SubUIDMap": "subuidname", "GIDMap": "gidmap",
        "Retry": "retry", "RetryDelay": "retry-delay",
    }  # fmt: skip
    others = {"AutoUpdate", "ContainersConfModule", "GlobalArgs", "StartWithPod"}
    labels = {key for key in keys.REFUSED["Container"] if key.startswith("SecurityLabel")}
    assert set(keys.REFUSED["Container"]) == {*options, *others, *labels}
    assert {f"--{name}" for name in options.values()} <= set(REFUSED_OPTIONS["run"])


def test_what_is_started_first() -> None:
    volume = quadlet("data.volume", "[Volume]")
    database = quadlet("db.container", "[Container]\nImage=x\nVolume=data.volume:/d")
    web = quadlet(
        "web.container", "[Container]\nImage=x\n[Unit]\nRequires=db.container a.container"
    )
    first = quadlet("a.container", "[Container]\nImage=x\n[Unit]\nAfter=db.container")
    unused = quadlet("z.container", "[Container]\nImage=x\n[Unit]\nBefore=web.container")
    all_of_them = Collection([volume, database, web, first, unused])
    found = [one.quadlet.file for one in in_order(all_of_them, [web])]
    assert found == ["data.volume", "db.container", "a.container", "web.container"]


def test_a_circle_is_named() -> None:
    one = quadlet("a.container", "[Container]\nImage=x\n[Unit]\nRequires=b.container")
    two = quadlet("b.container", "[Container]\nImage=x\n[Unit]\nWants=a.container")
    with pytest.raises(
        QuadletError, match=r"a\.container -> b\.container -> a\.container"
    ) as caught:
        in_order(Collection([one, two]), [one])
    assert caught.value.code == "RL-QUADLET-CYCLE"


def test_drop_ins_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "my-web@1.container").write_text("[Container]\nImage=x\nEnvironment=A=0")
    for directory, name, text in (
        ("container.d", "20-b.conf", "general"), ("my-.container.d", "20-b.conf", "prefix"),
        ("my-web@.container.d", "10-a.conf", "template"),
        ("my-web@1.container.d", "30-c.conf", "own"), ("my-web@1.container.d", "no.txt", "none"),
    ):  # fmt: skip
        (tmp_path / directory).mkdir(exist_ok=True)
        (tmp_path / directory / name).write_text(f"[Container]\nEnvironment={text}=1")
    source = place.read_file(f"{tmp_path}/my-web@1.container")
    found = [one.value for one in source.quadlet.unit.all("Container", "Environment")]
    assert found == ["A=0", "template=1", "prefix=1", "own=1"]
    (tmp_path / "kept/.new-killed/x.container").mkdir(parents=True)
    place.keep(f"{tmp_path}/kept", [source])
    assert os.listdir(f"{tmp_path}/kept") == ["my-web@1.container"]
    kept = place.load(f"{tmp_path}/kept")["my-web@1.container"]
    assert [one.value for one in kept.quadlet.unit.all("Container", "Environment")] == found
    assert kept.quadlet.origin == str(tmp_path)


EVERYTHING = [
    quadlet("data@.volume", "[Volume]\nLabel=a=b\nType=tmpfs\nDevice=tmpfs\nOptions=size=1m"),
    quadlet("img.image", "[Image]\nImage=x:1\nImageTag=y:2\nTLSVerify=no\nArch=arm64\nVariant=v8"),
    quadlet("net.network", "[Network]\nDriver=host"),
    quadlet("app.build", "[Build]\nImageTag=app\nFile=./Dockerfile\nPull=newer\nBuildArg=A=1"),
    quadlet(
        "web@.container",
        "[Unit]\nDescription=100%% of it\nWants=other.container\nAfter=network.target\n"
        "[Container]\nImage=img.image\nVolume=data@.volume:/d\nNetwork=net.network\n"
        "Exec=sh -c 'echo \"$HOME\" ${X} ; %n'\nReloadCmd=kill -HUP 1\nNotify=healthy\n"
        "[Service]\nRestart=always\nMemoryMax=1G\nTimeoutStartSec=5\n"
        "[Install]\nWantedBy=default.target\nDefaultInstance=one",
    ),
    quadlet("other.container", "[Container]\nImage=app.build\n[Service]\nType=oneshot"),
]


def verify(directory: Path, *names: str) -> None:
    """systemd's own opinion of the units there."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *(f"{directory}/{n}" for n in names)],
        capture_output=True,
        text=True,
        env={
            "PATH": "/usr/bin:/bin", "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory),
            "SYSTEMD_UNIT_PATH": f"{directory}:",
        },
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if str(directory) in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_units_of_quadlets(tmp_path: Path) -> None:
    all_of_them = Collection(EVERYTHING)
    for one in EVERYTHING:
        text = units.of_quadlet(translate(one, all_of_them), all_of_them, PROGRAM, "/x/y")
        (tmp_path / one.service).write_text(text)
    verify(tmp_path, "web@one.service", "other.service", "img-image.service")


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_the_units_of_containers(tmp_path: Path) -> None:
    wanted = Wanted(
        restart="always", restart_s=3, start_s=9, wants=("a.service",), after=("b.service",),
        requires=("other.service",), environment=("A=b c",), directory="/",
    )  # fmt: skip
    hard = ["run", *map(units.words.literal, ["a b", "$HOME", "100%", '"', "\\", ";", "", "\n"])]
    (tmp_path / "other.service").write_text(units.of_autostart(PROGRAM))
    (tmp_path / "x.service").write_text(
        units.of_container("x", "x.service", PROGRAM, wanted, create=hard)
    )
    (tmp_path / "y.service").write_text(units.of_container("y", "y", PROGRAM, Wanted()))
    verify(tmp_path, "x.service", "y.service", "other.service")


def test_a_unit_of_a_container() -> None:
    text = units.of_container("web", "c.service", PROGRAM, Wanted(stop_s=3, header=False))
    assert text == (
        '[Unit]\nDescription=rl container web\n\n[Service]\nEnvironment="RL_STORE=/a b/100%%"\n'
        "Type=forking\nRestart=on-failure\nTimeoutStartSec=900\nTimeoutStopSec=63\n"
        "KillMode=mixed\nDelegate=yes\nSuccessExitStatus=143\nExecStart=/bin/true start web\n"
        "ExecStop=-/bin/true stop --time 3 web\n\n[Install]\nWantedBy=default.target\n"
    )


def test_a_failure_keeps_what_was_installed(tmp_path: Path) -> None:
    files = []
    for name in ("a.container", "b.container"):
        (tmp_path / name).write_text("[Container]\nImage=old")
        files.append(place.read_file(f"{tmp_path}/{name}"))
    kept = f"{tmp_path}/kept"
    place.keep(kept, files)
    first, second = files
    new = place.Source(first.quadlet, first.path, "[Container]\nImage=new", [])
    unwritable = place.Source(second.quadlet, second.path, "\ud800", [])
    with pytest.raises(UnicodeEncodeError):
        place.keep(kept, [new, unwritable])
    assert {one.text for one in place.load(kept).values()} == {"[Container]\nImage=old"}
    assert sorted(os.listdir(kept)) == ["a.container", "b.container"]
