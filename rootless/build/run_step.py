"""RUN: the sandbox of `rl run`, on the layers below it, with a new upper directory.

run() is called in a forked child of the solver, which has one thread.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rootless import ids
from rootless.build import commit, copied_root, fuse_root, run_mounts
from rootless.build.dockerfile.instructions import SCRIPT_DIRECTORY
from rootless.build.dockerfile.mounts import Mount
from rootless.errors import BuildError
from rootless.linux import mount, process, rlimit
from rootless.linux.from_layers import FromLayers
from rootless.network import driver as drivers
from rootless.records import dataclass, field, replace
from rootless.runtime import launch, limits, network_files, rootfs, seccomp, spec, stage
from rootless.runtime.options import RunOptions
from rootless.runtime.streams import Pump
from rootless.store import buildcache, mapping
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from rootless.build.dockerfile.instructions import InlineFile
    from rootless.build.options import BuildOptions
    from rootless.context import Context
    from rootless.network.driver import Driver
    from rootless.store.containers import Container

HOSTNAME = "buildkitsandbox"  # as with BuildKit, and the same at each build
SSH_DIRECTORY = "/run/buildkit"


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


class _Sandbox:
    """What rootless.runtime wants to know of a container that is in no store."""

    def __init__(self, directory: str) -> None:
        self.id = ids.new_container_id()
        self.directory = directory
        self.config = {"hostname": HOSTNAME, "domainname": ""}


def run(
    ctx: "Context",
    options: "BuildOptions",
    asked: Run,
    directory: str,
    stdio: Sequence[int],
    note: Callable[[str], None],
) -> tuple[int, list[str]]:
    """Run the command with `directory`/upper for what it writes; its exit code, and the mount
    points that were made for it.

    128 + N is for a signal.  `directory` has been prepared (commit.prepare).  Raises RlError when
    the command could not be started.
    """
    _check_layers(asked.lower)
    box = _Sandbox(directory)
    run_options = _run_options(options, asked)
    name = drivers.choose(run_options.network, ctx.environ)
    network = drivers.make(
        name,
        [],
        ctx.paths.container_runtime(box.id),
        ctx.environ,
        {"options": run_options.network_options, "add_hosts": run_options.add_hosts},
    )
    config = spec.build(
        run_options,
        {"config": {}, "layers": []},
        container_id=box.id,
        directory=directory,
        volume_path=ctx.paths.volume_data,
        rootfs=f"{directory}/rootfs",
        seccomp=seccomp.program_for(ctx, run_options),
        driver=name,
        host_hostname=HOSTNAME,
        host_limits=rlimit.host_limits(),
        tty_group=mapping.default_map(ctx).has_gid(5),
    )
    driver = rootfs.storage_driver(ctx, "")
    config["rl"]["rung"]["storage"] = driver
    config["rl"]["resources"] = limits.resources(run_options)
    container = cast("Container", box)
    network_files.write(container, network, config["rl"]["network"])
    idmap = mapping.default_map(ctx)
    plan = rootfs.plan(ctx, container, config, idmap, network)
    rootfs.note_owners(ctx, plan.process)
    plan.process.nests = True
    plan.root = _root(ctx, directory, asked.lower, driver)
    if driver == "copy":
        copied_root.fill(ctx, asked.lower, directory)
    with _Mounts(ctx, asked, directory, overlay=driver == "overlay") as mounts:
        plan.operations = [*plan.operations, *mounts.operations]
        plan.process.env = [*plan.process.env, *mounts.environment]
        code = _execute(ctx, plan, config, options, box, network, stdio, note)
    if driver == "copy" and code == 0:
        copied_root.take_changes(ctx, directory)
    elif driver == "fuse-overlayfs" and code == 0:
        fuse_root.settle(ctx, directory, asked.lower)
    return code, [operation.target for operation in plan.operations if operation.target]


def _check_layers(lower: Sequence[str]) -> None:
    if len(lower) > mount.LAYERS_MAX:
        raise BuildError(
            f"{len(lower)} layers are below this step, and overlayfs takes {mount.LAYERS_MAX}",
            remedy="put several commands into one RUN",
            code="RL-IMAGE-TOO-MANY-LAYERS",
        )


def shell(ctx: "Context", options: "BuildOptions", asked: Run, directory: str) -> None:
    """--shell-on-fail: a shell of the image on our own standard input and output.

    It sees the files as the failed command has left them.
    """
    for name in ("links", "private"):
        os.makedirs(f"{directory}/{name}", exist_ok=True)
    again = replace(asked, arguments=("/bin/sh",), script=None)
    stdio = [os.dup(number) for number in (0, 1, 2)]
    run(ctx, options, again, directory, stdio, lambda _text: None)


def _run_options(options: "BuildOptions", asked: Run) -> RunOptions:
    made = RunOptions.from_values({"image": "", "args": []}, environ={}, cwd="/")
    made.entrypoint = []
    made.args = list(asked.arguments)
    made.env = list(asked.environment)
    made.workdir = asked.workdir
    made.user = asked.user
    made.hostname = HOSTNAME
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


def _execute(
    ctx: "Context",
    plan: stage.Plan,
    config: dict[str, Any],
    options: "BuildOptions",
    box: _Sandbox,
    network: "Driver",
    stdio: Sequence[int],
    note: Callable[[str], None],
) -> int:
    policy = options.limits or str(ctx.config.get("limits", "strict"))
    cgroup = limits.prepare(ctx, box.id, config["rl"]["resources"], policy)
    trace = ctx.trace
    if trace is not None:
        trace.lap(f"planned its container: the layers below, {len(plan.operations)} mounts")
        trace.open("started its container", container=box.id)
    for sentence in cgroup.notes if cgroup is not None else ():
        note(sentence)
    started = launch.launch(
        plan,
        namespaces=rootfs.namespace_flags(config, network),
        idmap=mapping.default_map(ctx),
        network=network,
        cgroup=cgroup,
        stdio=stdio,
        environ=ctx.environ,
    )
    if trace is not None:
        trace.close()
    if started.user != (0, 0):
        commit.put_owner(box.directory, started.user)
    recorder = None
    if started.listener_fd >= 0:
        from rootless.runtime import owners

        upper = f"{plan.root.base}/{plan.root.upper}"
        links = f"{box.directory}/{commit.LINKS}"
        recorder = owners.Recorder(started.listener_fd, started.pidfd, upper, links)
    # The output ends with the last writer, which must not be us.
    for fd in stdio[1:]:
        os.close(fd)
    try:
        pump = Pump(started.pidfd, {}, -1, None)
        network.serve(pump)
        if cgroup is not None:
            cgroup.watch(started, pump)
        pump.run()
    except BaseException:
        process.signal_process(started.pidfd, launch.KILL)
        raise
    finally:
        _, status = os.waitpid(started.pid, 0)
        if recorder is not None:
            recorder.finish()
        started.network.close()
        killed = ""
        if cgroup is not None:
            killed = cgroup.end_message() if cgroup.oom_killed() else ""
            cgroup.remove()
    if trace is not None:
        trace.lap("the command ran, and its container was cleaned up", status=status)
    if killed:
        note(killed)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


class _Mounts:
    """The operations of RUN --mount, with what has to live as long as the command."""

    def __init__(self, ctx: "Context", asked: Run, directory: str, *, overlay: bool) -> None:
        self._ctx = ctx
        self._overlay = overlay  # of the kernel: mounts of trees need a copy without it
        self._asked = asked
        self._directory = directory
        self._locks: list[Locked] = []
        self._relays: list[int] = []
        self.operations: list[Any] = []
        self.environment: list[str] = []

    def __enter__(self) -> "_Mounts":
        private = f"{self._directory}/private"
        self.operations.append(run_mounts.Private(private))
        if self._asked.script is not None:
            script = self._asked.script
            self.operations.append(
                run_mounts.MemoryFile(
                    f"{private}/script",
                    script.content.encode("utf-8", "surrogateescape"),
                    f"{SCRIPT_DIRECTORY}/{script.name}",
                    mode=0o755,
                )
            )
        try:
            for number, one in enumerate(self._asked.mounts):
                self._add(number, one, f"{private}/{number}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for lock in self._locks:
            lock.release()
        for pid in self._relays:
            os.kill(pid, launch.KILL)
            os.waitpid(pid, 0)

    def _add(self, number: int, one: Mount, place: str) -> None:
        target = _absolute(one.target, self._asked.workdir)
        match one.type:
            case "bind":
                self.operations.append(self._bind(number, one, target, place))
            case "cache":
                self.operations.append(self._cache(number, one, target, place))
            case "tmpfs":
                self.operations.append(run_mounts.tmpfs(target, one.size))
            case "secret":
                self._secret(one, place)
            case "ssh":
                self._ssh(number, one)

    def _bind(self, number: int, one: Mount, target: str, place: str) -> FromLayers:
        store = f"{self._ctx.paths.store}/"
        missing = BuildError(
            f"--mount: {one.source} is not there",
            remedy="check the path in source=, and .dockerignore",
            code="RL-BUILD-MOUNT-SOURCE",
        )
        trees = list(self._asked.trees.get(number, ()))
        if not self._overlay:
            copied = f"{self._directory}/flat{number}"
            copied_root.flat(self._ctx, trees, copied)
            return FromLayers(
                [], one.source or "/", target, base="", scratch="", place=copied,
                read_only=one.read_only, missing=missing, copied=True,
            )  # fmt: skip
        return FromLayers(
            [tree.removeprefix(store) for tree in trees],
            one.source or "/",
            target,
            base=self._ctx.paths.store,
            scratch=f"{self._directory.removeprefix(store)}/bind{number}",
            place=place,
            read_only=one.read_only,
            missing=missing,
        )

    def _cache(self, number: int, one: Mount, target: str, place: str) -> run_mounts.CacheDirectory:
        content = self._bind(number, one, target, place) if number in self._asked.trees else None
        directory = f"{self._ctx.paths.store}/buildcache/mounts/{cache_name(one, target)}"
        directory = self._claim(directory, one.sharing or "shared")
        return run_mounts.CacheDirectory(
            directory,
            target,
            mode=0o755 if one.mode is None else one.mode,
            uid=one.uid or 0,
            gid=one.gid or 0,
            read_only=one.read_only,
            content=content,
        )

    def _claim(self, directory: str, sharing: str) -> str:
        """The directory of a cache, as `sharing` allows it: waited for, or another one."""
        number = 0
        while True:
            claimed = directory if number == 0 else f"{directory}-{number}"
            os.makedirs(claimed, 0o700, exist_ok=True)
            buildcache.touch_mount(claimed)
            if sharing == "shared":
                return claimed
            wait_s = None if sharing == "locked" else 0
            lock = Locked(f"{claimed}/lock", wait_s=wait_s, what="a cache mount")
            try:
                self._locks.append(lock.__enter__())
                return claimed
            except Exception as e:
                if getattr(e, "code", "") != "RL-STORE-BUSY":
                    raise
            number += 1

    def _secret(self, one: Mount, place: str) -> None:
        data = self._asked.secrets.get(one.secret_id)
        if data is None:
            return  # one that is required has been missed before
        if one.env is not None:
            self.environment.append(f"{one.env}={data.decode('utf-8', 'surrogateescape')}")
        if one.secret_target:
            target = _absolute(one.secret_target, self._asked.workdir)
            mode = 0o400 if one.mode is None else one.mode
            self.operations.append(
                run_mounts.MemoryFile(
                    place, data, target, mode=mode, uid=one.uid or 0, gid=one.gid or 0
                )
            )

    def _ssh(self, number: int, one: Mount) -> None:
        from rootless.build import ssh_relay

        agent = self._asked.agents.get(one.id or "default")
        if agent is None:
            return
        path = f"{self._directory}/agent{number}"
        mode = 0o600 if one.mode is None else one.mode
        self._relays.append(ssh_relay.start(agent, path))
        target = one.target or f"{SSH_DIRECTORY}/ssh_agent.{number}"
        target = _absolute(target, self._asked.workdir)
        self.operations.append(
            run_mounts.Socket(path, target, mode=mode, uid=one.uid or 0, gid=one.gid or 0)
        )
        if not any(entry.startswith("SSH_AUTH_SOCK=") for entry in self.environment):
            self.environment.append(f"SSH_AUTH_SOCK={target}")


def _absolute(path: str, workdir: str) -> str:
    import posixpath

    return posixpath.normpath(posixpath.join(workdir or "/", path))


def cache_name(one: Mount, target: str) -> str:
    """The directory's name of a cache mount: its id, the target by default."""
    return hashlib.sha256((one.id or target).encode("utf-8", "surrogateescape")).hexdigest()[:32]
