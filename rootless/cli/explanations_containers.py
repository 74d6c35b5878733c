"""What `rl explain` says about containers, their networks and their processes: code -> (title,
text).
"""

CONTAINERS: dict[str, tuple[str, str]] = {
    "RL-CONTAINER": (
        "A container refuses",
        "What was asked for does not go with the state that the container is in. `rl ps -a` "
        "shows it, `rl inspect NAME` all there is to know.",
    ),
    "RL-CONTAINER-NOT-FOUND": (
        "There is no such container",
        "A container is named by its name, its ID, or a beginning of its ID that no other "
        "container has. `rl ps -a` lists all, also those that have ended. One that was started "
        "with --rm is gone when it has ended; and each user, and each RL_STORE, has containers "
        "of its own.",
    ),
    "RL-CONTAINER-AMBIGUOUS": (
        "More than one container is meant",
        "Several containers have an ID that begins so. Give more of it, or the name.",
    ),
    "RL-CONTAINER-NAME-TAKEN": (
        "The container's name is in use",
        "Names are unique within a store, and a container that has ended keeps its name until it "
        "is removed. Choose another --name, remove the old container with `rl rm NAME`, or start "
        "containers with --rm so that they go by themselves.",
    ),
    "RL-CONTAINER-NOT-RUNNING": (
        "The container does not run",
        "A command can be run in, and a signal be sent to, a running container only. `rl ps -a` "
        "says how it ended, `rl logs NAME` what it wrote, `rl start NAME` starts it again.",
    ),
    "RL-CONTAINER-PAUSED": (
        "The container is paused",
        "Its processes stand still until `rl unpause NAME`; nothing can be started in it, and "
        "nobody can attach. `rl stop`, `rl kill` and `rl rm -f` work, and let it go on first.",
    ),
    "RL-CONTAINER-NOT-PAUSED": (
        "The container is not paused",
        "Only a container that `rl pause` has stopped can go on. `rl ps` shows (Paused) for it.",
    ),
    "RL-EXEC-NOT-FOUND": (
        "There is no such exec instance",
        "What `rl exec` runs has an ID, in the ExecIDs of `rl inspect CONTAINER` and in the events "
        "of `rl events`. It is forgotten five minutes after the end, and with its container.",
    ),
    "RL-SECRET": (
        "Not a secret",
        "A secret has a name of 2 to 128 letters, digits, dots, dashes and underscores, and 1 to "
        "512000 bytes.",
    ),
    "RL-SECRET-EXISTS": (
        "The secret exists already",
        "Secrets are not overwritten by mistake. `rl secret create --replace` does it, and a "
        "container sees the new one at its next start.",
    ),
    "RL-SECRET-NOT-FOUND": (
        "There is no such secret",
        "`rl secret ls` lists them. A container reads its secrets from the store at each start: "
        "one that was removed since it was created has to be made again.",
    ),
    "RL-UPDATE-RUNNING": (
        "The limits of the running container cannot change",
        "A container has a control group when it was started with a limit, and the group has the "
        "controllers of those limits alone. Stop the container: the new limits hold from its next "
        "start on.",
    ),
    "RL-TOP": (
        "A column or option of rl top is unknown",
        "rl reads the processes from /proc itself and knows the usual layouts of ps(1), -ef, aux, "
        "-l and -j, and its columns with -o: pid, ppid, user, args, rss, etime, … It has no "
        "options that choose processes: those of the container are shown.",
    ),
    "RL-CONTAINER-NAME": (
        "Not a name for a container",
        "A name has 2 to 128 letters, digits, dots, dashes and underscores, and begins with a "
        "letter or digit.",
    ),
    "RL-CONTAINER-FOREGROUND": (
        "The container has no supervisor to attach to",
        "A container that `rl run` started in the foreground, without a terminal, is a child of "
        "that rl, which shows its output. `rl logs -f NAME` follows it from elsewhere. Containers "
        "started with -d, -t or `rl start` can be attached to.",
    ),
    "RL-HEALTH-NONE": (
        "The container has no health check",
        "It is given one when it is made: by --health-cmd of `rl run`, or by HEALTHCHECK in its "
        "image. --no-healthcheck takes the image's away.",
    ),
    "RL-CONTAINER-RUNNING": (
        "The container runs",
        "A running container is not removed by mistake. Stop it first, or use `rl rm -f`. "
        "`rl rollback` changes a running one only where none of its processes would notice: they "
        "have no file or directory of its own file system open, and / as working directory.",
    ),
    "RL-CONTAINER-BUSY": (
        "Another command is working on the container",
        "Two commands never change one container at the same time. The other one holds its lock; "
        "try again when it is done. If none is left, the lock is free: it ends with its process.",
    ),
    "RL-CONTAINER-ELSEWHERE": (
        "The container runs on another machine",
        "The store is in a home that several machines share. Its images are everybody's; a "
        "container belongs to the machine that started it until it has ended, and only there it "
        "can be stopped, entered or removed. `rl ps` names the machine. If that is gone for good, "
        "the line says which directory to remove.",
    ),
    "RL-CONTAINER-FILES": (
        "Files of a container cannot be removed",
        "They belong to subordinate IDs that are not yours any more: /etc/subuid or /etc/subgid "
        "was changed. The container itself is gone; an administrator can remove the files, which "
        "are below tmp/ in the store, or give the range back.",
    ),
    "RL-CONTAINER-SETUP": (
        "The container's set-up ended unexpectedly",
        "The process that was to become the container ended without saying why. A host that is "
        "out of memory kills like that (see `dmesg`). If it happens again, it is a bug.",
    ),
    "RL-SUPERVISOR": (
        "The supervisor ended before the container started",
        "`rl run -d` and `rl start` leave one small process behind for each container. It was "
        "killed, or the host is out of memory. Nothing is left of the container but its entry.",
    ),
    "RL-WORKER": (
        "A worker in the user namespace failed",
        "rl touches files of subordinate IDs in a short-lived process in a user namespace of its "
        "own. It ended without an answer: killed, or a bug if it happens again.",
    ),
    "RL-NOT-FOUND": (
        "Neither a container nor an image has that name",
        "`rl inspect` looks for a container first and for an image then. `rl ps -a` and `rl "
        "images` list what there is.",
    ),
    "RL-LOG-JOURNALD": (
        "The journal cannot be used for a container's log",
        "--log-driver journald sends each line to systemd-journald's socket, "
        "/run/systemd/journal/socket, and `rl logs` reads them back with journalctl. Both have to "
        "be there, and reading may take a group, as adm or systemd-journal.",
    ),
    "RL-NO-LOG": (
        "The container keeps no log",
        "It was made with --log-driver none: its output went to whoever was attached.",
    ),
    "RL-NO-TERMINAL": (
        "There is no terminal to use",
        "-t together with -i connects your terminal with one in the container, but standard "
        "input is a file or a pipe here. In scripts and CI jobs use -i alone.",
    ),
    "RL-CIDFILE": (
        "The container ID file exists, or cannot be written",
        "--cidfile writes a new file only, as Docker does: the old one may name a container that "
        "somebody still needs. No container is left where the file cannot be written.",
    ),
    "RL-PIDFILE": (
        "The PID file cannot be written",
        "--pidfile writes the PID that the container's init has on the host, at each start, and "
        "takes the file away when it ends. Name a file in a directory that you may write to.",
    ),
    "RL-SIGNAL": (
        "There is no such signal",
        "A signal is a name, with or without SIG (TERM, SIGUSR1, RTMIN+3), or a number from 1 to "
        "64.",
    ),
    "RL-COMMAND-NOT-FOUND": (
        "The container's program was not found",
        "The program that the container should run is neither at that path nor in one of the "
        "directories of PATH in the container. The image may lack it (small images have no "
        "bash), the name may be mistyped, or options of rl were written after the image's name: "
        "everything there belongs to the command. Exit status 127, as a shell has it.",
    ),
    "RL-COMMAND-NOT-EXECUTABLE": (
        "The container's program cannot be executed",
        "The file is there, but it is a directory, has no execute permission, is on a noexec "
        "mount, or is a program for another processor (`rl image inspect IMAGE` shows the image's "
        "architecture). Exit status 126, as a shell has it.",
    ),
    "RL-WORKDIR": (
        "The working directory cannot be used",
        "The command's working directory (--workdir, or the image's) is no directory, or the "
        "container's user may not enter it.",
    ),
    "RL-USER-UNKNOWN": (
        "The container knows no such user or group",
        "--user takes a name from the container's /etc/passwd and /etc/group, or a number, which "
        "need not be listed there.",
    ),
    "RL-USER-NOT-MAPPED": (
        "The user's ID does not exist in the container",
        "A container's IDs are mapped to IDs of the host that are yours: your own and your "
        "subordinate ones. This one is beyond their number. With a range of 65536 subordinate "
        "IDs all usual IDs exist; `rl doctor --admin` prints what to ask for. With one ID alone a "
        "container has root and the user that it was started as.",
    ),
    "RL-LANDLOCK": (
        "--landlock cannot be kept",
        "Landlock (landlock(7)) lets a process give up files and ports for good. It came with "
        "Linux 5.13, rules for TCP ports with 6.7, and the kernel's lsm= list must name it. The "
        "paths of rules must be there when the container starts: they are those of the image "
        "and of -v, not what the program makes later.",
    ),
    "RL-SYSCTL": (
        "A sysctl cannot be set",
        "A container may set those kernel parameters that its own namespaces have (net.* with a "
        "network of its own, kernel.shm*, kernel.msg*, fs.mqueue.*). All others are the host's.",
    ),
    "RL-MOUNT-SOURCE": (
        "What is to be mounted is not there",
        "The host's side of a --volume or --mount does not exist, or you may not reach it; or an "
        "image that is mounted has nothing at its image-subpath. "
        "--volume makes a missing directory where you may; --mount type=bind never does. Note "
        "that -v takes a path only with a slash in it: ./data, not data, which is a volume.",
    ),
    "RL-MOUNT-TARGET": (
        "There is no place in the container for a mount",
        "The container's side of a mount has to be a directory for a directory and a file for a "
        "file; what is missing is made. Here the image has something else at that path, or a "
        "symbolic link that leads in a circle, or the path is below a place that cannot be "
        "written. Images that have a file where /etc, /dev, /proc or /sys must be cannot run.",
    ),
    "RL-KERNEL": (
        "A system call failed",
        "The kernel refused something for which rl has no better explanation. The line names the "
        "call, its target and the reason. `rl doctor` may find the cause.",
    ),
    "RL-PORT": ("A port cannot be published", "The host refused to open it; the line says why."),
    "RL-PORT-TAKEN": (
        "The host's port is in use",
        "Another program, or another container, listens on that port of that address. "
        "`ss -lntup` shows who has it, `rl ps` the containers. Choose another port for the host's "
        "side (-p 8081:80), or leave it out (-p 80) and ask `rl port NAME` which one it is.",
    ),
    "RL-PORT-PRIVILEGED": (
        "The host's port is for root",
        "Ports below the sysctl net.ipv4.ip_unprivileged_port_start (1024 unless it was changed) "
        "may be opened by root only. Choose a higher one for the host's side: -p 8080:80. The "
        "container's side may be any. An administrator can lower the limit for everybody.",
    ),
    "RL-PORT-ADDRESS": (
        "The address is not this host's",
        "-p IP:PORT:PORT opens the port on that address of the host, which must be one of its "
        "own. `ip address` lists them.",
    ),
    "RL-PORT-PATH": (
        "The UNIX socket cannot be made",
        "-p unix:PATH:PORT makes a socket at PATH, in a directory where you may write; a file "
        "that is no socket is left alone. group=NAME must be a group that you are in.",
    ),
    "RL-PORT-NOT-PUBLISHED": (
        "The container does not publish that port",
        "`rl port NAME` lists what it publishes while it runs. Ports are published when a "
        "container is made (-p, -P), not later.",
    ),
}
