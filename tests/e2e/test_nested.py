"""Inside a container that hides parts of /proc and /dev, and lacks CAP_SYS_ADMIN: a CI runner."""

import json
import subprocess
from collections.abc import Callable

import pytest
from support.program import Rl, program

# As crun makes a container of podman's: masked files, no tap devices, a bounding set without
# CAP_SYS_ADMIN, so that newuidmap starts and fails.
AROUND = """\
mount --bind /dev/null /proc/version && mount -t tmpfs tmpfs /dev/net &&
exec setpriv --ambient-caps -all --inh-caps -all --bounding-set -all "$@"
"""


@pytest.fixture
def nested(fresh_store: Callable[..., Rl]) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a shell command there, in which "$rl" is the program."""
    rl = fresh_store(busybox=True)

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--pid", "--fork",
             "--kill-child", "--mount-proc", "sh", "-ec", AROUND, "-", "sh", "-ec", script],
            env=rl.environment({"rl": program()}),
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    return run


@pytest.mark.needs("user", "unshare")
def test_containers_share_what_the_kernel_makes_no_new_one_of(
    nested: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    done = nested(
        '"$rl" run --rm --network none busybox sh -c'
        " 'readlink /proc/self; wc -c </proc/version; cat /proc/self/uid_map; ls -d /sys/class'"
    )
    assert done.returncode == 0, done.stderr
    number, version, *rest = done.stdout.splitlines()
    assert int(number) > 1 and version == "0"
    assert len([line for line in rest if not line.startswith("/sys")]) == 1
    shared = next(line for line in done.stderr.splitlines() if "shared with" in line)
    assert "/proc" in shared and "unmask=ALL" in shared
    assert "one ID is mapped, because" in done.stderr


@pytest.mark.needs("user", "unshare")
def test_published_ports_exec_logs_and_stop(
    nested: Callable[..., "subprocess.CompletedProcess[str]"], free_port: Callable[[], int]
) -> None:
    port = free_port()
    done = nested(f"""\
        "$rl" run -d --name web -p 127.0.0.1:{port}:80 busybox sh -c '
            trap "exit 0" TERM; mkdir /w; echo page >/w/index.html; httpd -h /w -p 80
            echo serving; while :; do sleep 0.1; done'
        "$rl" exec web id -u
        until "$rl" logs web | grep -q serving; do sleep 0.1; done
        busybox wget -q -O - http://127.0.0.1:{port}/
        "$rl" stop web
        "$rl" ps -a --format '{{{{.Status}}}}'
        "$rl" rm web""")
    assert done.returncode == 0, done.stderr
    identity, uid, page, *rest = done.stdout.splitlines()
    assert len(identity) == 64 and uid == "0" and page == "page"
    assert rest[0] == "web" and rest[1].startswith("Exited (0)")


@pytest.mark.needs("user", "unshare")
def test_doctor_says_so(nested: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    done = nested('"$rl" doctor --json')
    chosen = {one["need"]: one["chosen"] for one in json.loads(done.stdout)["ladders"]}
    assert chosen["proc"] == "that of the container around us"
    assert chosen["ids"] == "one ID" and chosen["network"] == "netstack"


@pytest.mark.needs("user", "unshare", "overlay")
def test_no_user_namespaces_now_is_no_reason_for_copies_later(
    fresh_store: Callable[..., Rl],
) -> None:
    rl = fresh_store()
    script = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$rl" info'
    done = subprocess.run(
        ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-ec", script],
        env=rl.environment({"rl": program()}), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Storage driver: none works" in done.stdout
    warning = next(line for line in done.stdout.splitlines() if line.startswith("WARNING"))
    assert "RL-HOST-USERNS-DISABLED" in warning
    shown = rl.out("info")
    assert "Storage driver: overlay\n" in shown and "WARNING" not in shown
