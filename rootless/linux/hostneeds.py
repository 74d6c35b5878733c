"""Why IDs, an overlay, a device or a store directory failed.  Read after a failure only.

Imports os, errno and stat, and the errors.
"""

import errno
import os
import stat

from rootless.errors import StoreError
from rootless.linux.hostread import (
    HostProblem,
    below,
    find_program,
    mount_of,
    read,
    status_field,
    user_name,
)

# What `useradd` gives by default, and what images expect (nobody is 65534).
SUBID_FIRST = 100000
SUBID_COUNT = 65536

# File systems on which root of a user namespace cannot own files by its subordinate IDs, or where
# the server decides (root squash): no store can live there, whatever the overlay driver.
FOREIGN_OWNERS = {
    "nfs": "NFS", "nfs4": "NFS", "cifs": "a Windows share", "smb3": "a Windows share",
    "vfat": "FAT", "exfat": "exFAT", "ntfs": "NTFS", "ntfs3": "NTFS", "9p": "a 9p share",
    "afs": "AFS", "lustre": "Lustre", "gpfs": "GPFS", "beegfs": "BeeGFS", "ecryptfs": "eCryptfs",
    "autofs": "an automounter", "iso9660": "a CD image", "squashfs": "a read-only image",
    "proc": "procfs", "sysfs": "sysfs",
}  # fmt: skip


# Subordinate IDs, newuidmap and newgidmap.


def explain_idmap_failure(
    program: str, stderr: str, status: int, *, root: str = "/", user: str = ""
) -> HostProblem:
    """Why `program` (newuidmap or newgidmap, a name or a path) ended with `status`.

    `stderr` is what it said.  `status` 127 or a missing file: it is not installed.
    """
    name = os.path.basename(program)
    user = user or user_name()
    said = " ".join(stderr.split())
    path = find_program(program, root) or find_program(name, root)
    if not path:
        return HostProblem(
            f"{name} is not installed, so subordinate IDs cannot be mapped",
            code="RL-HOST-NEWUIDMAP-MISSING",
            remedy="ask an administrator to install uidmap (Debian, Ubuntu) or shadow-utils "
            "(Fedora: it is part of the system)",
            admin="sudo apt-get install uidmap            # Debian, Ubuntu\n"
            "sudo dnf install shadow-utils             # Fedora, RHEL",
        )
    if "not allowed" in said:
        missing = explain_subordinate_ids(root=root, user=user)
        if missing is not None:
            return missing
        return HostProblem(
            f"{name} refuses the ID range: {said}",
            code="RL-HOST-NEWUIDMAP-RANGE",
            remedy="the subordinate IDs have changed since rl looked: run rl doctor; give each "
            "user one range in /etc/subuid and /etc/subgid that no other user has",
            admin=subid_request(user),
        )
    powerless = _powerless_program(name, path, root)
    if powerless is not None:
        return powerless
    return HostProblem(
        f"{name} failed with status {status}: {said or 'it said nothing'}",
        code="RL-HOST-NEWUIDMAP-FAILED",
        remedy="run rl doctor; if this process is in a container, start that container with the "
        "capabilities SETUID and SETGID and a seccomp profile that allows user namespaces",
    )


def _powerless_program(name: str, path: str, root: str) -> HostProblem | None:
    """The problem of a newuidmap that runs without the privilege it needs, if it has one."""
    if status_field("NoNewPrivs", root) == "1":
        return HostProblem(
            f"this process may gain no privileges (no_new_privs), so {name} cannot work",
            code="RL-HOST-NEWUIDMAP-NO-NEW-PRIVS",
            remedy="start rl outside of the sandbox that set it (systemd: NoNewPrivileges=no; "
            "Kubernetes: allowPrivilegeEscalation: true)",
        )
    real = os.path.realpath(below(root, path))
    mount = mount_of(os.path.realpath(path) if root == "/" else path, root)
    if mount is not None and "nosuid" in mount.options:
        return HostProblem(
            f"{path} is on a file system mounted nosuid, so it has no privilege to map IDs",
            code="RL-HOST-NEWUIDMAP-NOSUID",
            remedy=f"ask an administrator to mount {mount.point} without nosuid, or to put "
            f"{name} on one that is",
            admin=f"sudo mount -o remount,suid {mount.point}    # and in /etc/fstab",
        )
    try:
        entry = os.stat(real)
    except OSError:
        return None
    if entry.st_mode & stat.S_ISUID and (entry.st_uid == 0 or root != "/"):
        return None
    try:
        os.getxattr(real, "security.capability")
        return None
    except OSError:
        pass
    capability = "cap_setgid" if "gid" in name else "cap_setuid"
    return HostProblem(
        f"{path} has lost its privilege: it is neither setuid root nor has it {capability}",
        code="RL-HOST-NEWUIDMAP-NOT-SETUID",
        remedy=f"ask an administrator for: chmod u+s {path} (images unpacked without their "
        "attributes lose it)",
        admin=f"sudo chown root:root {path} && sudo chmod u+s {path}",
    )


