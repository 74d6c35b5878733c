"""What comes back when the host boots again, without anybody's command.

The last test of the first boot, and the only one of the second, which it asks for.
"""

import os
import subprocess
from pathlib import Path

import pytest
from support.program import Rl, program
from support.traces import wait_until

from rootless.linux import process

HOME = Path("~").expanduser()
STATE = HOME / "reboot" / "boot-id"  # of the first boot
REBOOT = 75  # as scripts/lab has it
POLICIES = {"broken": False, "always": True, "unless-stopped": True, "no": False, "stopped": False}
GONE = STATE.parent / "gone"


@pytest.fixture
def rl() -> Rl:
    """rl with a store that outlives the boot, and the session's own systemd."""
    rl = Rl(str(STATE.parent), "reboot")
    rl.env.update(HOME=str(HOME), XDG_RUNTIME_DIR=f"/run/user/{os.getuid()}")
    return rl


def states(rl: Rl) -> dict[str, bool]:
    rows = rl.out("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines()
    return {name: state == "running" for name, state in (row.split() for row in rows)}


def start_outside(rl: Rl, name: str, policy: str) -> None:
    """Not in the group of the tests' service, with which it would be stopped: nobody stops it."""
    words = ["run", "-d", "--network", "none", "--name", name, "--restart", policy, "busybox", "sh"]
    if name == "broken":
        words[1:1] = ["-v", f"{GONE}:/gone"]
    scope = ["systemd-run", "--user", "--scope", "-q", program(), *words]
    subprocess.run([*scope, "-c", "echo up; exec sleep 1000"], env=rl.environment(), check=True)


@pytest.mark.host("systemd")
@pytest.mark.reboot
def test_what_restart_promises_runs_after_a_boot(rl: Rl, request: pytest.FixtureRequest) -> None:
    if not STATE.exists():
        GONE.mkdir()
        rl.run("bootstrap", "busybox", "-t", "busybox:latest", timeout=170)
        for name in POLICIES:
            start_outside(
                rl, name, {"stopped": "unless-stopped", "broken": "always"}.get(name, name)
            )
        rl.run("stop", "-t0", "stopped")
        # There is linger here: nothing is missing.
        rl.run("system", "autostart", "enable")
        assert "linger       yes" in rl.out("system", "autostart")
        assert states(rl) == POLICIES | {"no": True, "broken": True}
        GONE.rmdir()
        STATE.write_text(process.boot_id())
        if request.session.testsfailed:
            pytest.fail("other tests have failed: the host does not boot again", pytrace=False)
        pytest.exit("the host is to boot again", returncode=REBOOT)
    assert STATE.read_text() != process.boot_id()
    wait_until(lambda: states(rl) == POLICIES, 30, "what was promised, and no more")
    for name, runs in POLICIES.items():
        rl.wait_log(name, "up\nup\n" if runs else "up\n")
    # One that cannot start keeps none of the others down.
    broken = rl.inspect("broken")["State"]
    assert broken["Status"] == "exited" and f"cannot mount {GONE}" in broken["Error"]
    unit = subprocess.run(
        ["systemctl", "--user", "is-active", "rl-autostart"], capture_output=True, text=True
    )
    assert unit.stdout == "active\n"
    rl.run("start", "no", "stopped")  # nothing needs a reset
    rl.run("system", "autostart", "disable")
    rl.run("rm", "-f", *POLICIES)
