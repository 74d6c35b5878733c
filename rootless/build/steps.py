"""One step: what its result depends on, and how it is made (in a forked child)."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rootless.build import cache as caches
from rootless.build import copying
from rootless.build.cache import Cache, Entry
from rootless.build.cache_imports import Imports
from rootless.build.copying_select import Layers, Tree
from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.mounts import Mount
from rootless.build.jobs import Failed, Link
from rootless.build.plan import Source, Step
from rootless.errors import BuildError, CommandNotExecutable, RlError
from rootless.oci import platform as platforms
from rootless.records import asdict, dataclass, field, replace
from rootless.store.atomic import TemporaryDirectory

if TYPE_CHECKING:
    from rootless.build.options import BuildOptions
    from rootless.context import Context

TAIL = 20  # lines of output that a message may repeat


@dataclass(slots=True, kw_only=True)
class Around:
    """What the steps of one build share.  `contexts` are named ones; "" is the main context."""

    ctx: "Context"
    options: "BuildOptions"
    cache: Cache
    contexts: Mapping[str, Tree]
    fetch_directory: str
    epoch: int | None = None
    imports: Imports = field(default_factory=Imports)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    agents: Mapping[str, str] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)

    def digest(self, number: int, transfer: copying.Transfer) -> str:
        """The content key of the transfer of step `number`, found once."""
        if number not in self.digests:
            self.digests[number] = digest_of(self, transfer)
        return self.digests[number]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A step whose inputs are known: its key, and what it reads."""

    step: Step
    key: str
    parts: dict[str, object]
    lower: list[str]  # diffIDs, bottom first
    transfer: copying.Transfer | None = None
    trees: dict[int, Tree | Layers] = field(default_factory=dict)


def prepare(
    around: Around,
    step: Step,
    lower: Sequence[str],
    layers_of: Mapping[int, Sequence[str]],
    transfer: copying.Transfer | None = None,
) -> Prepared:
    """The key of a step on the layers `lower`; `layers_of` are those of the stages by index.

    `transfer` is one that was prepared before.  Raises BuildError for files that are not there.
    """
    parts: dict[str, object] = {"base": caches.chain(lower), "epoch": around.epoch}
    trees: dict[int, Tree | Layers] = {}
    match step.instruction:
        case to.Run():
            trees = {
                i: tree_of(around, source, layers_of)
                for i, (mount, source) in enumerate(step.mounts)
                if mount.type == "bind" or (mount.type == "cache" and mount.source_stage)
            }
            parts |= _run_parts(around, step, step.instruction, trees)
        case to.Workdir():
            parts |= {"instruction": ["WORKDIR", step.workdir], "user": step.user}
        case to.Copy() | to.Add():
            if transfer is None:
                transfer = transfer_of(around, step, layers_of)
            if transfer.independent:
                parts["base"] = ""
            parts |= {
                "instruction": [type(step.instruction).__name__, transfer.target, transfer.chown,
                                transfer.chmod, transfer.sources],
                "files": around.digest(step.number, transfer),
            }  # fmt: skip
    return Prepared(step, caches.digest(parts), parts, list(lower), transfer, trees)


def tree_of(
    around: Around, source: Source, layers_of: Mapping[int, Sequence[str]]
) -> Tree | Layers:
    """Where the files of a source are."""
    if source.is_context:
        return around.contexts[source.context]
    if source.stage is not None:
        diff_ids = list(layers_of[source.stage.stage.index])
        name = f"the stage {source.stage.label}"
    else:
        assert source.image is not None
        diff_ids, name = source.image.layers, source.image.name
    directories = tuple(around.ctx.paths.layer_diff(one) for one in reversed(diff_ids))
    if not directories:
        return Tree(_empty(around), name=name)
    return Layers(directories, caches.chain(diff_ids), name)


def _empty(around: Around) -> str:
    path = f"{around.fetch_directory}/empty"
    os.makedirs(path, exist_ok=True)
    return path


def transfer_of(
    around: Around, step: Step, layers_of: Mapping[int, Sequence[str]]
) -> copying.Transfer:
    """The transfer of COPY or ADD; what is on the network is fetched."""
    instruction = step.instruction
    assert isinstance(instruction, to.Copy | to.Add)
    assert step.source is not None
    transfer = copying.from_instruction(
        instruction,
        source=tree_of(around, step.source, layers_of),
        workdir=step.workdir,
        epoch=around.epoch,
    )
    if isinstance(instruction, to.Add) and any("://" in s or "@" in s for s in transfer.sources):
        from rootless.build import copying_remote

        directory = f"{around.fetch_directory}/{step.number}"
        os.makedirs(directory, exist_ok=True)
        transfer = copying_remote.fetch(around.ctx, transfer, directory, around.options.secrets)
    return transfer


def digest_of(around: Around, transfer: copying.Transfer) -> str:
    from rootless.build.checksum import transfer_digest

    return transfer_digest(around.ctx, transfer)


def _run_parts(
    around: Around, step: Step, run: to.Run, trees: Mapping[int, Tree | Layers]
) -> dict[str, object]:
    options = around.options
    network = run.network if run.network != "default" else options.network
    special: dict[str, object] = {}
    if options.hostname:
        special["hostname"] = options.hostname
    if options.cache_mount_namespace and any(mount.type == "cache" for mount, _ in step.mounts):
        special["caches"] = options.cache_mount_namespace
    script = [step.script.name, step.script.content] if step.script else []
    return {
        "instruction": ["RUN", list(step.arguments), script],
        "environment": list(step.environment),
        "user": step.user,
        "workdir": step.workdir,
        "network": network or "default",
        "mounts": [_mount_part(mount) for mount, _ in step.mounts],
        "files": [_files_part(around, step.mounts[i][0], tree) for i, tree in trees.items()],
        "hosts": [list(pair) for pair in options.add_hosts],
        "ulimits": [dict(one) for one in options.ulimits],
        **special,
    }