def explain_subordinate_ids(
    *, root: str = "/", user: str = "", needed: int = SUBID_COUNT
) -> HostProblem | None:
    """What is wrong with the user's lines in /etc/subuid and /etc/subgid; None: nothing.

    `needed` is the number of IDs the caller could not do without.
    """
    user = user or user_name()
    counts = {name: _subid_count(root, name, user) for name in ("subuid", "subgid")}
    missing = [f"/etc/{name}" for name, count in counts.items() if count == 0]
    if missing:
        return HostProblem(
            f"{' and '.join(missing)} {'give' if len(missing) > 1 else 'gives'} {user} no "
            "subordinate IDs, so only one user ID can be mapped",
            code="RL-HOST-NO-SUBIDS",
            remedy="ask an administrator for: usermod --add-subuids "
            f"{SUBID_FIRST}-{SUBID_FIRST + SUBID_COUNT - 1} --add-subgids "
            f"{SUBID_FIRST}-{SUBID_FIRST + SUBID_COUNT - 1} {user} "
            "(the range that `rl doctor --admin` prints is free on this host)",
            admin=subid_request(user, root),
        )
    if min(counts.values()) < needed:
        return too_few_subordinate_ids(min(counts.values()), needed, user=user, root=root)
    return None


def too_few_subordinate_ids(
    available: int, needed: int, *, user: str = "", root: str = "/"
) -> HostProblem:
    """The error for an ID inside a container that lies beyond what `user` has."""
    user = user or user_name()
    return HostProblem(
        f"{user} has {available} subordinate IDs, and {needed} are needed",
        code="RL-HOST-SUBIDS-TOO-FEW",
        remedy=f"ask an administrator for a larger range ({SUBID_COUNT} is usual; "
        "`rl doctor --admin` prints the commands)",
        admin=subid_request(user, root, count=max(SUBID_COUNT, needed)),
    )


def subid_request(user: str, root: str = "/", count: int = SUBID_COUNT) -> str:
    """The admin's command that gives `user` IDs that nobody has yet on this host."""
    last = SUBID_FIRST - 1
    for name in ("subuid", "subgid"):
        for _, first, size in _subid_lines(root, name):
            last = max(last, first + size - 1)
    span = f"{last + 1}-{last + count}"
    return f"sudo usermod --add-subuids {span} --add-subgids {span} {user}"


def _subid_lines(root: str, name: str) -> list[tuple[str, int, int]]:
    lines = []
    for line in read(f"/etc/{name}", root).splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
            lines.append((fields[0], int(fields[1]), int(fields[2])))
    return lines


def _subid_count(root: str, name: str, user: str) -> int:
    uid = str(os.getuid())
    return sum(count for owner, _, count in _subid_lines(root, name) if owner in (user, uid))


# Overlay and FUSE.


def explain_overlay_failure(failure: int, path: str, *, root: str = "/") -> HostProblem:
    """Why an overlay with userxattr and its upper directory below `path` gave `failure`."""
    release = read("/proc/sys/kernel/osrelease", root)
    if kernel_version(release) < (5, 11):
        return HostProblem(
            f"kernel {release} lets only root mount an overlay (5.11 and later let users)",
            code="RL-HOST-OVERLAY-KERNEL",
            remedy="install fuse-overlayfs, which rl then uses; or ask for a newer kernel",
            admin="sudo apt-get install fuse-overlayfs      # or: sudo dnf install fuse-overlayfs",
        )
    known = [line.split()[-1] for line in read("/proc/filesystems", root).splitlines() if line]
    if failure == errno.ENODEV or (known and "overlay" not in known and failure != errno.EPERM):
        return HostProblem(
            "the kernel's overlay file system is not loaded",
            code="RL-HOST-OVERLAY-MODULE",
            remedy="ask an administrator for: modprobe overlay; or install fuse-overlayfs",
            admin="echo overlay | sudo tee /etc/modules-load.d/rl.conf && sudo modprobe overlay",
        )
    mount = mount_of(path, root)
    fstype = mount.fstype if mount is not None else "?"
    refused = failure in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)
    unfit = fstype == "overlay" or fstype in FOREIGN_OWNERS or fstype.startswith("fuse")
    if mount is not None and refused and unfit:
        return HostProblem(
            f"{mount.point} is {fstype}, which cannot hold the upper layer of an overlay",
            code="RL-HOST-OVERLAY-FILESYSTEM",
            remedy="put the store elsewhere (RL_STORE=/var/tmp/rl-UID; in a container: on a "
            "volume), or install fuse-overlayfs",
        )
    return HostProblem(
        f"mounting an overlay on {fstype} failed: {os.strerror(failure)}",
        code="RL-HOST-OVERLAY",
        remedy="install fuse-overlayfs, or choose --storage-driver copy; "
        "the kernel's reason is in dmesg",
    )


