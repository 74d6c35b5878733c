"""Why a user namespace could not be made, or its root was powerless.  Read after a failure only."""

import errno
import os

from rootless.linux.hostread import (
    HostProblem,
    below,
    in_chroot,
    nested,
    number,
    read,
    status_field,
    sysctl_request,
)


def explain_user_namespace_failure(
    failure: int, *, root: str = "/", program: str = "/usr/local/bin/rl"
) -> HostProblem:
    """Why unshare(CLONE_NEWUSER), or what root of the new namespace did next, gave `failure`.

    `program` is the path of rl, for the AppArmor profile.  Causes are checked from the most
    certain to the least: user_namespaces(7), clone(2), Debian's and Ubuntu's kernel patches.
    """
    for check in (_no_kernel_support, _counted_out, _sysctl_off, _chrooted, _unmapped_caller):
        problem = check(failure, root)
        if problem is not None:
            return problem
    if failure in (errno.EPERM, errno.EACCES):
        restricted = number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", root)
        if restricted and _profile(root) in ("unconfined", "unprivileged_userns", ""):
            return apparmor_problem(program)
        if failure == errno.EPERM and status_field("Seccomp", root) == "2":
            return _seccomp_problem()
        if number("/sys/fs/selinux/enforce", root) == 1:
            return _selinux_problem(root)
        if _profile(root) not in ("unconfined", ""):
            return _profile_problem(_profile(root))
    if failure == errno.ENOSYS and status_field("Seccomp", root) == "2":
        return _seccomp_problem()
    return HostProblem(
        f"this host refuses user namespaces: {os.strerror(failure)}",
        code="RL-HOST-USERNS-DENIED",
        remedy="ask an administrator which security policy forbids unshare(CLONE_NEWUSER)",
        admin="# Allow unprivileged user namespaces (unshare --user --map-root-user true must\n"
        "# work as an ordinary user); a security module or policy forbids them:\n"
        "dmesg | grep -iE 'apparmor|selinux|audit|lsm' | tail",
    )


def _no_kernel_support(failure: int, root: str) -> HostProblem | None:
    if failure not in (errno.EINVAL, errno.ENOSYS):
        return None
    if os.path.lexists(below(root, "/proc/self/ns/user")):
        return None
    return HostProblem(
        "this kernel has no user namespaces (CONFIG_USER_NS is off)",
        code="RL-HOST-USERNS-KERNEL",
        remedy="use a host with a distribution kernel, or ask an administrator for one",
        admin="# Boot a kernel built with CONFIG_USER_NS=y (every distribution's kernel is):\n"
        "grep CONFIG_USER_NS /boot/config-$(uname -r)",
    )


def _counted_out(failure: int, root: str) -> HostProblem | None:
    # ENOSPC since Linux 4.9, EUSERS before; one error for the count and for the depth of 32.
    if failure not in (errno.ENOSPC, errno.EUSERS):
        return None
    limit = number("/proc/sys/user/max_user_namespaces", root)
    if limit == 0:
        return HostProblem(
            "user namespaces are switched off here (sysctl user.max_user_namespaces is 0)",
            code="RL-HOST-USERNS-DISABLED",
            remedy="ask an administrator for: sysctl -w user.max_user_namespaces=28633",
            admin=sysctl_request("user.max_user_namespaces", "28633"),
        )
    if nested(root):
        return HostProblem(
            "no further user namespace can be made: 32 are nested already, or a namespace "
            "around this one has user.max_user_namespaces=0 or used up",
            code="RL-HOST-USERNS-DEPTH",
            remedy="start rl outside of the container or sandbox it runs in, or allow more "
            "user namespaces there (sysctl user.max_user_namespaces)",
        )
    return HostProblem(
        f"all {limit} user namespaces of this user are in use (sysctl user.max_user_namespaces)",
        code="RL-HOST-USERNS-LIMIT",
        remedy="stop containers or sandboxes (browsers use them, too), or ask an administrator "
        "for: sysctl -w user.max_user_namespaces=28633",
        admin=sysctl_request("user.max_user_namespaces", str(max(28633, 2 * (limit or 0)))),
    )


def _sysctl_off(failure: int, root: str) -> HostProblem | None:
    off = number("/proc/sys/kernel/unprivileged_userns_clone", root) == 0
    if failure != errno.EPERM or not off:
        return None
    return HostProblem(
        "user namespaces are for root only here (sysctl kernel.unprivileged_userns_clone is 0)",
        code="RL-HOST-USERNS-SYSCTL",
        remedy="ask an administrator for: sysctl -w kernel.unprivileged_userns_clone=1",
        admin=sysctl_request("kernel.unprivileged_userns_clone", "1"),
    )


