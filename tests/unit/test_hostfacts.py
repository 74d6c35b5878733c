"""Each way a host refuses, made up below a directory: cause, code, remedy, admin text."""

import errno
import os
import stat

import pytest

from rootless.errors import HostError
from rootless.linux import hostfacts, hostread

ROOT_MOUNT = "23 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
HOST_MAP = "         0          0 4294967295\n"


@pytest.fixture
def host(tmp_path):
    """A function that writes files below a made-up root, with a usual host's files in place."""

    def write(files):
        for path, text in files.items():
            target = tmp_path / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                target.unlink(missing_ok=True)
            else:
                target.write_text(text)
        return str(tmp_path)

    write(
        {
            "/proc/self/status": "Name:\trl\nUid:\t1000\t1000\t1000\t1000\n"
            "NoNewPrivs:\t0\nSeccomp:\t0\n",
            "/proc/self/uid_map": HOST_MAP,
            "/proc/self/mountinfo": ROOT_MOUNT,
            "/proc/self/ns/user": "",
            "/proc/sys/user/max_user_namespaces": "28633\n",
            "/proc/sys/kernel/osrelease": "6.1.0-13-amd64\n",
            "/proc/filesystems": "nodev\tsysfs\n\text4\nnodev\toverlay\n",
        }
    )
    return write


USER_NAMESPACE_CASES = [
    ({"/proc/self/ns/user": None}, errno.EINVAL, "KERNEL", "CONFIG_USER_NS"),
    (
        {"/proc/sys/user/max_user_namespaces": "0\n"},
        errno.ENOSPC,
        "DISABLED",
        "user.max_user_namespaces=28633",
    ),
    ({}, errno.ENOSPC, "LIMIT", "28633"),
    ({}, errno.EUSERS, "LIMIT", "28633"),
    ({"/proc/self/uid_map": "0 1000 1\n"}, errno.ENOSPC, "DEPTH", "outside"),
    (
        {"/proc/sys/kernel/unprivileged_userns_clone": "0\n"},
        errno.EPERM,
        "SYSCTL",
        "kernel.unprivileged_userns_clone=1",
    ),
    (
        {"/proc/self/mountinfo": "40 23 8:1 /srv/x /proc rw - proc proc rw\n"},
        errno.EPERM,
        "CHROOT",
        "chroot",
    ),
    ({"/proc/self/uid_map": "0 1001 1\n"}, errno.EPERM, "UNMAPPED", "map"),
    (
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"},
        errno.EACCES,
        "APPARMOR",
        "rl doctor --admin",
    ),
    (
        {
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n",
            "/proc/self/attr/current": "unprivileged_userns (enforce)\n",
        },
        errno.EPERM,
        "APPARMOR",
        "rl doctor --admin",
    ),
    (
        {"/proc/self/status": "Uid:\t0\t0\t0\t0\nSeccomp:\t2\n"},
        errno.EPERM,
        "SECCOMP",
        "seccomp=unconfined",
    ),
    (
        {"/proc/self/status": "Uid:\t0\t0\t0\t0\nSeccomp:\t2\n"},
        errno.ENOSYS,
        "SECCOMP",
        "seccomp=unconfined",
    ),
    (
        {"/sys/fs/selinux/enforce": "1", "/proc/self/attr/current": "staff_u:staff_r:staff_t:s0"},
        errno.EACCES,
        "SELINUX",
        "user_namespace",
    ),
    ({"/proc/self/attr/current": "ci-job (enforce)"}, errno.EACCES, "PROFILE", "apparmor"),
    ({}, errno.EPERM, "DENIED", "security policy"),
]


@pytest.mark.parametrize(("files", "failure", "code", "remedy"), USER_NAMESPACE_CASES)
def test_user_namespace_failure_names_its_cause(host, files, failure, code, remedy):
    problem = hostfacts.explain_user_namespace_failure(failure, root=host(files))
    assert isinstance(problem, HostError)
    assert problem.code == f"RL-HOST-USERNS-{code}"
    assert problem.remedy is not None and remedy in problem.remedy + problem.what
    assert "\n" not in problem.one_line()


