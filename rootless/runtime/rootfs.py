"""From config.json to the stage's plan: namespaces, root file system, mounts.  Warm, no kernel.

runtime-spec 1.1 config.md (mounts), config-linux.md (namespaces, masked and read-only paths).
"""

import os

from rootless.errors import UsageError
from rootless.linux import mount, process, rlimit, syscalls
from rootless.runtime import stage
from rootless.runtime.execute import ProcessPlan
from rootless.store.atomic import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rootless.context import Context
    from rootless.linux.idmap import IdMap
    from rootless.network.driver import Driver
    from rootless.store.containers import Container

    Doc = dict[str, Any]

_NAMESPACES = {
    "ipc": syscalls.CLONE_NEWIPC,
    "uts": syscalls.CLONE_NEWUTS,
    "cgroup": syscalls.CLONE_NEWCGROUP,
    "network": syscalls.CLONE_NEWNET,
    "pid": syscalls.CLONE_NEWPID,
    "mount": syscalls.CLONE_NEWNS,
    "user": syscalls.CLONE_NEWUSER,
}
# Words of mount(8) that say what is so anyway, or that a user namespace cannot have.
_DEFAULT_WORDS = frozenset(
    "rw suid dev exec atime diratime defaults async loud nomand relatime norelatime "
    "nostrictatime bind rbind dirsync sync mand".split()
)
INIT_PROGRAMS = ("catatonit", "tini-static", "docker-init", "tini", "dumb-init")
INIT_TARGET = "/dev/init"
# apt changes to the user _apt for its downloads and makes sure that it has.
APT_CONF = 'APT::Sandbox::User "root";\n'
APT_CONF_PATH = "/dev/.rl-apt.conf"


def namespace_flags(config: "Doc", network: "Driver") -> int:
    """The CLONE_NEW* bits of the namespaces that the container has of its own."""
    flags = 0
    for namespace in config["linux"]["namespaces"]:
        flags |= _NAMESPACES[namespace["type"]]
    if not network.new_namespace:
        flags &= ~syscalls.CLONE_NEWNET
    return flags


def plan(
    ctx: "Context", container: "Container", config: "Doc", idmap: "IdMap", network: "Driver"
) -> stage.Plan:
    """What the stage has to do for this container."""
    flags = namespace_flags(config, network)
    extension = config["rl"]
    operations: list[stage.Operation] = []
    propagation = "private"
    for entry in config["mounts"]:
        if entry["type"] == "bind" and _propagation(entry["options"]) != "private":
            propagation = "slave"
        operations.append(operation(ctx, container, config, entry, idmap))
    for text, path in extension["links"]:
        operations.append(mount.Symlink(text, path))
    program = process_plan(ctx, config["process"], extension["user"], extension["groups"],
                           extension["seccomp"])  # fmt: skip
    if idmap.single:
        program.one_id = one_id_program(ctx)
        operations.append(mount.File(APT_CONF, APT_CONF_PATH))
        if not any(entry.startswith("APT_CONFIG=") for entry in program.env):
            program.env = [*program.env, f"APT_CONFIG={APT_CONF_PATH}"]
    userns = extension.get("userns") or {}
    if userns.get("mode") == "nomap":
        program.unmapped = int(userns["uid"]), int(userns["gid"])
    if extension["init"]:
        operations.append(
            mount.Bind(extension["init_program"], INIT_TARGET, mount.ATTRIBUTES["ro"])
        )
        program.args = [INIT_TARGET, "--", *program.args]
    if extension.get("secrets"):
        from rootless.runtime import secrets

        operations += secrets.operations(ctx, extension["secrets"])
        program.env = [*program.env, *secrets.environment(ctx, extension["secrets"])]
    operations += [mount.ReadOnly(path) for path in config["linux"]["readonlyPaths"]]
    operations += [mount.Mask(path) for path in config["linux"]["maskedPaths"]]
    made = stage.Plan(
        root=root_plan(ctx, container, extension, idmap, read_only=config["root"]["readonly"]),
        operations=operations,
        copy_ups=[tuple(pair) for pair in extension["copy_up"]],
        tmpfs_copy_ups=extension["tmpfs_copy_up"],
        chowns=extension["chown"],
        process=program,
        hostname=config["hostname"] if flags & syscalls.CLONE_NEWUTS else "",
        domainname=config.get("domainname", "") if flags & syscalls.CLONE_NEWUTS else "",
        sysctls=config["linux"]["sysctl"],
        loopback=bool(flags & syscalls.CLONE_NEWNET),
        new_pid_namespace=bool(flags & syscalls.CLONE_NEWPID),
        new_cgroup_namespace=bool(flags & syscalls.CLONE_NEWCGROUP),
        propagation=propagation,
        passwd_entry=_kept_user(ctx, extension, config["process"]["cwd"]),
    )
    made.trace = ctx.trace
    return made


