"""Real refusals of the kernel, each made in a forked child, and what rl says about them."""

import ctypes
import json
import os
import platform
import struct

import pytest

from rootless.errors import KernelError, RlError
from rootless.linux import hostfacts, idmap, namespaces, syscalls

UID, GID = os.getuid(), os.getgid()
SINGLE = idmap.IdMap([(0, UID, 1)], [(0, GID, 1)])


def in_child(function):
    """The JSON-able result of `function()` in a forked child."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = function()
        except BaseException as e:
            answer = f"{type(e).__name__}: {e}"
        os.write(write_fd, json.dumps(answer).encode())
        os._exit(0)
    os.close(write_fd)
    with open(read_fd, "rb") as pipe:
        data = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(data)


def refusal():
    """The code of the explanation why a user namespace cannot be made here."""
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except KernelError as e:
        return hostfacts.explain_user_namespace_failure(e.errno).code
    return "made"


def map_self():
    """Map our only ID to 0 in the user namespace that we have just made."""
    for name, text in (("setgroups", "deny"), ("uid_map", "0 {} 1"), ("gid_map", "0 {} 1")):
        number = map_self.outside[0] if name == "uid_map" else map_self.outside[1]
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text.format(number))
    map_self.outside = (0, 0)


def enter():
    map_self.outside = (os.getuid(), os.getgid())
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    map_self()


def test_user_namespaces_switched_off():
    def switched_off():
        enter()
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
        return refusal()

    assert in_child(switched_off) == "RL-HOST-USERNS-DISABLED"


def test_nesting_is_too_deep():
    def nest():
        enter()
        for _ in range(40):
            try:
                syscalls.unshare(syscalls.CLONE_NEWUSER)
            except KernelError as e:
                return hostfacts.explain_user_namespace_failure(e.errno).code
            map_self()
        return "no end"

    assert in_child(nest) == "RL-HOST-USERNS-DEPTH"


def test_caller_without_a_mapped_id():
    def unmapped():
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        return refusal()

    assert in_child(unmapped) == "RL-HOST-USERNS-UNMAPPED"


def test_chroot(tmp_path):
    def chrooted():
        map_self.outside = (UID, GID)
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        map_self()
        os.mkdir(f"{tmp_path}/proc")
        syscalls.mount("/proc", f"{tmp_path}/proc", None, syscalls.MS_BIND | syscalls.MS_REC)
        os.chroot(tmp_path)
        os.chdir("/")
        return refusal()

    assert in_child(chrooted) == "RL-HOST-USERNS-CHROOT"


def deny_unshare(errno):
    """A seccomp filter as Docker's profile has it: unshare(2) fails with `errno`."""
    number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (0x20, 0, 0, 0),  # load the system call's number
            (0x15, 0, 1, number),
            (0x06, 0, 0, 0x00050000 | errno),
            (0x06, 0, 0, 0x7FFF0000),
        )
    )
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, ctypes.c_char_p(header), 0, 0) == 0  # PR_SET_SECCOMP, a filter


@pytest.mark.parametrize("errno", [1, 38])
@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="numbers unknown")
def test_seccomp_filter(errno):
    def filtered():
        deny_unshare(errno)
        return refusal()

    assert in_child(filtered) == "RL-HOST-USERNS-SECCOMP"


def test_worker_reports_the_cause():
    """The same through the way that rl goes."""

    def switched_off():
        enter()
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
        single = idmap.IdMap([(0, 0, 1)], [(0, 0, 1)])
        try:
            namespaces.run_in_user_namespace(single, dict(os.environ), lambda: None)
        except RlError as e:
            return e.code
        return "made"

    assert in_child(switched_off) == "RL-HOST-USERNS-DISABLED"


@pytest.mark.needs("user")
def test_newuidmap_under_no_new_privs():
    def bound():
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        maps = idmap.IdMap([(0, UID, 1), (1, 100000, 10)], [(0, GID, 1), (1, 100000, 10)])
        try:
            namespaces.run_in_user_namespace(maps, dict(os.environ), lambda: None)
        except RlError as e:
            return e.code
        return "made"

    # A range of somebody else is refused first where 100000 is not ours.
    assert in_child(bound) in ("RL-HOST-NEWUIDMAP-NO-NEW-PRIVS", "RL-HOST-NEWUIDMAP-RANGE")


@pytest.mark.needs("user")
def test_range_of_somebody_else():
    def foreign():
        maps = idmap.IdMap([(0, UID, 1), (1, 4000000000, 10)], [(0, GID, 1), (1, 4000000000, 10)])
        try:
            namespaces.run_in_user_namespace(maps, dict(os.environ), lambda: None)
        except RlError as e:
            return e.code
        return "made"

    assert in_child(foreign) in ("RL-HOST-NEWUIDMAP-RANGE", "RL-HOST-NO-SUBIDS")


def test_devices_out_of_sight():
    def hidden():
        syscalls.mount("tmpfs", "/dev", "tmpfs", 0, "size=4k")
        found = []
        for explain, path in (
            (hostfacts.explain_tun_failure, "/dev/net/tun"),
            (hostfacts.explain_fuse_failure, "/dev/fuse"),
        ):
            try:
                os.open(path, os.O_RDWR)
            except OSError as e:
                found.append(explain(e.errno).code)
        return found

    codes = namespaces.run_in_user_namespace(SINGLE, dict(os.environ), hidden, mounts=True)
    assert codes[0] == "RL-HOST-TUN-MISSING"
    assert codes[1] in ("RL-HOST-FUSE-MISSING", "RL-HOST-FUSE-OVERLAYFS")


def test_store_on_a_noexec_mount(tmp_path):
    def noexec():
        syscalls.mount("tmpfs", str(tmp_path), "tmpfs", syscalls.MS_NOEXEC, "size=64k")
        problem = hostfacts.explain_store(f"{tmp_path}/store")
        return problem.code if problem else None

    code = namespaces.run_in_user_namespace(SINGLE, dict(os.environ), noexec, mounts=True)
    assert code == "RL-STORE-FILESYSTEM"