def test_apparmor_request_is_a_profile_for_this_program(host):
    root = host({"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"})
    problem = hostfacts.explain_user_namespace_failure(
        errno.EACCES, root=root, program="/home/ann/.local/bin/rl"
    )
    assert "profile rl /home/ann/.local/bin/rl flags=(unconfined) {\n  userns," in problem.admin
    assert "apparmor_parser -r /etc/apparmor.d/rl" in problem.admin


def test_an_apparmor_profile_for_what_its_user_can_replace_comes_with_a_warning(host, tmp_path):
    root = host({"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"})
    program = tmp_path / "rl"
    for expected in (False, True):
        problem = hostfacts.explain_user_namespace_failure(
            errno.EACCES, root=root, program=str(program)
        )
        assert ("put anything in its place" in problem.admin) == expected
        program.touch()


def program(host, name="newuidmap", mode=0o4755):
    root = host({f"/usr/bin/{name}": ""})
    os.chmod(f"{root}/usr/bin/{name}", mode)
    return root


def test_missing_newuidmap(host):
    problem = hostfacts.explain_idmap_failure("newuidmap", "", 127, root=host({}), user="ann")
    assert problem.code == "RL-HOST-NEWUIDMAP-MISSING"
    assert "apt-get install uidmap" in problem.admin


def test_newuidmap_that_lost_its_setuid_bit(host):
    root = program(host, mode=0o755)
    said = "newuidmap: write to uid_map failed: Operation not permitted\n"
    problem = hostfacts.explain_idmap_failure("newuidmap", said, 1, root=root, user="ann")
    assert problem.code == "RL-HOST-NEWUIDMAP-NOT-SETUID"
    assert "cap_setuid" in problem.what and "chmod u+s /usr/bin/newuidmap" in problem.admin


def test_newgidmap_on_a_nosuid_mount(host):
    root = program(host, "newgidmap")
    host({"/proc/self/mountinfo": ROOT_MOUNT + "30 23 8:2 / /usr rw,nosuid - ext4 /dev/sdb rw\n"})
    problem = hostfacts.explain_idmap_failure("/usr/bin/newgidmap", "x", 1, root=root, user="ann")
    assert problem.code == "RL-HOST-NEWUIDMAP-NOSUID"
    assert "remount,suid /usr" in problem.admin


def test_newuidmap_under_no_new_privs(host):
    root = program(host)
    host({"/proc/self/status": "NoNewPrivs:\t1\n"})
    problem = hostfacts.explain_idmap_failure("newuidmap", "x", 1, root=root, user="ann")
    assert problem.code == "RL-HOST-NEWUIDMAP-NO-NEW-PRIVS"


REFUSED = "newuidmap: uid range [1-65537) -> [100000-165536) not allowed\n"


def test_refused_range_of_a_user_without_subordinate_ids(host):
    root = program(host)
    host({"/etc/subuid": "bob:100000:65536\n", "/etc/subgid": "bob:100000:65536\n"})
    problem = hostfacts.explain_idmap_failure("newuidmap", REFUSED, 1, root=root, user="ann")
    assert problem.code == "RL-HOST-NO-SUBIDS"
    assert "/etc/subuid and /etc/subgid give ann no" in problem.what
    # The range must be one that nobody has.
    assert "--add-subuids 165536-231071 --add-subgids 165536-231071 ann" in problem.admin


def test_refused_range_with_enough_ids(host):
    root = program(host)
    host({"/etc/subuid": "ann:200000:65536\n", "/etc/subgid": "ann:200000:65536\n"})
    problem = hostfacts.explain_idmap_failure("newuidmap", REFUSED, 1, root=root, user="ann")
    assert problem.code == "RL-HOST-NEWUIDMAP-RANGE"


def test_too_few_subordinate_ids(host):
    root = host({"/etc/subuid": "ann:100000:1000\n# x\n", "/etc/subgid": "ann:100000:65536\n"})
    problem = hostfacts.explain_subordinate_ids(root=root, user="ann")
    assert problem is not None and problem.code == "RL-HOST-SUBIDS-TOO-FEW"
    assert "1000" in problem.what and "165536-231071" in problem.admin
    assert hostfacts.explain_subordinate_ids(root=root, user="ann", needed=1000) is None


