"""rl quadlet where no systemd runs for the user: rl itself starts and stops what files describe."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.program import Rl
from support.traces import wait_until

SLEEP = "sh -c 'trap exit TERM; sleep 1000 & wait'"


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., str]:
    """Writes files of these names and texts; their directory."""

    def write(**texts: str) -> str:
        for name, text in texts.items():
            stem, _, kind = name.rpartition("_")
            (tmp_path / f"{stem.replace('_', '-')}.{kind}").write_text(text)
        return str(tmp_path)

    return write


@pytest.fixture
def rl(rl: Rl) -> Iterator[Rl]:
    """Nothing stays installed."""
    yield rl
    rl.run("quadlet", "rm", "--all", "--force")


def test_containers_are_started_with_all_that_they_need(
    rl: Rl, files: Callable[..., str], free_port: Callable[[], int]
) -> None:
    port = free_port()
    directory = files(
        web_container=(
            "[Unit]\nRequires=db.container\nAfter=db.container\n"
            f"[Container]\nImage=app.build\nContainerName=web\nPublishPort=127.0.0.1:{port}:80\n"
            'Volume=files.volume:/files\nVolume=./here:/here:ro\nEnvironment=UNIT=%n "B=a b"\n'
            "Network=usual.network\nLabel=kind=web\nHealthCmd=true\nHealthInterval=100ms\n"
            "Notify=healthy\nExec=sh -c 'cat /here/file /made; env; trap exit TERM; \\\n"
            "   sleep 1000 & wait'\n[Service]\nRestart=always\n"
        ),
        db_container=f"[Container]\nImage=busybox\nNetwork=none\nExec={SLEEP}\n",
        files_volume="[Volume]\nVolumeName=the-files\nLabel=of=quadlet\n",
        usual_network="[Network]\nDriver=slirp4netns\n",
        app_build="[Build]\nImageTag=localhost/app:1\nFile=./Containerfile\n",
    )
    Path(directory, "Containerfile").write_text("FROM busybox\nRUN echo built > /made\n")
    os.makedirs(f"{directory}/here")
    Path(directory, "here", "file").write_text("from the host\n")
    os.makedirs(f"{directory}/web.container.d")
    Path(directory, "web.container.d", "5.conf").write_text("[Container]\nEnvironment=DROP=in\n")
    installed = rl.out("quadlet", "install", directory).split()
    assert installed == sorted(installed) and len(installed) == 5
    assert rl.out("quadlet", "start", "web") == "web.container"
    log = rl.wait_log("web", "DROP=in")
    assert log.startswith("from the host\nbuilt\n")
    assert {"UNIT=web.service", "B=a b"} <= set(log.splitlines())
    found = rl.inspect("web")
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert found["State"]["Health"]["Status"] == "healthy"  # it was waited for
    assert found["Config"]["Labels"]["kind"] == "web"
    assert rl.running("systemd-db")
    assert "of=quadlet" in rl.out("volume", "ls", "--format", "{{.Labels}}", "-f", "name=the-files")
    rows = rl.out("quadlet", "list", "--format", "{{.Name}} {{.Status}}").splitlines()
    assert dict(row.split() for row in rows) == {
        "app.build": "active", "db.container": "running", "files.volume": "active",
        "usual.network": "active", "web.container": "running",
    }  # fmt: skip
    # What runs is left as it is; what is stopped takes along those that require it.
    rl.run("quadlet", "start", "web")
    assert rl.inspect("web")["Id"] == found["Id"]
    rl.fails("quadlet", "rm", "db", status=1, code="RL-QUADLET-IN-USE")
    rl.fails("quadlet", "rm", "db", "web", status=1, code="RL-QUADLET-RUNNING")
    assert rl.out("quadlet", "stop", "db.service") == "db.container"
    assert rl.out("ps", "-aq") == ""
    rl.run("quadlet", "rm", "web", "db")
    assert rl.out("quadlet", "list", "-q").split() == ["app.build", "files.volume", "usual.network"]
    rl.run("volume", "rm", "the-files")
    rl.run("rmi", "localhost/app:1")


def test_templates_have_instances(rl: Rl, files: Callable[..., str]) -> None:
    text = f"[Container]\nImage=busybox\nNetwork=none\nEnvironment=I=%i\nExec={SLEEP}\n"
    directory = files(**{"job@_container": text})
    rl.run("quadlet", "install", f"{directory}/job@.container")
    rl.fails("quadlet", "start", "job@", status=1, code="RL-QUADLET-TEMPLATE")
    rl.run("quadlet", "start", "job@one", "job@two.container")
    assert "I=one" in rl.inspect("systemd-job_one")["Config"]["Env"]
    assert rl.running("systemd-job_two")
    rl.run("quadlet", "stop", "job@one", "job@two")


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            "[Container]\nImgae=busybox\n",
            "RL-QUADLET",
            ":2: unknown key Imgae= in [Container] (did",
        ),
        ("[Container]\nImage=busybox\nPublishPort=a:b\n", "RL-USAGE", "a:b"),
        (
            "[Container]\nImage=busybox\nPodmanArgs=--cpu 3\n",
            "RL-USAGE",
            "has no option --cpu (did",
        ),
        ("[Container]\nImage=busybox\nPodmanArgs=--ip 3\n", "RL-USAGE", "--ip needs a network"),
        ("[Container]\nImage=x.image\n", "RL-QUADLET-REFERENCE", ":2: Image= names x.image"),
        ("[Container]\nImage=busybox\n[Unit]\nWants=bad.container", "RL-QUADLET-CYCLE", "bad.c"),
    ],
)
def test_nothing_is_installed_when_one_file_is_wrong(
    rl: Rl, files: Callable[..., str], text: str, code: str, message: str
) -> None:
    directory = files(good_container="[Container]\nImage=busybox\n", bad_container=text)
    assert message in rl.fails("quadlet", "install", directory, code=code, status=1)
    assert rl.out("quadlet", "list", "-q") == ""
    place = f"{rl.home}/.config/rl/quadlet"
    assert not os.path.exists(place) or os.listdir(place) == []


def test_installing_again_wants_to_be_said(rl: Rl, files: Callable[..., str]) -> None:
    directory = files(one_container="[Container]\nImage=busybox\nExec=echo first\n")
    rl.run("quadlet", "install", f"{directory}/one.container")
    files(one_container="[Container]\nImage=busybox\nExec=echo second\n")
    rl.fails("quadlet", "install", directory, status=1, code="RL-QUADLET-EXISTS")
    assert "first" in rl.out("quadlet", "print", "one", "--source")
    rl.run("quadlet", "install", "--replace", directory)
    assert rl.out("quadlet", "print", "one").count("busybox echo second") == 1
    rl.fails("quadlet", "print", "on", status=1, code="RL-QUADLET-NOT-FOUND")
    rl.fails("quadlet", "rm", "two", status=1, code="RL-QUADLET-NOT-FOUND")
    rl.run("quadlet", "rm", "--ignore", "two")


def test_what_fails_says_so_with_its_own_code(rl: Rl, files: Callable[..., str]) -> None:
    directory = files(
        gone_container="[Container]\nImage=localhost/never/there\nPull=never\n",
        hook_container="[Container]\nImage=busybox\n[Service]\nExecStartPre=true\n",
        ill_container="[Container]\nImage=busybox\nNetwork=none\nExec=sleep 1000\nStopTimeout=0\n"
        "HealthCmd=false\nHealthInterval=50ms\nNotify=healthy\n[Service]\nTimeoutStartSec=1\n",
        dead_container="[Container]\nImage=busybox\nNetwork=none\nExec=false\nHealthCmd=true\n"
        "Notify=healthy\n",
        odd_container="[Container]\nImage=busybox\nExec=true\n[Service]\nMemoryMax=1G\n",
    )
    rl.run("quadlet", "install", directory)
    rl.fails("quadlet", "start", "gone", status=1, code="RL-IMAGE-NOT-FOUND")
    rl.fails("quadlet", "start", "hook", status=1, code="RL-QUADLET-NO-SYSTEMD")
    for name, why in (("ill", "not healthy after 1 s"), ("dead", "ended before it was healthy")):
        assert why in rl.fails("quadlet", "start", name, status=1, code="RL-QUADLET-UNHEALTHY")
        assert rl.inspect(f"systemd-{name}")["State"]["Status"] == "exited"
    assert "nobody acts on MemoryMax=" in rl.run("quadlet", "start", "odd").stderr
    assert rl.out("ps", "-aq", "--filter", "name=gone") == ""


def test_autostart_does_at_boot_what_the_policies_promise(
    rl: Rl, files: Callable[..., str]
) -> None:
    always, never = rl.start("--restart", "always"), rl.start()
    kept, stopped = rl.start("--restart=unless-stopped"), rl.start("--restart=unless-stopped")
    created = rl.out("create", "--restart", "always", "--network=none", "busybox", "true")
    rl.run("stop", "-t0", stopped, always)
    for one in (never, kept):  # the power goes, and another boot looks at what is there
        path = Path(rl.store, "containers", one, "state.json")
        state = json.loads(path.read_text())
        os.kill(state["supervisor"]["pid"], 9)
        init = f"/proc/{state['pid']}"
        wait_until(lambda init=init: not os.path.exists(init), what="the end")
        path.write_text(json.dumps({**state, "boot_id": "00000000-1111-2222-3333-444444444444"}))
    container = "[Container]\nImage=busybox\nNetwork=none\n"
    directory = files(
        boot_container=f"{container}Exec={SLEEP}\n[Install]\nWantedBy=default.target\n",
        later_container=container,
    )
    rl.run("quadlet", "install", directory)
    told = rl.out("system", "autostart", "start").splitlines()
    names = {rl.inspect(one)["Name"].lstrip("/") for one in (always, kept)}
    assert set(told) == {"boot.container", *names}
    running = rl.out("ps", "-q", "--no-trunc").split()
    assert {always, kept} < set(running) and len(running) == 3
    assert rl.inspect(created)["State"]["Status"] == "created"
    # Its stop is none of the user's: the next start brings them again.
    rl.run("system", "autostart", "stop")
    assert len(rl.out("ps", "-q").split()) == 1
    assert set(rl.out("system", "autostart", "start").splitlines()) >= names
    rl.run("quadlet", "stop", "boot")


def test_autostart_says_what_is_missing(rl: Rl) -> None:
    nobody = {"PATH": "/nowhere"}
    told = rl.fails(
        "system", "autostart", "enable", status=1, code="RL-BOOT-NO-SYSTEMD", env=nobody
    )
    assert f"@reboot RL_STORE={rl.store} /" in told and "/rl system autostart start" in told
    assert "systemd" in rl.out("system", "autostart", status=1, env=nobody)
    rl.fails("system", "autostart", "on")


def test_a_unit_of_a_container(rl: Rl, tmp_path: Path) -> None:
    odd = "100% of $HOME"
    name = rl.name()
    rl.run("run", "-d", "-q", "--name", name, "--network=none", "-e", f"A={odd}", "-e", "B=é\n",
           "--rm=false", "--restart=no", "busybox", "sleep", "1000", cwd=str(tmp_path))  # fmt: skip
    generate = ("system", "generate", "systemd", "--no-header", "-n")
    text = rl.out(*generate, name, "--restart-policy=always", "-t", "3", "--after=a.service")
    assert f"/rl start {name}\n" in text and f"/rl stop --time 3 {name}" in text
    assert "Restart=always\n" in text and "After=a.service\n" in text
    text = rl.out(*generate, "--new", name)
    command = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert f"--detach --rm --replace --name={name} " in command
    assert '"--env=A=100%% of $$HOME" "--env=B=é\\n"' in command
    assert command.endswith(" --network=none busybox sleep 1000")
    assert f"WorkingDirectory={tmp_path}\n" in text
    rl.run(*generate, "--files", "--container-prefix=c", "--separator=_", name, cwd=str(tmp_path))
    assert (tmp_path / f"c_{name}.service").exists()
    rl.run("update", "--restart", "always", name)
    rl.fails(*generate, name, status=1, code="RL-BOOT-CONTAINER")
    rl.fails("system", "generate", "pods", name)
    rl.fails(*generate, name, "--restart-policy=often")
    rl.fails(*generate, "nobody", status=1, code="RL-CONTAINER-NOT-FOUND")
