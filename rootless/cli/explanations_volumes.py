"""`rl explain` for volumes and what containers write.  Data only."""

VOLUMES: dict[str, tuple[str, str]] = {
    "RL-VOLUME": (
        "Something with a volume did not work",
        "The line says what. `rl volume ls` lists the volumes, `rl volume inspect` shows one.",
    ),
    "RL-COPY": (
        "A file could not be copied",
        "The line names the file and the kernel's reason. Of `rl cp` of a directory, the files "
        "that were copied before it stay.",
    ),
    "RL-CONTAINER-COPY": (
        "The container has no layers of its own",
        "This host has neither overlayfs nor fuse-overlayfs for you, and so the image was copied "
        "for the container: what it has changed since then is not known. `rl export` and `rl cp` "
        "work.",
    ),
    "RL-SNAPSHOT-EXISTS": (
        "The container has a snapshot of that name",
        "A snapshot is never written over. Choose another name, or forget the old one with `rl "
        "snapshot --rm CONTAINER NAME`.",
    ),
    "RL-SNAPSHOT-NOT-FOUND": (
        "The container has no such snapshot",
        "`rl snapshots CONTAINER` lists those that it has. A snapshot belongs to one container and "
        "goes with it.",
    ),
    "RL-CONTAINER-IDS": (
        "Two containers see different IDs",
        "One of them was made with --userns, so that the same owner has two numbers. Copy the "
        "files to the host, and from there into the other container.",
    ),
    "RL-VOLUME-NOT-FOUND": (
        "There is no such volume",
        "Volumes are known by their whole names: `rl volume ls` lists them. `rl volume create`, or "
        "-v NAME:/PLACE of `rl run`, makes one.",
    ),
    "RL-VOLUME-IN-USE": (
        "A container has the volume",
        "A volume is removed when no container has it, running or stopped: remove those first, "
        "`rl ps -a --filter volume=NAME` lists them. A tmpfs volume is of one container at a time: "
        "without root, two containers cannot have the same tmpfs.",
    ),
    "RL-VOLUME-EXISTS": (
        "The volume exists, and is another one",
        "It was made with other options, and may hold files. Choose another name, or remove it "
        "first with `rl volume rm`.",
    ),
    "RL-VOLUME-SOURCE": (
        "The directory that a volume stands for is not there",
        "A volume with o=bind shows a directory of the host, which must exist when the volume is "
        "made and when a container starts.",
    ),
    "RL-VOLUME-MEMORY": (
        "The volume's files are in a container's memory",
        "A tmpfs volume has files only while its container runs, and only there: `rl exec` and "
        "`rl cp` reach them.",
    ),
}
