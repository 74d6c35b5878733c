"""A real Debian from the mirror that this machine's apt is configured with."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.needs import SEARCH_PATH
from support.program import program
from support.stores import leftovers, make_context

from rootless.cli.actions import bootstrap as action
from rootless.context import Context
from rootless.store import check, gc, images

pytestmark = pytest.mark.needs("user", "userns", "subids", "mmdebstrap")


@pytest.fixture
def ctx(test_dir: str, request: pytest.FixtureRequest) -> Context:
    directory = f"{test_dir}/debian-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    return make_context(directory)


def test_debian_has_dpkg_owners_and_no_trace_of_this_machine(
    ctx: Context, capfd: pytest.CaptureFixture[str]
) -> None:
    assert action.main(ctx, {"kind": "debian"}) == 0
    out, steps = capfd.readouterr()
    record = images.resolve(ctx.paths, "debian")
    assert record["id"] == out.strip()
    assert len(record["names"]) == 2  # type: ignore[arg-type]
    assert "installing essential packages" in steps
    [diff_id] = record["layers"]  # type: ignore[misc]
    root = Path(ctx.paths.layer_diff(diff_id))
    assert (root / "etc/hostname").read_bytes() == b""
    assert (root / "etc/resolv.conf").read_bytes() == b""
    # 42 is the group shadow, which dpkg gave the file to.
    done = subprocess.run(
        ["unshare", "--map-auto", "--map-root-user", "chroot", str(root),
         "sh", "-c", "stat -c %u:%g:%a /etc/shadow /tmp && dpkg --audit && bash -c 'echo ok'"],
        capture_output=True, text=True, env={"PATH": SEARCH_PATH},
    )  # fmt: skip
    assert done.stdout == "0:42:640\n0:0:1777\nok\n", done.stderr
    assert check.check(ctx) == []
    assert leftovers(ctx.paths) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle_it_leaves_no_process_and_no_image(
    ctx: Context, how: signal.Signals
) -> None:
    environ = {
        "PATH": SEARCH_PATH,
        "HOME": ctx.home,
        "RL_STORE": ctx.paths.store,
        "XDG_RUNTIME_DIR": ctx.paths.runtime,
    }
    with subprocess.Popen(
        [program(), "bootstrap", "debian"], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=environ,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "extracting" in line:
                break
        process.send_signal(how)
    deadline = time.monotonic() + 10
    while running_in(ctx.paths.tmp):
        assert time.monotonic() < deadline, running_in(ctx.paths.tmp)
        time.sleep(0.05)
    assert check.check(ctx) == []
    gc.collect(ctx)
    assert leftovers(ctx.paths) == []
    assert images.list_images(ctx.paths) == []
    assert os.listdir(ctx.paths.blobs) == []


def running_in(directory: str) -> list[str]:
    """Processes whose command line names `directory`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in command:
            found.append(f"{pid}: {command!r}")
    return found
