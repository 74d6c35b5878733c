"""Hosts that lack something, full disks, and rl killed at any moment."""

import ctypes
import os
import pwd
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable

import pytest
from support.images import Image, busybox_tar, tar
from support.needs import SEARCH_PATH
from support.program import Rl, program
from support.registry import Registry

# rl also looks where a user's PATH does not: what is to be missing is hidden by a mount, in a
# user namespace of our own, where no setuid program works, newuidmap among them.
HIDE = """
for path; do
    shift
    [ "$path" != -- ] || break
    if [ -d "$path" ]; then mount -t tmpfs none "$path"
    elif [ -e "$path" ]; then mount --bind /dev/null "$path"; fi || exit 99
done
exec "$@"
"""


def run_without(rl: Rl, hidden: list[str], *args: str) -> subprocess.CompletedProcess[str]:
    """Run `rl ARGS…` where the paths in `hidden` (and newuidmap's effect) do not exist."""
    return subprocess.run(
        [
            "unshare", "--user", "--map-current-user", "--keep-caps", "--mount",
            "sh", "-c", HIDE, "sh", *hidden, "--", program(), *args,
        ],
        env=rl.environment(), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 125 and len(errors) == 1 and "[RL-" in errors[0], done.stderr
    assert all(word in errors[0] for word in words), errors[0]


NO_IDS = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"]
NO_RANGES = ["/etc/subuid", "/etc/subgid"]


@pytest.mark.parametrize("hidden", [NO_IDS, NO_RANGES], ids=["newuidmap", "subuid"])
def test_without_newuidmap_or_ranges_one_id_is_mapped_and_run_says_so(
    fresh_store: Callable[..., Rl], hidden: list[str]
) -> None:
    rl = fresh_store(busybox=True)
    script = "id -u; cat /proc/self/uid_map"
    done = run_without(
        rl, hidden, "run", "--rm", "--network", "none", "busybox", "sh", "-c", script
    )
    assert done.stdout.split() == ["0", "0", str(os.getuid()), "1"], done.stderr
    said = [line for line in done.stderr.splitlines() if line]
    assert len(said) == 1 and "one ID is mapped" in said[0]


@pytest.mark.needs("subids")
def test_subordinate_range_that_is_too_small_for_the_user(
    fresh_store: Callable[..., Rl], tmp_path: object
) -> None:
    rl = fresh_store(busybox=True)
    me = pwd.getpwuid(os.getuid()).pw_name
    with open("/etc/subuid") as f:
        first = next(line.split(":")[1] for line in f if line.split(":")[0] == me)
    with open(f"{tmp_path}/getsubids", "w") as f:
        f.write(f"#!/bin/sh\necho '0: user {first} 10'\n")
    os.chmod(f"{tmp_path}/getsubids", 0o755)
    for name in os.listdir(f"{rl.store}/cache"):  # what is known of the IDs
        os.unlink(f"{rl.store}/cache/{name}")
    env: dict[str, str | None] = {"PATH": f"{tmp_path}:{SEARCH_PATH}"}
    run = ["run", "--rm", "--network", "none"]
    assert rl.out(*run, "-u", "5", "busybox", "id", "-u", env=env) == "5"
    rl.fails(*run, "-u", "1000", "busybox", "true", env=env)


def test_without_network_helpers_run_names_the_remedy(
    fresh_store: Callable[..., Rl], no_leftovers: None
) -> None:
    rl = fresh_store(busybox=True)
    hidden = [*NO_RANGES, "/usr/bin/slirp4netns", "/usr/bin/pasta", "/usr/bin/passt"]
    for network in ("slirp4netns", "pasta"):
        done = run_without(rl, hidden, "run", "--rm", "--network", network, "busybox", "true")
        assert_one_line(done, network)
    for asked in ([], ["--network", "none"]):
        done = run_without(rl, hidden, "run", "--rm", *asked, "busybox", "cat", "/proc/net/dev")
        assert done.returncode == 0, done.stderr
        assert ("eth0" in done.stdout) == (not asked)  # netstack needs no program


@pytest.mark.needs("slirp4netns")
def test_without_dev_net_tun_run_names_it(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    run = ["run", "--rm", "--network", "slirp4netns", "busybox", "true"]
    assert_one_line(run_without(rl, [*NO_RANGES, "/dev/net"], *run), "/dev/net/tun")


def test_without_fuse_overlayfs_its_driver_is_an_error(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    run = ["run", "--rm", "--network", "none", "--storage-driver", "fuse-overlayfs"]
    done = run_without(rl, [*NO_RANGES, "/usr/bin/fuse-overlayfs"], *run, "busybox", "true")
    assert_one_line(done, "fuse-overlayfs")


def test_without_xdg_runtime_dir(rl: Rl, no_leftovers: None) -> None:
    assert rl.out("run", "--rm", "busybox", "echo", "x", env={"XDG_RUNTIME_DIR": None}) == "x"


def test_runtime_dir_that_is_not_ours_is_not_used(rl: Rl) -> None:
    assert rl.out("run", "--rm", "busybox", "echo", "x", env={"XDG_RUNTIME_DIR": "/proc"}) == "x"


def test_without_home(rl: Rl) -> None:
    assert rl.out("run", "--rm", "busybox", "echo", "x", env={"HOME": None}) == "x"


@pytest.mark.parametrize("store", ["/proc/rl", "/dev/null/rl", "/rl-of-an-ordinary-user"])
def test_store_that_cannot_be_made_is_one_line(rl: Rl, store: str) -> None:
    rl.fails("run", "--rm", "busybox", "true", env={"RL_STORE": store})


def test_store_of_a_newer_rl_is_refused(fresh_store: Callable[..., Rl]) -> None:
    rl = fresh_store(busybox=True)
    with open(f"{rl.store}/version") as f:
        text = f.read()
    with open(f"{rl.store}/version", "w") as f:
        f.write("999\n")
    rl.fails("pull", "127.0.0.1:1/x", status=1)
    with open(f"{rl.store}/version", "w") as f:
        f.write(text)


def test_no_user_namespaces_by_sysctl(rl: Rl, no_leftovers: None) -> None:
    """/proc/sys/user is per user namespace: in one of our own we may forbid further ones."""
    script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --no-new-privs "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", script, "sh",
         program(), "run", "--rm", "busybox", "true"],
        env=rl.environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 125, done.stderr
    assert "max_user_namespaces" in done.stderr and "Traceback" not in done.stderr


def forbid_user_namespaces() -> None:
    """A seccomp filter that answers clone and unshare of user namespaces with EPERM, as Docker's.

    seccomp(2); the program is BPF: (code, jump if true, jump if false, value).
    """
    unshare, clone = {"x86_64": (272, 56), "aarch64": (97, 220)}[os.uname().machine]
    code = [
        (0x20, 0, 0, 0),  # load the system call's number
        (0x15, 1, 0, unshare),
        (0x15, 0, 3, clone),
        (0x20, 0, 0, 16),  # load the lower half of the first argument: the flags of both
        (0x45, 0, 1, 0x10000000),  # CLONE_NEWUSER
        (0x06, 0, 0, 0x00050001),  # errno 1
        (0x06, 0, 0, 0x7FFF0000),  # allow
    ]
    program_bytes = b"".join(struct.pack("HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program_bytes)
    header = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.create_string_buffer(header), 0, 0) == 0  # PR_SET_SECCOMP


def test_no_user_namespaces_by_seccomp(rl: Rl, no_leftovers: None) -> None:
    """As in a container of Docker."""
    done = subprocess.run(
        [program(), "run", "--rm", "busybox", "true"],
        env=rl.environment(), capture_output=True, text=True, timeout=60,
        preexec_fn=forbid_user_namespaces,
    )  # fmt: skip
    assert done.returncode == 125 and done.stderr.count("\n") == 1, done.stderr
    assert "[RL-HOST" in done.stderr


def test_disk_full_while_pulling(rl: Rl, registry: Registry, small_store: str) -> None:
    reference = registry.push("test/big", Image([tar({"big": os.urandom(24_000_000)})], {}))
    try:
        line = rl.fails("pull", reference, status=1, env={"RL_STORE": small_store})
        assert "space" in line or "full" in line
        assert os.listdir(f"{small_store}/tmp") == []
        assert rl.out("images", "-q", env={"RL_STORE": small_store}) == ""
        small = registry.push("test/small", Image([busybox_tar()], {}))
        rl.run("pull", small, env={"RL_STORE": small_store})  # there is room again
    finally:
        shutil.rmtree(small_store, ignore_errors=True)


def test_file_size_limit_while_pulling(fresh_store: Callable[..., Rl], registry: Registry) -> None:
    import resource

    rl = fresh_store()
    reference = registry.push("test/big2", Image([tar({"big": os.urandom(3_000_000)})], {}))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    rl.fails("pull", reference, status=1, preexec_fn=limit)
    rl.run("pull", reference)


@pytest.mark.parametrize("delay_ms", [5, 15, 25, 35, 45, 60, 80, 110, 150, 200])
@pytest.mark.parametrize("how", ["foreground", "detached"])
def test_run_killed_at_any_moment(rl: Rl, how: str, delay_ms: int) -> None:
    """Whatever is there afterwards is consistent, and goes away with rm."""
    name = rl.name()
    options = ["-d"] if how == "detached" else []
    child = rl.popen("run", *options, "--name", name, "busybox", "sleep", "100")
    time.sleep(delay_ms / 1000)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=10)
    time.sleep(0.3)
    shown = rl.run("ps", "-a", "--format", "{{.Names}} {{.State}}").stdout.split()
    if how == "foreground":
        assert "running" not in shown
    rl.run("rm", "-f", name)
    rl.run("run", "--rm", "--name", name, "busybox", "true")  # the name is free


def test_tmp_of_a_killed_rl_is_swept(fresh_store: Callable[..., Rl], registry: Registry) -> None:
    rl = fresh_store()
    reference = registry.push("test/sweep", Image([tar({"x": os.urandom(8_000_000)})], {}))
    child = rl.popen("pull", reference)
    time.sleep(0.25)
    child.kill()
    child.communicate()
    time.sleep(0.3)
    rl.run("pull", reference)
    assert os.listdir(f"{rl.store}/tmp") == []


def test_stdout_that_is_full_is_an_error_and_no_traceback(rl: Rl) -> None:
    rl.start()
    with open("/dev/full", "w") as full:
        child = rl.popen("ps", "-a", stdout=full)
        _, err = child.communicate(timeout=20)
    assert child.returncode != 0 and "Traceback" not in err


def test_closed_standard_streams(rl: Rl) -> None:
    def close() -> None:
        for fd in (0, 1, 2):
            os.close(fd)

    rl.run("run", "--rm", "busybox", "true", preexec_fn=close)