def _chrooted(failure: int, root: str) -> HostProblem | None:
    if failure != errno.EPERM or not in_chroot(root):
        return None
    return HostProblem(
        "rl runs in a chroot, where the kernel allows no user namespace",
        code="RL-HOST-USERNS-CHROOT",
        remedy="start rl outside of the chroot, or enter the tree with pivot_root "
        "(bwrap, systemd-nspawn) in place of chroot",
    )


def _unmapped_caller(failure: int, root: str) -> HostProblem | None:
    table = read("/proc/self/uid_map", root)
    uid = int((status_field("Uid", root).split() or ["0"])[0])
    # The file is empty as long as nobody has written a map.
    known = os.path.exists(below(root, "/proc/self/uid_map"))
    if failure != errno.EPERM or not known or _maps(table, uid):
        return None
    return HostProblem(
        "this process's user ID is not mapped in the user namespace around it",
        code="RL-HOST-USERNS-UNMAPPED",
        remedy="start rl as a user that the surrounding container maps "
        "(for one made by unshare: unshare --map-root-user or --map-current-user)",
    )


def _maps(table: str, uid: int) -> bool:
    for line in table.splitlines():
        fields = line.split()
        if len(fields) == 3 and int(fields[0]) <= uid < int(fields[0]) + int(fields[2]):
            return True
    return False


def _profile(root: str) -> str:
    """Name of the AppArmor profile or SELinux context around us, "" without either."""
    label = read("/proc/self/attr/current", root).rstrip("\0")
    return label.partition(" ")[0]


def apparmor_problem(program: str) -> HostProblem:
    """Ubuntu 23.10 and later: AppArmor takes the capabilities of unprivileged namespaces.

    `program` is rl's start script: the kernel attaches a profile by the file that is executed, not
    by its interpreter, and what it starts (the supervisor) stays under it.
    """
    warning = (
        f"# {program} belongs to this user, who can put anything in its place:\n"
        "# better install rl where only root writes, and name that.\n"
        if os.access(program, os.W_OK)
        else ""
    )
    return HostProblem(
        "AppArmor restricts user namespaces to listed programs "
        "(sysctl kernel.apparmor_restrict_unprivileged_userns is 1), and rl is not listed",
        code="RL-HOST-USERNS-APPARMOR",
        remedy="ask an administrator for the AppArmor profile that `rl doctor --admin` prints",
        admin=(
            f"{warning}sudo tee /etc/apparmor.d/rl <<'END'\n"
            "abi <abi/4.0>,\n"
            "include <tunables/global>\n"
            f"profile rl {program} flags=(unconfined) {{\n"
            "  userns,\n"
            "  include if exists <local/rl>\n"
            "}\n"
            "END\n"
            "sudo apparmor_parser -r /etc/apparmor.d/rl"
        ),
    )


def _seccomp_problem() -> HostProblem:
    return HostProblem(
        "a seccomp filter around this process forbids user namespaces, as the default profile "
        "of Docker and Kubernetes does",
        code="RL-HOST-USERNS-SECCOMP",
        remedy="start the surrounding container with --security-opt seccomp=unconfined "
        "--security-opt systempaths=unconfined (Kubernetes: seccompProfile: Unconfined, "
        "procMount: Unmasked), or run rl outside of it",
        admin="# Start the CI runner's or pod's container with:\n"
        "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined \\\n"
        "  --security-opt systempaths=unconfined --device /dev/fuse --device /dev/net/tun …",
    )


def _selinux_problem(root: str) -> HostProblem:
    context = _profile(root)
    return HostProblem(
        f"SELinux is enforcing and refuses user namespaces to {context or 'this process'}",
        code="RL-HOST-USERNS-SELINUX",
        remedy="ask an administrator to allow user_namespace create for this domain "
        "(`rl doctor --admin` prints how)",
        admin="sudo ausearch -m avc -ts recent | audit2allow -M rl_userns\n"
        "sudo semodule -i rl_userns.pp",
    )


def _profile_problem(profile: str) -> HostProblem:
    return HostProblem(
        f"the AppArmor profile {profile} around this process refuses user namespaces",
        code="RL-HOST-USERNS-PROFILE",
        remedy="start the surrounding container with --security-opt apparmor=unconfined, "
        "or run rl outside of it",
        admin="# In the profile, allow:\n#   userns,\n#   mount, umount, pivot_root,\n"
        f"sudoedit /etc/apparmor.d/{profile}",
    )
