"""The seccomp filter: what is shipped is current, and a process under it is really held."""

import ctypes
import json
import os
import subprocess
import sys

import pytest

from rootless.context import Context
from rootless.errors import BadDocument, HostError, KernelError
from rootless.linux import caps, seccomp
from rootless.paths import Paths
from rootless.runtime import seccomp as profiles
from rootless.runtime import seccomp_compile
from rootless.runtime.options import RunOptions

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MACHINE = os.uname().machine
EPERM, ENOSYS, EBADF = 1, 38, 9
NEW_USER, NEW_NET = 0x10000000, 0x40000000
CHILD_SIGNAL = 17

# name: (x86_64, aarch64); from 424 on one number for all.
NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "cachestat": (451, 451),
    "clone": (56, 220),
    "clone3": (435, 435),
    "getpid": (39, 172),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pivot_root": (155, 41),
    "reboot": (169, 142),
    "setns": (308, 268),
    "socket": (41, 198),
    "statmount": (457, 457),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}

PROBE = """
import ctypes, json, os, sys
sys.path.insert(0, sys.argv[1])
from rootless.linux import seccomp
program = open(sys.argv[2], "rb").read()
seccomp.set_no_new_privs()
seccomp.load(program)
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
answers = []
for number, arguments in json.loads(sys.argv[3]):
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_ulong(n) for n in (number, *arguments)))
    answers.append(ctypes.get_errno() if result == -1 else 0)
print(json.dumps(answers))
"""

needs_table = pytest.mark.skipif(
    MACHINE not in ("x86_64", "aarch64"), reason=f"no numbers for {MACHINE}"
)


def number(name):
    return NUMBERS[name][MACHINE == "aarch64"]


def ask(program_path, *calls):
    """The errno (0: it worked) of each system call, made by a process under the filter."""
    numbered = [(number(c[0]) if isinstance(c[0], str) else c[0], c[1:]) for c in calls]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROBE, ROOT, program_path, json.dumps(numbered)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return json.loads(done.stdout)


def context(tmp_path):
    return Context(
        paths=Paths(str(tmp_path / "store"), str(tmp_path / "run")),
        uid=os.getuid(),
        gid=os.getgid(),
        home=str(tmp_path),
        environ={},
        config={},
        debug=False,
    )


def options(**values):
    return RunOptions.from_values({"image": "x", **values}, environ={}, cwd="/")


@pytest.fixture
def shipped(tmp_path):
    return profiles.program_for(context(tmp_path), options())