def test_any_other_newuidmap_failure_quotes_it(host):
    root = program(host)
    problem = hostfacts.explain_idmap_failure("newuidmap", "odd thing\n", 7, root=root, user="ann")
    assert problem.code == "RL-HOST-NEWUIDMAP-FAILED"
    assert "status 7: odd thing" in problem.what


def test_overlay_on_an_old_kernel(host):
    root = host({"/proc/sys/kernel/osrelease": "5.10.0-26-amd64\n"})
    problem = hostfacts.explain_overlay_failure(errno.EPERM, "/x", root=root)
    assert problem.code == "RL-HOST-OVERLAY-KERNEL"
    assert "fuse-overlayfs" in problem.admin


def test_overlay_module_missing(host):
    root = host({"/proc/filesystems": "\text4\n"})
    problem = hostfacts.explain_overlay_failure(errno.ENODEV, "/x", root=root)
    assert problem.code == "RL-HOST-OVERLAY-MODULE"


def test_overlay_upper_on_overlay(host):
    root = host({"/proc/self/mountinfo": "23 1 0:40 / / rw - overlay overlay rw,upperdir=/u\n"})
    problem = hostfacts.explain_overlay_failure(errno.EINVAL, "/home/ann", root=root)
    assert problem.code == "RL-HOST-OVERLAY-FILESYSTEM"


def test_devices(host):
    root = host({"/usr/bin/fuse-overlayfs": ""})
    assert hostfacts.explain_fuse_failure(errno.ENOENT, root=host({"/x": ""})).code == (
        "RL-HOST-FUSE-OVERLAYFS"
    )
    os.chmod(f"{root}/usr/bin/fuse-overlayfs", 0o755)
    assert hostfacts.explain_fuse_failure(errno.ENOENT, root=root).code == "RL-HOST-FUSE-MISSING"
    problem = hostfacts.explain_tun_failure(errno.ENOENT, root=root)
    assert problem.code == "RL-HOST-TUN-MISSING" and "modprobe tun" in problem.admin
    host({"/dev/net/tun": ""})
    os.chmod(f"{root}/dev/net/tun", 0o600)
    problem = hostfacts.explain_tun_failure(errno.EACCES, root=root)
    assert problem.code == "RL-HOST-TUN-PERMISSION" and "mode 0600" in problem.what
    assert stat.S_IMODE(os.stat(f"{root}/dev/net/tun").st_mode) == 0o600
    assert hostfacts.explain_tun_failure(errno.ENODEV, root=root).code == "RL-HOST-TUN"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("30 23 0:50 / /home rw,nosuid - nfs4 srv:/home rw", "on NFS"),
        ("30 23 0:50 / /home rw - fuse.sshfs ann@srv: rw", "sshfs over FUSE"),
        ("30 23 0:50 / /home ro - ext4 /dev/sdc ro", "read-only"),
        ("30 23 0:50 / /home rw,noexec - ext4 /dev/sdc rw", "noexec"),
        ("30 23 0:50 / /home rw - vfat /dev/sdc rw", "on FAT"),
    ],
)
def test_store_on_an_unfit_file_system(host, line, words):
    root = host({"/proc/self/mountinfo": f"{ROOT_MOUNT}{line}\n"})
    problem = hostfacts.explain_store("/home/ann/.local/share/rl", root=root, uid=1000)
    assert problem is not None and problem.code == "RL-STORE-FILESYSTEM"
    assert words in problem.what
    assert problem.remedy is not None and "RL_STORE=/var/tmp/rl-1000" in problem.remedy
    # A directory beside the mount is not on it.
    assert hostfacts.explain_store("/home2/rl", root=root, uid=1000) is None


def test_mount_of_takes_the_deepest_and_the_latest(host):
    root = host(
        {
            "/proc/self/mountinfo": ROOT_MOUNT
            + "30 23 0:50 / /a\\040b rw - tmpfs tmpfs rw\n"
            + "31 30 0:51 / /a\\040b rw - ext4 /dev/sdd rw\n"
        }
    )
    mount = hostread.mount_of("/a b/c", root)
    assert mount is not None and (mount.point, mount.fstype) == ("/a b", "ext4")
