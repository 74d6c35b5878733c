"""What a container can see and do: namespaces, /proc, /dev, capabilities, seccomp."""

import os

import pytest
from support.program import Rl

DOCKER_CAPABILITIES = 0xA80425FB  # the fourteen that Docker gives


def sh(rl: Rl, *args: str, script: str, **options: object) -> str:
    return rl.out(
        "run", "--rm", "--network", "none", *args, "busybox", "sh", "-c", script, **options
    )


def status(rl: Rl, *args: str) -> dict[str, str]:
    text = rl.out("run", "--rm", "--network", "none", *args, "busybox", "cat", "/proc/self/status")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@pytest.mark.parametrize("kind", ["pid", "net", "ipc", "uts", "mnt", "cgroup", "user"])
def test_namespace_is_its_own(rl: Rl, kind: str) -> None:
    assert sh(rl, script=f"readlink /proc/self/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_program_is_process_one_and_sees_no_other(rl: Rl) -> None:
    out = sh(rl, script="echo $$; ls -d /proc/[0-9]* | wc -l")
    assert out.split()[0] == "1" and int(out.split()[1]) <= 3


def test_capabilities_are_docker_s(rl: Rl) -> None:
    words = status(rl)
    assert int(words["CapEff"], 16) == DOCKER_CAPABILITIES
    assert int(words["CapBnd"], 16) == DOCKER_CAPABILITIES
    assert int(words["CapPrm"], 16) == DOCKER_CAPABILITIES
    assert int(words["CapAmb"], 16) == 0 and int(words["CapInh"], 16) == 0


@pytest.mark.needs("subids")
def test_other_users_than_root_have_no_capabilities(rl: Rl) -> None:
    words = status(rl, "-u", "1000")
    assert int(words["CapEff"], 16) == 0
    assert int(words["CapBnd"], 16) == DOCKER_CAPABILITIES


def test_cap_add_and_drop(rl: Rl) -> None:
    assert int(status(rl, "--cap-drop", "ALL")["CapEff"], 16) == 0
    assert int(status(rl, "--cap-drop", "ALL", "--cap-add", "CHOWN")["CapEff"], 16) == 1
    with_admin = int(status(rl, "--cap-add", "CAP_SYS_ADMIN")["CapEff"], 16)
    assert with_admin == DOCKER_CAPABILITIES | 1 << 21
    without = int(status(rl, "--cap-drop", "net_raw")["CapEff"], 16)
    assert without == DOCKER_CAPABILITIES & ~(1 << 13)


def test_dropped_capability_is_missed(rl: Rl) -> None:
    rl.run("run", "--rm", "busybox", "chown", "1", "/tmp")
    rl.run("run", "--rm", "--cap-drop", "CHOWN", "busybox", "chown", "1", "/tmp", status=1)


def test_no_new_privileges_as_asked(rl: Rl) -> None:
    assert status(rl)["NoNewPrivs"] == "0"
    assert status(rl, "--security-opt", "no-new-privileges")["NoNewPrivs"] == "1"
    assert status(rl, "--security-opt", "no-new-privileges:true")["NoNewPrivs"] == "1"


def test_seccomp_filter_is_on_unless_unconfined(rl: Rl) -> None:
    assert status(rl)["Seccomp"] == "2"
    assert status(rl, "--security-opt", "seccomp=unconfined")["Seccomp"] == "0"


def test_default_seccomp_forbids_new_namespaces(rl: Rl) -> None:
    refused = sh(rl, script="unshare -U true 2>&1; mount -t tmpfs x /tmp 2>&1; true")
    assert refused.count("not permitted") + refused.count("denied") == 2


def test_seccomp_profile_from_a_file(rl: Rl, tmp_path: object) -> None:
    path = f"{tmp_path}/profile.json"
    with open(path, "w") as f:
        f.write(
            '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"],'
            ' "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}'
        )
    for _ in range(2):  # the second time from the cache
        out = sh(rl, "--security-opt", f"seccomp={path}", script="mkdir /x 2>&1 || echo refused")
        assert "not permitted" in out and "refused" in out
    rl.fails("run", "--rm", "--security-opt", f"seccomp={path}.none", "busybox", "true")


def test_privileged_gives_all_that_the_user_namespace_has(rl: Rl) -> None:
    words = status(rl, "--privileged")
    assert words["Seccomp"] == "0"
    assert int(words["CapEff"], 16) & DOCKER_CAPABILITIES == DOCKER_CAPABILITIES
    assert int(words["CapEff"], 16) & 1 << 21


def test_dev_has_docker_s_nodes(rl: Rl) -> None:
    names = set(sh(rl, script="ls /dev").split())
    assert names >= {
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm",
        "stderr", "stdin", "stdout", "tty", "urandom", "zero",
    }  # fmt: skip
    assert not names & {"mem", "kmsg", "fuse", "sda", "vda"}
    script = "echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c"
    assert sh(rl, script=script).split() == ["4", "4"]


def test_proc_is_masked_and_partly_read_only(rl: Rl) -> None:
    out = sh(rl, script="cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; ls /proc/acpi 2>/dev/null"
             " | wc -l; echo 1 >/proc/sys/kernel/panic 2>/dev/null || echo ro;"
             " echo b >/proc/sysrq-trigger 2>/dev/null || echo ro")  # fmt: skip
    assert out.split() == ["0", "0", "ro", "ro"]


def test_sys_is_there_and_read_only(rl: Rl) -> None:
    out = sh(rl, script="ls /sys | wc -l; touch /sys/x 2>/dev/null || echo ro")
    assert int(out.split()[0]) > 3 and out.split()[1] == "ro"


def test_no_file_descriptor_of_rl_leaks_in(rl: Rl) -> None:
    out = sh(rl, script="ls /proc/1/fd; true")
    assert set(out.split()) <= {"0", "1", "2", "10"}  # 10 is the shell's own, if any


def test_environment_of_the_caller_does_not_leak_in(rl: Rl) -> None:
    out = rl.out("run", "--rm", "busybox", "env", env={"SECRET_OF_HOST": "x"})
    assert "SECRET_OF_HOST" not in out and "RL_" not in out and "XDG_" not in out


def test_root_of_the_container_is_the_caller_outside(rl: Rl, tmp_path: object) -> None:
    rl.run("run", "--rm", "-v", f"{tmp_path}:/out", "busybox", "touch", "/out/file")
    assert os.stat(f"{tmp_path}/file").st_uid == os.getuid()


@pytest.mark.needs("subids")
def test_other_ids_are_subordinate_outside(rl: Rl, tmp_path: object) -> None:
    os.chmod(f"{tmp_path}", 0o777)
    rl.run("run", "--rm", "-u", "1000", "-v", f"{tmp_path}:/out", "busybox", "touch", "/out/file")
    assert os.stat(f"{tmp_path}/file").st_uid not in (0, 1000, os.getuid())


def test_root_file_system_is_not_the_hosts(rl: Rl) -> None:
    assert "busybox" in sh(rl, script="ls /bin")
    assert rl.run("run", "--rm", "busybox", "ls", rl.store, check=False).returncode != 0


def test_mounts_of_the_host_are_not_visible(rl: Rl) -> None:
    mounts = sh(rl, script="cut -d' ' -f5 /proc/self/mountinfo").split()
    assert all(m == "/" or m.startswith(("/proc", "/dev", "/sys", "/etc/")) for m in mounts), mounts


def test_user_namespace_cannot_be_denied_setgroups_trick(rl: Rl) -> None:
    """Supplementary groups of the caller give nothing inside."""
    assert sh(rl, script="id -G") == "0"
