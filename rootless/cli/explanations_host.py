"""What `rl explain` says about the host, the store's place and limits: code -> (title, text)."""

_DOCTOR = "`rl doctor` tries it and `rl doctor --admin` prints what to ask an administrator for."

HOST: dict[str, tuple[str, str]] = {
    "RL-HOST-KERNEL": (
        "The kernel is too old",
        "rl needs Linux 5.8 (openat2 and setns on a pidfd), and 5.11 to mount overlays without "
        "fuse-overlayfs.",
    ),
    "RL-HOST-PYTHON": ("Python is too old", "rl needs Python 3.11 or later."),
    "RL-HOST-PROC": (
        "The host hides parts of /proc",
        "rl runs in a container that masks parts of its /proc, as those of Docker and podman do. "
        "The kernel then makes no new /proc (it would show what is hidden), and containers of rl "
        "get the one that is there: their processes have the numbers there that they have here. "
        "A container started with --security-opt unmask=ALL (podman) or systempaths=unconfined "
        "(Docker) has nothing to hide.",
    ),
    "RL-HOST-PROGRAM": (
        "A program is not installed",
        "rl uses it where it is there, for what the line says; the package has its usual name.",
    ),
    "RL-SETUP-FETCH": (
        "A package could not be fetched",
        "`rl setup` lets apt-get fetch it from the archives that this machine is configured with, "
        "and apt-get accepts only what their signatures vouch for. The line has its last words.",
    ),
    "RL-SETUP-LIBRARY": (
        "A fetched program lacks a library",
        "`rl setup` takes the libraries along that a package names and the host has not; what "
        "they need in turn has to be installed by an administrator.",
    ),
    "RL-SETUP-NEEDS-ROOT": (
        "The program works with root's rights only",
        "newuidmap and newgidmap write the ID maps of user namespaces, for which the kernel wants "
        "CAP_SETUID outside: they have to be set-user-ID root, or have file capabilities. Without "
        "them containers have one ID; apt, dpkg and pip go on all the same (docs/ladders.md).",
    ),
    "RL-SETUP-NOEXEC": (
        "Programs cannot be started from there",
        "The directory of `rl setup` is on a file system mounted noexec, as homes are at some "
        "places. RL_HELPERS names another directory.",
    ),
    "RL-HOST-USERNS-KERNEL": (
        "The kernel has no user namespaces",
        "It was built without CONFIG_USER_NS. Distributions' kernels have it; some hosting "
        "providers' kernels do not. There is no way around it without another kernel.",
    ),
    "RL-HOST-USERNS-DISABLED": (
        "User namespaces are switched off",
        "The sysctl user.max_user_namespaces is 0, which some hardening guides (STIG, CIS for "
        "RHEL) ask for. An administrator can set it: sysctl -w user.max_user_namespaces=28633. "
        + _DOCTOR,
    ),
    "RL-HOST-USERNS-LIMIT": (
        "All user namespaces are in use",
        "The sysctl user.max_user_namespaces bounds how many a user has at once; browsers and "
        "sandboxes use them too. Stop some, or ask an administrator for a larger number.",
    ),
    "RL-HOST-USERNS-DEPTH": (
        "User namespaces are nested too deeply",
        "The kernel nests at most 32, and a surrounding container can forbid further ones with "
        "its own user.max_user_namespaces. Start rl outside of that container, or allow them.",
    ),
    "RL-HOST-USERNS-SYSCTL": (
        "User namespaces are for root only",
        "Debian's kernel has the sysctl kernel.unprivileged_userns_clone, and it is 0 here (1 is "
        "the default since Debian 11). " + _DOCTOR,
    ),
    "RL-HOST-USERNS-APPARMOR": (
        "AppArmor restricts user namespaces",
        "Ubuntu 23.10 and later allow user namespaces, or capabilities in them, only to programs "
        "with an AppArmor profile that says `userns,`. The profile that `rl doctor --admin` "
        "prints lists rl alone; sysctl kernel.apparmor_restrict_unprivileged_userns=0 would "
        "allow them to all programs.",
    ),
    "RL-HOST-USERNS-PROFILE": (
        "An AppArmor profile refuses user namespaces",
        "rl runs under a profile that does not allow them, as in a container started by Docker. "
        "Start that container with --security-opt apparmor=unconfined, or run rl outside of it.",
    ),
    "RL-HOST-USERNS-SELINUX": (
        "SELinux refuses user namespaces",
        "The policy does not allow user_namespace create for the domain that rl runs in. "
        "`ausearch -m avc -ts recent` shows the denial; " + _DOCTOR,
    ),
    "RL-HOST-USERNS-SECCOMP": (
        "A seccomp filter forbids user namespaces",
        "rl runs in a container whose seccomp profile denies unshare(2), as Docker's default one "
        "does. Start that container with --security-opt seccomp=unconfined and "
        "--security-opt systempaths=unconfined, or with a profile that allows unshare, clone, "
        "mount and pivot_root.",
    ),
    "RL-HOST-USERNS-CHROOT": (
        "No user namespace in a chroot",
        "The kernel refuses them to a process whose root directory is not its mount namespace's, "
        "so that chroot stays one. Enter the tree with bwrap or systemd-nspawn, which use "
        "pivot_root, or start rl outside of it.",
    ),
    "RL-HOST-USERNS-UNMAPPED": (
        "The caller's ID is not mapped",
        "rl runs in a user namespace that does not map its user or group ID, and the kernel "
        "makes no further one for such a process.",
    ),
    "RL-HOST-USERNS-DENIED": (
        "User namespaces are refused",
        "The kernel refuses unshare(CLONE_NEWUSER) for a reason that none of the known switches "
        "explains: another security module, or a policy of the site.",
    ),
    "RL-HOST-NEWUIDMAP-MISSING": (
        "newuidmap is not installed",
        "It maps a user's subordinate IDs into containers, so that files can have other owners "
        "than one. It is in the package uidmap (Debian, Ubuntu) or shadow-utils (Fedora). "
        "Without it containers have a single ID.",
    ),
    "RL-HOST-NEWUIDMAP-NOT-SETUID": (
        "newuidmap has lost its privilege",
        "It must be setuid root or have the file capability cap_setuid (newgidmap: cap_setgid). "
        "Both are lost when a root file system is copied or unpacked without them. "
        "chmod u+s restores it.",
    ),
    "RL-HOST-NEWUIDMAP-NOSUID": (
        "newuidmap is on a nosuid mount",
        "On a file system mounted nosuid no program gains privilege, so newuidmap cannot map IDs.",
    ),
    "RL-HOST-NEWUIDMAP-NO-NEW-PRIVS": (
        "No process here may gain privileges",
        "no_new_privs is set, by a sandbox, systemd's NoNewPrivileges=yes or Kubernetes' "
        "allowPrivilegeEscalation: false. newuidmap is setuid and cannot work below it.",
    ),
    "RL-HOST-NEWUIDMAP-RANGE": (
        "newuidmap refuses the range",
        "/etc/subuid or /etc/subgid does not give this user the IDs that rl asked for. The files "
        "may have changed since; `rl doctor` reads them again.",
    ),
    "RL-HOST-NEWUIDMAP-FAILED": (
        "newuidmap failed",
        "The message is the program's own. In a container it needs CAP_SETUID and CAP_SETGID.",
    ),
    "RL-HOST-NO-SUBIDS": (
        "The user has no subordinate IDs",
        "/etc/subuid and /etc/subgid (or LDAP through getsubids) name no range for this user, so "
        "containers have one ID only: all files belong to it, and what changes owners or users is "
        "told that it has worked, so that apt and pip go on; who files should belong to is noted "
        "for commit, push and export. `run --user` gives the one ID another number. Programs that "
        "start as root and insist on becoming another user do not work. " + _DOCTOR,
    ),
    "RL-HOST-SUBIDS-TOO-FEW": (
        "The range of subordinate IDs is too small",
        "Images expect 65536 IDs (nobody is 65534). Ask for a range of that size in /etc/subuid "
        "and /etc/subgid. " + _DOCTOR,
    ),
    "RL-HOST-OVERLAY": (
        "An overlay could not be mounted",
        "The kernel's reason is in its log (dmesg). rl takes fuse-overlayfs or a copy where the "
        "overlay does not work; --storage-driver names one.",
    ),
    "RL-HOST-OVERLAY-KERNEL": (
        "The kernel mounts overlays for root only",
        "User namespaces may since Linux 5.11. Install fuse-overlayfs for older kernels.",
    ),
    "RL-HOST-OVERLAY-MODULE": (
        "The overlay module is not loaded",
        "Users cannot load it: an administrator can with `modprobe overlay`.",
    ),
    "RL-HOST-OVERLAY-FILESYSTEM": (
        "The store's file system cannot hold an upper layer",
        "Overlayfs needs a file system with whiteouts, d_type and user extended attributes: ext4, "
        "xfs, btrfs, tmpfs (Linux 6.6). Another overlay (as in a container), NFS and FUSE do not. "
        "Put the store elsewhere with RL_STORE.",
    ),
    "RL-HOST-FUSE": (
        "/dev/fuse or fuse-overlayfs does not work",
        "It is the second rung of the root file system's ladder, for kernels before 5.11.",
    ),
    "RL-HOST-FUSE-MISSING": ("There is no /dev/fuse", "Load the module fuse, or pass the device."),
    "RL-HOST-FUSE-PERMISSION": (
        "/dev/fuse is for root only",
        "udev makes it 0666; a container's manager may not.",
    ),
    "RL-HOST-CRYPTOGRAPHY": (
        "The package cryptography is missing",
        "Signatures of images are checked with the Python package cryptography, which comes with "
        "rl unless it was left out: pip install cryptography.",
    ),
    "RL-HOST-SQUASHFUSE": (
        "squashfuse is missing",
        "An image of a shared store is a set of squashfs files, which squashfuse shows as "
        "directories, without root and without a copy. It is a small package: squashfuse.",
    ),
    "RL-HOST-SQUASHFS-TOOLS": (
        "sqfstar is missing",
        "`rl image publish` packs each layer as a squashfs file with sqfstar, of the package "
        "squashfs-tools (4.5 or later).",
    ),
    "RL-HOST-FUSE-OVERLAYFS": (
        "fuse-overlayfs is not installed",
        "It serves root file systems where the kernel's overlayfs cannot.",
    ),
    "RL-HOST-TUN": (
        "/dev/net/tun does not work",
        "slirp4netns and pasta make the container's network device with it. " + _DOCTOR,
    ),
    "RL-HOST-TUN-MISSING": (
        "There is no /dev/net/tun",
        "Load the module tun; in a container, pass the device with --device /dev/net/tun.",
    ),
    "RL-HOST-TUN-PERMISSION": (
        "/dev/net/tun is for root only",
        "udev makes it 0666: every user may open it, and needs privilege over a network "
        "namespace to do anything with it.",
    ),
    "RL-HOST-RUNTIME-DIR": (
        "A runtime directory cannot be used",
        "rl keeps sockets in $XDG_RUNTIME_DIR/rl, /run/user/UID/rl or /tmp/rl-UID, the first that "
        "belongs to the user and that others cannot write. Log in through PAM, or ask for "
        "`loginctl enable-linger USER`.",
    ),
    "RL-HOST-PING": (
        "Echo requests are not allowed",
        "The sysctl net.ipv4.ping_group_range names the groups that may open ICMP sockets; the "
        "network helpers need one for ping out of containers.",
    ),
    "RL-HOST-KERNEL-LIMIT": (
        "A kernel limit is low",
        "It is shared by all processes of the user and runs out with many containers.",
    ),
    "RL-STORE-FILESYSTEM": (
        "The store's file system cannot hold it",
        "Files of containers belong to subordinate IDs, are programs, and need locks, links and "
        "extended attributes. Network file systems, FAT, read-only and noexec mounts cannot have "
        "them. Set RL_STORE to a directory on a local disk, such as /var/tmp/rl-UID.",
    ),
    "RL-LIMIT-NOT-DELEGATED": (
        "A limit cannot be enforced",
        "Limits are held by control groups (v2), and the kernel lets a user make them only in a "
        "subtree that is delegated to the user: by systemd's user manager (a scope with "
        "Delegate=yes) or by whoever started rl. Which controllers are delegated is in "
        "docs/ladders.md. --limits=best-effort takes weaker limits and says which. " + _DOCTOR,
    ),
    "RL-LIMIT-ENTER": (
        "The container could not enter its control group",
        "A process moves only within a subtree that is delegated to its owner, from where it "
        "starts to where it goes. Start rl inside: systemd-run --user --scope -p Delegate=yes rl …",
    ),
    "RL-LIMIT-PIDS": (
        "The container has as many processes as it may have",
        "Its --pids-limit counts what rl exec starts, too: the process and, until that runs, the "
        "one that brings it in. End something in it, or raise the limit: rl update --pids-limit.",
    ),
    "RL-LIMIT-SCOPE": (
        "systemd could not make the scope",
        "The user's manager refused or did not answer; `systemctl --user status` and "
        "`journalctl --user` say more.",
    ),
    "RL-LIMIT-BEST-EFFORT": (
        "Limits per process could not be set",
        "--limits=best-effort uses RLIMIT_DATA, RLIMIT_NPROC and CPU affinity, and the kernel "
        "refused one of them.",
    ),
}