def _mount_part(mount: Mount) -> dict[str, Any]:
    """A mount as the key sees it: never with a secret's value; not even what a cache holds."""
    return {key: value for key, value in asdict(mount).items() if key != "source_stage"}


def _files_part(around: Around, mount: Mount, tree: Tree | Layers) -> str:
    if isinstance(tree, Layers):
        return tree.identity
    return digest_of(around, mounted(mount, tree))


def mounted(mount: Mount, tree: Tree | Layers) -> copying.Transfer:
    """A bind mount as a copy: to know whether it is there, its content, and what is ignored."""
    return copying.Transfer(sources=(mount.source or ".",), target="/", source=tree)


def mounted_of(around: Around, step: Step) -> list[copying.Transfer]:
    """What bind mounts show of contexts and images, which are there before any step."""
    return [
        mounted(mount, tree_of(around, source, {}))
        for mount, source in step.mounts
        if mount.type == "bind" and source.stage is None
    ]


def make(around: Around, prepared: Prepared, link: Link, *, fresh: bool) -> dict[str, object]:
    """Make the step's layer, unless somebody has; {"entry": …, "cached": bool}.

    Runs in a child.  `fresh` is --no-cache.
    """
    with around.cache.making(prepared.key, link.note):
        entry = None if fresh else around.cache.load(prepared.key)
        if entry is None and not fresh:
            entry = around.imports.take(around.ctx, prepared.key, link.note)
            if entry is not None:
                around.cache.save(prepared.key, entry)
        if entry is not None:
            return {"entry": asdict(entry), "cached": True}
        with TemporaryDirectory(around.ctx.paths, around.ctx) as directory:
            entry = _make(around, prepared, directory, link)
        around.cache.save(prepared.key, entry)
    return {"entry": asdict(entry), "cached": False}


def _make(around: Around, prepared: Prepared, directory: str, link: Link) -> Entry:
    from rootless.build import commit

    ctx, step = around.ctx, prepared.step
    lower = commit.layer_directories(ctx, prepared.lower)
    stubs: list[str] = []
    match step.instruction:
        case to.Run():
            commit.prepare(directory, lower)
            stubs = _run(around, prepared, lower, directory, link)
        case to.Workdir():
            commit.make_directory(ctx, lower, directory, step.workdir, step.user, around.epoch)
        case _:
            assert prepared.transfer is not None
            done = copying.perform(ctx, prepared.transfer, lower, directory)
            if done.covered:
                link.note(
                    f"several sources went to {done.covered}, and the last one is there; "
                    "a destination that ends with / is a directory"
                )
    return commit.commit(
        ctx,
        directory,
        name=step.name,
        epoch=around.epoch,
        stubs=stubs,
        lower=lower,
        keep_empty=not isinstance(step.instruction, to.Workdir),
    )


def _run(
    around: Around, prepared: Prepared, lower: Sequence[str], directory: str, link: Link
) -> list[str]:
    from rootless.build import run_step

    step = prepared.step
    assert isinstance(step.instruction, to.Run)
    mounts = [mount for mount, _ in step.mounts]
    trees: dict[int, Sequence[str]] = {}
    for number, tree in prepared.trees.items():
        if isinstance(tree, Layers):
            trees[number] = tree.directories
            continue
        # A copy, so that .dockerignore counts here too.
        copied = f"{directory}/context{number}"
        os.mkdir(copied)
        copying.perform(around.ctx, mounted(mounts[number], tree), (), copied)
        trees[number] = [f"{copied}/upper"]
        mounts[number] = _at_root(mounts[number], tree)
    asked = run_step.Run(
        arguments=step.arguments,
        script=step.script,
        environment=[*step.environment, *step.hidden],
        user=step.user,
        workdir=step.workdir,
        network=step.instruction.network,
        mounts=mounts,
        trees=trees,
        lower=lower,
        secrets=around.secrets,
        agents=around.agents,
    )
    try:
        code, stubs = run_step.run(
            around.ctx, around.options, asked, directory, link.stdio, link.note
        )
    except RlError as e:
        foreign = _foreign(step) if e.code == CommandNotExecutable.code else None
        raise foreign or e from e
    if code == 0:
        return stubs
    shown = " ".join(step.arguments)
    body: dict[str, Any] = {
        "what": f'process "{shown}" did not complete successfully: exit code: {code}',
        "remedy": None,
        "code": "RL-BUILD-RUN",
        "exit_code": code,
    }
    if around.options.shell_on_fail and link.hold(body):
        run_step.shell(around.ctx, around.options, asked, directory)
        raise SystemExit
    raise Failed(body)


def _foreign(step: Step) -> BuildError | None:
    """The error for a program of another machine, if that is why it cannot be executed."""
    host, wanted = platforms.host(), step.stage.platform
    if platforms.matches(wanted, host):
        return None
    return BuildError(
        f"RUN for {wanted} on {host} needs an emulator, which this host has not registered",
        remedy="ask the admin for: apt-get install qemu-user-static binfmt-support; or build on "
        "such a machine, or with FROM --platform=$BUILDPLATFORM and a cross compiler",
        code="RL-BUILD-EMULATION",
    )


def _at_root(mount: Mount, tree: Tree) -> Mount:
    """The mount when what it shows has been copied to a directory: a file keeps its name."""
    name = mount.source.rstrip("/").rpartition("/")[2]
    is_file = os.path.isfile(f"{tree.root}/{mount.source}")
    return replace(mount, source=f"/{name}" if is_file else "/")