def _kept_user(ctx: "Context", extension: "Doc", home: str) -> str:
    """With keep-id, the caller's line of passwd(5): the image does not know them."""
    userns = extension.get("userns") or {}
    if userns.get("mode") != "keep-id":
        return ""
    uid = ctx.uid if userns["uid"] is None else userns["uid"]
    gid = ctx.gid if userns["gid"] is None else userns["gid"]
    name = ctx.user_name()
    return f"{name}:*:{uid}:{gid}:{name}:{home}:/bin/sh"


def one_id_program(ctx: "Context") -> bytes:
    """The filter that pretends (helpers/seccomp/one-id.json); b"" on a machine without one."""
    from rootless.runtime import owners

    return owners.pretending(_one_id_filter(ctx))


def note_owners(ctx: "Context", program: "ProcessPlan") -> None:
    """Have the changes of owners of a process that pretends noted: launch() with `owners`."""
    from rootless.runtime import owners

    if program.one_id:
        program.note_owners = owners.noting(_one_id_filter(ctx))


def _one_id_filter(ctx: "Context") -> bytes:
    try:
        with open(ctx.helper(f"seccomp/one-id-{os.uname().machine}.bpf"), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def process_plan(
    ctx: "Context",
    document: "Mapping[str, Any]",
    user: str,
    groups: "list[str]",
    seccomp: str,
) -> ProcessPlan:
    """The plan of a runtime-spec process; `seccomp` is the path of a program or ""."""
    program = b""
    if seccomp:
        with open(seccomp, "rb") as file:
            program = file.read()
    if document.get("landlock"):
        from rootless.linux import landlock  # noqa: F401  # execute() cannot: another root by then

    return ProcessPlan(
        args=document["args"],
        env=document["env"],
        cwd=document["cwd"],
        user=user,
        groups=groups,
        capabilities=document["capabilities"],
        # Of the session in which it was made; this one may have lower limits.
        rlimits=[
            (one["type"], *rlimit.lowered(one["type"], one["soft"], one["hard"]))
            for one in document["rlimits"]
        ],
        no_new_privileges=document["noNewPrivileges"],
        seccomp=program,
        terminal=document["terminal"],
        umask=document["user"].get("umask", 0o022),
        oom_score_adj=document.get("oomScoreAdj"),
        landlock=document.get("landlock", ()),
        launcher=_launcher(ctx),
    )


def _launcher(ctx: "Context") -> bytes:
    """What executes the program where our Python is the user's file (linux/launcher), or b""."""
    running = "/proc/self/exe"
    if os.stat(running).st_uid != ctx.uid and not os.access(running, os.W_OK):
        return b""
    from rootless.linux import launcher

    return launcher.program(ctx.helper(f"launcher/{os.uname().machine}"))


def root_plan(
    ctx: "Context", container: "Container", extension: "Doc", idmap: "IdMap", *, read_only: bool
) -> stage.RootPlan:
    """The layers below the container's own upper directory, topmost first."""
    layers = [f"layers/{one.rpartition(':')[2]}" for one in reversed(extension["layers"])]
    frozen = [f"frozen/{one}/diff" for one in reversed(extension.get("frozen", ()))]
    name = f"containers/{container.id}"
    suffix = extension.get("layer_directory", "diff")
    driver = extension["rung"].get("storage", "overlay")
    target = f"{container.directory}/rootfs"
    lower = [f"{layer}/{suffix}" for layer in layers]
    mounted = [f"layers/{one.rpartition(':')[2]}" for one in extension.get("image_layers", ())]
    own_root = (extension.get("rootfs") or {}).get("path", "")
    if driver == "directory":
        target = own_root
    elif own_root:
        lower = [os.path.relpath(own_root, ctx.paths.store)]
    return stage.RootPlan(
        driver=driver,
        base=ctx.paths.store,
        # An overlay needs a lower directory; an image may have no layer.
        lower=[*frozen, *lower] or [f"{name}/links"],
        upper=f"{name}/upper",
        work=f"{name}/work",
        target=target,
        links=f"{container.directory}/links",
        read_only=read_only,
        # With "copy" the container has its own files already.
        images=[] if driver == "copy" else layer_mounts(
            [f"{ctx.paths.store}/{one}/{suffix}" for one in dict.fromkeys([*layers, *mounted])],
            idmap,
        ),
    )  # fmt: skip


def layer_mounts(directories: "list[str]", idmap: "IdMap") -> "list[tuple[str, str]]":
    """shared.mounts(), whose module is imported only where a layer is a shared store's."""
    for directory in directories:
        if os.path.islink(f"{os.path.dirname(directory)}/image") or os.path.islink(directory):
            from rootless.store import shared

            return shared.mounts(directories, idmap)
    return []


def init_program(ctx: "Context", asked: str = "") -> str:
    """The small init of the host for --init: `asked` (--init-path), the configured one, or the
    first of the usual ones.  Raises HostError."""
    configured = asked or ctx.config.get("init")
    for name in (str(configured),) if configured else INIT_PROGRAMS:
        path = process.find_program(name, ctx.environ)
        if path is not None:
            return path
    process.need_program(
        "catatonit", ctx.environ,
        "fetch it with rl setup catatonit, ask the admin for: apt-get install catatonit (or "
        "tini), or leave --init out",
        "RL-HOST-INIT",
    )  # fmt: skip
    raise AssertionError


def _propagation(options: "list[str]") -> str:
    for word in options:
        kind = word.removeprefix("r")
        if kind in mount.PROPAGATION:
            return kind
    return "private"


def operation(
    ctx: "Context", container: "Container", config: "Doc", entry: "Doc", idmap: "IdMap"
) -> "stage.Operation":
    """What mounts one entry of "mounts"."""
    if entry["type"] == "image":
        from rootless.runtime import image_mounts

        suffix = config["rl"].get("layer_directory", "diff")
        return image_mounts.operation(ctx, container, entry, config["mounts"], suffix)
    words = list(entry["options"])
    attributes = 0
    for word in words:
        attributes |= mount.ATTRIBUTES.get("ro" if word == "rro" else word, 0)
    if entry["type"] == "bind":
        return mount.Bind(
            entry["source"],
            entry["destination"],
            attributes,
            propagation=_propagation(words),
            recursive_read_only="rro" in words,
            submounts="bind" not in words,
            subpath=entry.get("subpath", ""),
        )
    known = mount.ATTRIBUTES.keys() | _DEFAULT_WORDS | {"rro"}
    rest = [word for word in words if word not in known]
    if entry["type"] == "devpts" and not idmap.has_gid(5):
        rest = [word for word in rest if word != "gid=5"]
    return mount.Filesystem(entry["type"], entry["destination"], rest, attributes)


def storage_driver(ctx: "Context", asked: str) -> str:
    """The rung of the root file system ladder: "overlay", "fuse-overlayfs" or "copy".

    `asked` is --storage-driver, else the configuration's; else what worked here before, found out
    once by trying and kept in the cache of the store.
    """
    wanted = asked or str(ctx.config.get("storage-driver", ""))
    if wanted:
        if wanted not in ("overlay", "fuse-overlayfs", "copy"):
            raise UsageError(
                f"there is no storage driver {wanted}",
                remedy="use overlay, fuse-overlayfs or copy",
            )
        return wanted
    cache = f"{ctx.paths.cache}/storage-driver.json"
    release = os.uname().release
    try:
        found = read_json(cache)
        if found.get("release") == release:
            return str(found["driver"])
    except (OSError, KeyError):
        pass
    from rootless.runtime import storage_probe

    return storage_probe.choose(ctx, cache, release)