def test_the_shipped_filters_are_current():
    command = [sys.executable, f"{ROOT}/scripts/compile_seccomp.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_relevant_capabilities_are_those_of_the_profile():
    with open(f"{ROOT}/helpers/seccomp/default.json", encoding="utf-8") as file:
        profile = json.load(file)
    named = set()
    for rule in profile["syscalls"]:
        for key in ("includes", "excludes"):
            named |= set(rule.get(key, {}).get("caps", ()))
    assert named == profiles.RELEVANT


@needs_table
def test_default_capabilities_use_the_shipped_filter(tmp_path, shipped):
    assert shipped.endswith(f"helpers/seccomp/{MACHINE}.bpf")
    ctx = context(tmp_path)
    assert profiles.program_for(ctx, options(cap_add=["NET_ADMIN"])) == shipped
    assert profiles.program_for(ctx, options(cap_drop=["ALL"])) == shipped
    assert not os.path.exists(ctx.paths.cache)


@needs_table
@pytest.mark.parametrize(
    "call",
    [
        ("keyctl", 0, 0, 0),
        ("add_key", 0, 0, 0),
        ("mount", 0, 0, 0, 0, 0),
        ("umount2", 0, 0),
        ("pivot_root", 0, 0),
        ("unshare", NEW_USER),
        ("setns", 0, 0),
        ("bpf", 0, 0, 0),
        ("perf_event_open", 0, 0, 0, 0, 0),
        ("io_uring_setup", 1, 0),
        ("userfaultfd", 0),
        ("kexec_load", 0, 0, 0, 0),
        ("swapon", 0, 0),
        ("reboot", 0, 0, 0, 0),
        ("syslog", 10, 0, 0),
        ("clone", NEW_USER | CHILD_SIGNAL, 0, 0, 0, 0),
        ("clone", NEW_NET | CHILD_SIGNAL, 0, 0, 0, 0),
        ("socket", 38, 5, 0),
        ("socket", 40, 1, 0),
        ("personality", 0x0040000),
    ],
    ids=lambda call: "-".join(map(str, call[:2])),
)
def test_the_default_filter_refuses(shipped, call):
    assert ask(shipped, call) == [EPERM]


@needs_table
def test_unknown_and_unseeable_calls_answer_enosys(shipped):
    calls = [("clone3", 0, 0), ("statmount", 0, 0, 0, 0), (700,), (4095,)]
    assert ask(shipped, *calls) == [ENOSYS] * 4


@needs_table
def test_the_default_filter_lets_usual_calls_through(shipped):
    calls = [
        ("getpid",),
        ("socket", 1, 1, 0),
        ("socket", 2, 1, 0),
        ("socket", 10, 2, 0),
        ("socket", 16, 3, 0),
        ("personality", 0xFFFFFFFF),
        ("personality", 0),
    ]
    assert ask(shipped, *calls) == [0] * len(calls)
    # EBADF: the kernel has looked at it, or does not know it.
    assert ask(shipped, ("cachestat", 999, 0, 0, 0))[0] in (EBADF, ENOSYS)


@needs_table
def test_programs_work_under_the_default_filter(shipped):
    script = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from rootless.linux import seccomp\n"
        f"program = open({shipped!r}, 'rb').read()\n"
        "seccomp.set_no_new_privs(); seccomp.load(program)\n"
        "import os, threading, subprocess, tempfile, socket\n"
        "t = threading.Thread(target=lambda: None); t.start(); t.join()\n"
        "d = tempfile.mkdtemp(); open(d + '/f', 'w').write('x'); os.chmod(d + '/f', 0o600)\n"
        "os.rename(d + '/f', d + '/g'); os.unlink(d + '/g'); os.rmdir(d)\n"
        "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n"
        "print(subprocess.run(['sh', '-c', 'echo $((6*7)) | cat'],"
        " capture_output=True, text=True, check=True).stdout.strip())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "42\n", done.stderr


@needs_table
def test_sys_admin_has_its_own_cached_filter(tmp_path):
    ctx = context(tmp_path)
    path = profiles.program_for(ctx, options(cap_add=["SYS_ADMIN"]))
    assert os.path.dirname(path) == ctx.paths.cache
    before = os.stat(path)
    assert profiles.program_for(ctx, options(cap_add=["sys_admin", "NET_ADMIN"])) == path
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns
    # keyctl stays refused; clone3 reaches the kernel, which finds no arguments: EINVAL.
    answers = ask(path, ("keyctl", 0, 0, 0), ("clone3", 0, 0))
    assert answers[0] == EPERM
    assert answers[1] not in (EPERM, ENOSYS)


def test_unconfined_and_privileged_have_no_filter(tmp_path):
    ctx = context(tmp_path)
    assert profiles.program_for(ctx, options(security_opt=["seccomp=unconfined"])) == ""
    assert profiles.program_for(ctx, options(privileged=True)) == ""


@needs_table
def test_a_profile_of_the_user_is_compiled_and_holds(tmp_path):
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [
            {"name": "getpid", "action": "SCMP_ACT_ERRNO", "errnoRet": 99},
            {
                "names": ["socket"],
                "action": "SCMP_ACT_ERRNO",
                "args": [
                    {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"},
                    {"index": 0, "value": 10, "op": "SCMP_CMP_EQ"},
                ],
            },
        ],
    }
    (tmp_path / "mine.json").write_text(json.dumps(profile))
    wanted = options(security_opt=[f"seccomp={tmp_path}/mine.json"])
    path = profiles.program_for(context(tmp_path), wanted)
    calls = [("getpid",), ("socket", 2, 1, 0), ("socket", 10, 1, 0), ("socket", 1, 1, 0)]
    assert ask(path, *calls) == [99, EPERM, EPERM, 0]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "no defaultAction"),
        ('{"defaultAction": "SCMP_ACT_NICE"}', "unknown action SCMP_ACT_NICE"),
        ('{"defaultAction": "SCMP_ACT_NOTIFY"}', "needs an agent"),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO"}]}',
            "without names",
        ),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],'
            ' "action": "SCMP_ACT_ERRNO", "errnoRet": 5000}]}',
            "no errno",
        ),
        (
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],'
            ' "action": "SCMP_ACT_ERRNO", "args": [{"index": 9, "op": "SCMP_CMP_EQ"}]}]}',
            "not an argument",
        ),
    ],
)
def test_a_bad_profile_is_refused_with_the_reason(tmp_path, content, problem):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(BadDocument, match=problem) as caught:
        profiles.program_for(
            context(tmp_path), options(security_opt=[f"seccomp={tmp_path}/bad.json"])
        )
    assert caught.value.code == "RL-SECCOMP-PROFILE"
    assert not os.path.exists(tmp_path / "store/cache")


def test_a_missing_profile_is_refused(tmp_path):
    with pytest.raises(BadDocument, match=r"/no\.json: No such file"):
        profiles.program_for(
            context(tmp_path), options(security_opt=[f"seccomp={tmp_path}/no.json"])
        )


def test_without_libseccomp_there_is_a_remedy(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(HostError, match=r"libseccomp\.so\.2 is missing") as caught:
        seccomp_compile.library()
    assert "apt-get install libseccomp2" in caught.value.remedy


def test_rules_are_chosen_by_capability_architecture_and_kernel():
    rule = {"includes": {"caps": ["CAP_A", "CAP_B"], "arches": ["amd64"], "minKernel": "4.8"}}

    def applies(capabilities, arch="amd64", kernel="6.1.0"):
        return seccomp_compile._applies(rule, set(capabilities), arch, kernel, "x")

    assert applies(["CAP_A", "CAP_B"])
    assert not applies(["CAP_A"])
    assert not applies(["CAP_A", "CAP_B"], arch="arm64")
    assert not applies(["CAP_A", "CAP_B"], kernel="4.7.9")
    assert applies(["CAP_A", "CAP_B"], kernel="4.10-generic")
    excluded = {"excludes": {"caps": ["CAP_A"]}}
    assert not seccomp_compile._applies(excluded, {"CAP_A"}, "amd64", "6.1", "x")
    assert seccomp_compile._applies(excluded, {"CAP_C"}, "amd64", "6.1", "x")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_filter_fits_the_kernel(machine):
    with open(f"{ROOT}/helpers/seccomp/{machine}.bpf", "rb") as file:
        assert seccomp.check(file.read()) == ""


@pytest.mark.parametrize("program", [b"", b"1234567", b"\0" * 8 * 4097])
def test_load_refuses_what_is_no_program(program):
    with pytest.raises(KernelError, match="Invalid argument"):
        seccomp.load(program)


def test_default_capabilities_are_dockers_fourteen():
    assert len(caps.DEFAULT) == len(set(caps.DEFAULT)) == 14
