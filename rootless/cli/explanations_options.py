"""What `rl explain CODE` says of run's options and the seccomp filter: code -> (title, text)."""

OPTIONS: dict[str, tuple[str, str]] = {
    "RL-NOT-YET": (
        "This version of rl cannot do that",
        "Docker can, and rl will: networks with names, joining a namespace of another "
        "container. The message says what does the same for now.",
    ),
    "RL-DEVICE": (
        "A device cannot be given to the container",
        "Without root rl makes no device nodes: it binds those of the host, and what a container "
        "may do with one is what you may do yourself. A device that is open to a group needs "
        "--group-add keep-groups, too.",
    ),
    "RL-ROOTFS": (
        "The directory of --rootfs cannot be a root file system",
        "It has to be a directory that you can read, with the files of a system in it. They belong "
        "to you, who are root in the container.",
    ),
    "RL-CDI": (
        "A CDI device cannot be used",
        "Specifications of the Container Device Interface are read from /etc/cdi, /var/run/cdi and "
        "~/.config/cdi, or the cdi-dirs of config.toml, as JSON or YAML. Their variables, device "
        "nodes and mounts are taken over; hooks, which are programs of the host, are not run.",
    ),
    "RL-NOT-HERE": (
        "An option of Docker or podman that rl does not have",
        "It asks for something that rl is built without, such as a daemon, pods or another "
        "runtime, or that Linux or cgroup v2 lacks. The message says what there is instead.",
    ),
    "RL-NEEDS-ROOT": (
        "Only the host's root can do that",
        "A container of rl lives in your own user namespace. What belongs to the whole host stays "
        "out of reach: sysctls outside the container's namespaces, AppArmor profiles, SELinux "
        "labels. Ask the admin to set it for the host, or leave it out.",
    ),
    "RL-ULIMIT": (
        "A --ulimit above your own hard limit",
        "A process without root may lower its hard limits, and never raise them. `ulimit -Ha` "
        "shows yours. The admin raises them in /etc/security/limits.conf, or with LimitNOFILE= "
        "and its kin for user@.service; log in anew afterwards.",
    ),
    "RL-NO-COMMAND": (
        "There is no command to run",
        "Neither the command line nor the image names a program. Write it after the image: "
        "rl run IMAGE sh. With --entrypoint the image's own command is not used, as with Docker.",
    ),
    "RL-SECCOMP-PROFILE": (
        "A seccomp profile that cannot be used",
        "--security-opt seccomp=FILE takes a profile in Docker's JSON format: defaultAction, "
        "archMap, and syscalls with names, action, args, includes and excludes. The message says "
        "what is wrong in it. Actions that need an agent (SCMP_ACT_NOTIFY) are not supported.",
    ),
    "RL-SECCOMP-ARCH": (
        "No seccomp filter for this machine",
        "rl compiles seccomp profiles for x86, ARM, RISC-V, POWER, s390x and LoongArch. "
        "Elsewhere use --security-opt seccomp=unconfined; the container's namespaces and "
        "capabilities hold as always.",
    ),
    "RL-HOST-LIBSECCOMP": (
        "libseccomp is missing",
        "The filter for Docker's default capabilities is shipped with rl. Others (--cap-add "
        "SYS_ADMIN and its like, --security-opt seccomp=FILE) are compiled once with "
        "libseccomp.so.2: the package libseccomp2 on Debian and Ubuntu, libseccomp on Fedora.",
    ),
}
