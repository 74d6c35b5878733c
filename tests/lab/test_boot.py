"""Containers as services of a real systemd of an ordinary user: quadlets, units, autostart."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import Rl
from support.traces import wait_until

pytestmark = pytest.mark.host("systemd")

SLEEP = "sh -c 'echo begun; trap \"exit 0\" TERM; sleep 1000 & wait'"


@pytest.fixture
def rl(rl: Rl) -> Iterator[Rl]:
    """rl whose units the session's systemd reads; nothing of them stays."""
    home = str(Path("~").expanduser())
    rl.env.update(HOME=home, XDG_RUNTIME_DIR="/run/user/1000")
    yield rl
    rl.run("quadlet", "rm", "--all", "--force")
    rl.run("system", "autostart", "disable")
    for path in Path(home, ".config/systemd/user").glob("*.service"):
        systemctl("disable", "--now", path.name)
        path.unlink()
    systemctl("daemon-reload")


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def state(unit: str) -> dict[str, str]:
    """What systemd says of a unit."""
    names = "ActiveState,SubState,Result,NRestarts,MainPID,UnitFileState"
    lines = systemctl("show", f"--property={names}", unit).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_quadlets_are_services(rl: Rl, tmp_path: Path) -> None:
    (tmp_path / "web.container").write_text(
        "[Unit]\nRequires=db.container\nAfter=db.container\n"
        f"[Container]\nImage=busybox\nNetwork=none\nVolume=data.volume:/d\nExec={SLEEP}\n"
        "HealthCmd=true\nHealthInterval=200ms\nNotify=healthy\nReloadSignal=USR1\n"
        "Environment=UNIT=%n HOME_IS=%h PCT=100%%\n"
        "[Service]\nRestart=on-failure\nRestartSec=100ms\n[Install]\nWantedBy=default.target\n"
    )
    (tmp_path / "db.container").write_text(
        f"[Container]\nImage=busybox\nNetwork=none\nLogDriver=json-file\nExec={SLEEP}\n"
    )
    (tmp_path / "data.volume").write_text("[Volume]\n")
    rl.run("quadlet", "install", str(tmp_path))
    assert state("web")["UnitFileState"] == "enabled"
    rl.run("quadlet", "start", "web", timeout=120)
    assert (state("web")["ActiveState"], state("db")["SubState"]) == ("active", "running")
    assert state("data-volume")["SubState"] == "exited"
    found = rl.inspect("systemd-web")
    assert found["State"]["Health"]["Status"] == "healthy"
    environment = set(found["Config"]["Env"])
    assert {"UNIT=web.service", f"HOME_IS={rl.env['HOME']}", "PCT=100%"} <= environment
    # The main process is the container's parent, in the group of the service.
    main = int(state("web")["MainPID"])
    assert f"PPid:\t{main}\n" in Path(f"/proc/{found['State']['Pid']}/status").read_text()
    assert "/web.service" in Path(f"/proc/{main}/cgroup").read_text()
    # Killed, it is a failure, and systemd starts it again.
    rl.run("kill", "systemd-web")
    wait_until(lambda: state("web")["NRestarts"] == "1", 60, "a restart")
    wait_until(lambda: state("web")["ActiveState"] == "active", 60, "the second run")
    assert rl.inspect("systemd-web")["Id"] != found["Id"]
    rows = rl.out("quadlet", "list", "--format", "{{.Name}} {{.Status}}").splitlines()
    assert {row.split()[1] for row in rows} == {"active"}
    # What requires it goes down with it, cleanly.
    rl.run("quadlet", "stop", "db", timeout=120)
    assert (state("web")["ActiveState"], state("web")["Result"]) == ("inactive", "success")
    assert rl.out("ps", "-aq") == ""
    rl.run("quadlet", "rm", "--all")
    assert "web.service" not in systemctl("list-unit-files", "--no-legend")


def test_units_of_containers(rl: Rl, tmp_path: Path) -> None:
    units = Path(rl.env["HOME"], ".config/systemd/user")
    units.mkdir(parents=True, exist_ok=True)
    kept = rl.name()
    rl.run("create", "--name", kept, "--network=none", "busybox", "sh", "-c",
           'trap "exit 0" TERM; sleep 1000 & wait')  # fmt: skip
    made = rl.name()
    rl.run("run", "-d", "--name", made, "--network=none", "-e", "A=$x 100%h", "busybox", "sh", "-c",
           'echo "$A ${A} %n"; trap "exit 0" TERM; sleep 1000 & wait')  # fmt: skip
    for name, new in ((kept, ()), (made, ("--new",))):
        rl.run("system", "generate", "systemd", "-n", "--files", *new, name, cwd=str(units))
    rl.run("rm", "-f", made)
    systemctl("daemon-reload")
    for name in (kept, made):
        systemctl("enable", "--now", f"container-{name}")
        assert rl.running(name) and state(f"container-{name}")["SubState"] == "running"
    rl.wait_log(made, "$x 100%h $x 100%h %n\n")
    for name in (kept, made):
        systemctl("stop", f"container-{name}")
        assert state(f"container-{name}")["Result"] == "success"
    assert rl.out("ps", "-a", "--format", "{{.Names}}") == kept


def test_autostart(rl: Rl) -> None:
    always = rl.start("--restart", "always")
    stopped = rl.start("--restart", "unless-stopped")
    rl.run("stop", "-t0", stopped)
    rl.run("system", "autostart", status=1)
    # Without polkit linger is the admin's: the rest is done, and the line says what is not.
    done = rl.run("system", "autostart", "enable", check=False)
    assert done.returncode == 0 or "loginctl enable-linger dev [RL-BOOT-NO-LINGER]" in done.stderr
    assert state("rl-autostart")["UnitFileState"] == "enabled"
    assert "rl-autostart.service is enabled" in rl.run("system", "autostart", check=False).stdout
    rl.run("stop", "-t0", always)
    systemctl("start", "rl-autostart")
    assert rl.running(always) and not rl.running(stopped)
    systemctl("stop", "rl-autostart")
    assert not rl.running(always)
    systemctl("start", "rl-autostart")
    assert rl.running(always)
    rl.run("rm", "-f", always)
