"""RUN: the sandbox of `rl run`, on the layers below it, with a new upper directory.

run() is called in a forked child of the solver, which has one thread.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rootless.build import copied_root, fuse_root
from rootless.build.dockerfile.mounts import Mount
from rootless.build.plan import check_layers
from rootless.build.run_process import HOSTNAME, Execution, Sandbox
from rootless.build.step_mounts import StepMounts
from rootless.linux import rlimit
from rootless.network import driver as drivers
from rootless.records import dataclass, field, replace
from rootless.runtime import limits, network_files, rootfs, seccomp, spec, stage
from rootless.runtime.options import RunOptions
from rootless.store import mapping

if TYPE_CHECKING:
    from rootless.build.dockerfile.instructions import InlineFile
    from rootless.build.options import BuildOptions
    from rootless.context import Context
    from rootless.store.containers import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a RUN needs.  `lower` are layers' directories, topmost first.

    `trees` are the directories (topmost first) that the mounts read, by their place; `secrets`
    the bytes of those that were given; `agents` the sockets of SSH agents.
    """

    arguments: Sequence[str]
    script: "InlineFile | None"
    environment: Sequence[str]
    user: str
    workdir: str
    network: str
    mounts: Sequence[Mount]
    trees: Mapping[int, Sequence[str]]
    lower: Sequence[str]
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    agents: Mapping[str, str] = field(default_factory=dict)


def run(
    ctx: "Context",
    options: "BuildOptions",
    asked: Run,
    directory: str,
    stdio: Sequence[int],
    note: Callable[[str], None],
    *,
    terminal: bool = False,
) -> tuple[int, list[str]]:
    """Run the command with `directory`/upper for what it writes; its exit code, and the mount
    points that were made for it.

    128 + N is for a signal.  `directory` has been prepared (commit.prepare).  With `terminal` it
    has one of its own, which ours shows.  Raises RlError when the command could not be started.
    """
    check_layers(len(asked.lower))
    run_options = _run_options(options, asked)
    box = Sandbox(directory, run_options.hostname)
    run_options.tty = terminal
    name = drivers.choose(run_options.network, ctx.environ)
    network = drivers.make(
        name,
        [],
        ctx.paths.container_runtime(box.id),
        ctx.environ,
        {"options": run_options.network_options, "add_hosts": run_options.add_hosts},
    )
    config = _config(ctx, box, run_options, name)
    driver = config["rl"]["rung"]["storage"]
    container = cast("Container", box)
    network_files.write(container, network, config["rl"]["network"])
    plan = rootfs.plan(ctx, container, config, mapping.default_map(ctx), network)
    rootfs.note_owners(ctx, plan.process)
    plan.process.nests = True
    plan.root = _root(ctx, directory, asked.lower, driver)
    if driver == "copy":
        copied_root.fill(ctx, asked.lower, directory)
    space = options.cache_mount_namespace
    with StepMounts(ctx, asked, directory, space, overlay=driver == "overlay") as mounts:
        plan.operations = [*plan.operations, *mounts.operations]
        plan.process.env = [*plan.process.env, *mounts.environment]
        code = Execution(ctx, plan, config, options, box, network, note).run(stdio)
    if driver == "copy" and code == 0:
        copied_root.take_changes(ctx, directory)
    elif driver == "fuse-overlayfs" and code == 0:
        fuse_root.settle(ctx, directory, asked.lower)
    return code, [operation.target for operation in plan.operations if operation.target]


def _config(ctx: "Context", box: Sandbox, run_options: RunOptions, network: str) -> dict[str, Any]:
    """The runtime config of the step's container."""
    config = spec.build(
        run_options,
        {"config": {}, "layers": []},
        container_id=box.id,
        directory=box.directory,
        volume_path=ctx.paths.volume_data,
        rootfs=f"{box.directory}/rootfs",
        seccomp=seccomp.program_for(ctx, run_options),
        driver=network,
        host_hostname=box.config["hostname"],
        host_limits=rlimit.host_limits(),
        tty_group=mapping.default_map(ctx).has_gid(5),
    )
    config["rl"]["rung"]["storage"] = rootfs.storage_driver(ctx, "")
    config["rl"]["resources"] = limits.resources(run_options)
    return config


def shell(ctx: "Context", options: "BuildOptions", asked: Run, directory: str) -> None:
    """--shell-on-fail: a shell of the image on our own standard input and output.

    It sees the files as the failed command has left them.  On a terminal it gets one of its own:
    ours cannot be the controlling one of another session, and Ctrl-C is for what the shell runs.
    """
    for name in ("links", "private"):
        os.makedirs(f"{directory}/{name}", exist_ok=True)
    again = replace(asked, arguments=("/bin/sh",), script=None)
    stdio = [os.dup(number) for number in (0, 1, 2)]
    run(ctx, options, again, directory, stdio, lambda _text: None, terminal=os.isatty(0))


def _run_options(options: "BuildOptions", asked: Run) -> RunOptions:
    made = RunOptions.from_values({"image": "", "args": []}, environ={}, cwd="/")
    made.entrypoint = []
    made.args = list(asked.arguments)
    made.env = list(asked.environment)
    made.workdir = asked.workdir
    made.user = asked.user
    made.hostname = options.hostname or HOSTNAME
    network = asked.network if asked.network != "default" else options.network
    made.network = network or "default"
    made.add_hosts = [list(pair) for pair in options.add_hosts]
    made.ulimits = [dict(one) for one in options.ulimits]
    for name, value in options.resources.items():
        setattr(made, name, value)
    if options.shm_size:
        made.shm_size = options.shm_size
    return made


def _root(ctx: "Context", directory: str, lower: Sequence[str], driver: str) -> stage.RootPlan:
    store = f"{ctx.paths.store}/"
    place = directory.removeprefix(store)
    return stage.RootPlan(
        driver=driver,
        base=ctx.paths.store,
        lower=[layer.removeprefix(store) for layer in lower] or [f"{place}/links"],
        upper=f"{place}/{'rootfs' if driver == 'copy' else 'upper'}",
        work=f"{place}/work",
        target=f"{directory}/rootfs",
        links=f"{directory}/links",
        read_only=False,
        images=[]
        if driver == "copy"
        else rootfs.layer_mounts(list(lower), mapping.default_map(ctx)),
    )