def kernel_version(release: str) -> tuple[int, int]:
    """(major, minor) of "6.1.0-13-amd64"; (99, 0) when it cannot be read."""
    fields = release.split(".")
    if len(fields) < 2 or not fields[0].isdecimal():
        return (99, 0)
    minor = "".join(c for c in fields[1].partition("-")[0] if c.isdecimal())
    return int(fields[0]), int(minor or "0")


def explain_fuse_failure(failure: int, *, root: str = "/") -> HostProblem:
    """Why /dev/fuse or fuse-overlayfs did not work."""
    if not find_program("fuse-overlayfs", root):
        return HostProblem(
            "fuse-overlayfs is not installed",
            code="RL-HOST-FUSE-OVERLAYFS",
            remedy="fetch it with rl setup fuse-overlayfs, or choose --storage-driver copy",
            admin="sudo apt-get install fuse-overlayfs      # or: sudo dnf install fuse-overlayfs",
        )
    return device_problem("/dev/fuse", "fuse", failure, root)


def explain_tun_failure(failure: int, *, root: str = "/") -> HostProblem:
    """Why /dev/net/tun could not be opened, which slirp4netns and pasta need."""
    return device_problem("/dev/net/tun", "tun", failure, root)


def device_problem(path: str, module: str, failure: int, root: str = "/") -> HostProblem:
    """Why the device node `path`, which the kernel module makes, could not be opened."""
    code = f"RL-HOST-{module.upper()}"
    rule = (
        f"sudo modprobe {module} && echo {module} | sudo tee /etc/modules-load.d/rl-{module}.conf\n"
        f'echo \'KERNEL=="{module}", MODE="0666"\' | sudo tee /etc/udev/rules.d/60-rl-{module}'
        f".rules\nsudo chmod 0666 {path}"
    )
    try:
        mode = stat.S_IMODE(os.stat(below(root, path)).st_mode)
    except OSError:
        return HostProblem(
            f"{path} is missing",
            code=f"{code}-MISSING",
            remedy=f"ask an administrator for: modprobe {module}; in a container: "
            f"start it with --device {path}",
            admin=rule,
        )
    if failure in (errno.EACCES, errno.EPERM) and not mode & stat.S_IWOTH:
        return HostProblem(
            f"{path} may be opened by root only (mode {mode:04o})",
            code=f"{code}-PERMISSION",
            remedy=f"ask an administrator for: chmod 0666 {path}, as udev sets it up",
            admin=rule,
        )
    return HostProblem(
        f"{path} cannot be used: {os.strerror(failure)}",
        code=code,
        remedy="in a container: start it with "
        f"--device {path}; else ask an administrator for: modprobe {module}",
        admin=rule,
    )


# The store.


def explain_store(path: str, *, root: str = "/", uid: int | None = None) -> StoreError | None:
    """Why the file system of `path` cannot hold a store; None when it can.

    Judges by type and mount options; `rl doctor` tries the real thing besides.
    """
    mount = mount_of(path, root)
    if mount is None:
        return None
    remedy = f"use a local directory: RL_STORE=/var/tmp/rl-{os.getuid() if uid is None else uid}"
    kind = FOREIGN_OWNERS.get(mount.fstype)
    if kind is None and mount.fstype.startswith("fuse"):
        kind = f"{mount.fstype.partition('.')[2] or mount.source} over FUSE"
    if kind is not None:
        reason = f"is on {kind} ({mount.point}), where containers' files cannot have their owners"
    elif "ro" in mount.options or "ro" in mount.super_options:
        reason = f"is on a file system mounted read-only ({mount.point})"
    elif "noexec" in mount.options:
        reason = f"is on a file system mounted noexec ({mount.point}), so no program can start"
    else:
        return None
    return StoreError(f"the store {path} {reason}", remedy=remedy, code="RL-STORE-FILESYSTEM")
