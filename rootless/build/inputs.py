"""What a build gets from outside: base images, contexts, secrets, SSH agents."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from rootless.build import copying, image, secrets, steps
from rootless.build.cache import Cache
from rootless.build.copying_select import Layers, Tree
from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.stages import Dockerfile
from rootless.build.dockerfile.text import did_you_mean
from rootless.build.events import Emit, Event
from rootless.build.jobs import Failed, Job, Link
from rootless.build.plan import DOCKER_IMAGE, OCI_LAYOUT, BaseImage, Images, Need, Plan, Step
from rootless.build.steps import Around
from rootless.errors import BuildError, RegistryError, RlError
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.store import images as stored

if TYPE_CHECKING:
    from rootless.build.context import BuildContext
    from rootless.build.options import BuildOptions
    from rootless.context import Context


class Inputs:
    """Found once per build.  `around` is for the steps."""

    def __init__(
        self,
        ctx: "Context",
        options: "BuildOptions",
        context: "BuildContext",
        dockerfile: Dockerfile,
        stack: ExitStack,
        directory: str,
        cache: Cache,
    ) -> None:
        self.ctx = ctx
        self.options = options
        self.dockerfile = dockerfile
        self._stack = stack
        self._images: dict[Need, BaseImage] = {}
        self._contexts = {"": context.tree}
        self._steps: list[Step] = []
        self.around = Around(
            ctx=ctx,
            options=options,
            cache=cache,
            contexts=self._contexts,
            fetch_directory=directory,
            epoch=options.source_date_epoch,
        )

    # Images.

    def images(self, needs: Sequence[Need], emit: Emit) -> Images:
        """A function that gives each image; those that are missing are pulled side by side."""
        jobs: list[tuple[Need, str, Job]] = []
        for need in needs:
            name = self._image_name(need)
            asked = self.options.pull or self.ctx.config.get("require-signatures")
            known = not (asked or name.startswith(OCI_LAYOUT))
            record = self._local(name, need) if known else None
            label = f"[internal] load metadata for {_canonical(name)}"
            if record is not None:
                self._images[need] = self._base(name, record)
                continue
            emit(Event("started", name=label))
            jobs.append((need, label, self._pull(name, need)))
        try:
            for need, label, job in jobs:
                self._pulled(need, label, job, emit)
        except BaseException:
            for _, _, job in jobs:
                if not job.reaped:
                    job.stop()
                    job.wait_stopped()
            raise

        def find(need: Need) -> BaseImage:
            if need not in self._images:
                self.images([need], emit)
            return self._images[need]

        return find

    def _image_name(self, need: Need) -> str:
        """The image that a name means: a --build-context of that name goes before."""
        value = self.options.build_contexts.get(self.options.context_of(need.name))
        # A directory is no image: the planner copies it.
        return need.name if value is None else value.removeprefix(DOCKER_IMAGE)

    def _local(self, name: str, need: Need) -> dict[str, Any] | None:
        try:
            record = cast("dict[str, Any] | None", stored.find(self.ctx.paths, name))
        except RlError as e:
            raise self._located(e, need) from e
        if record is None:
            return None
        offered = platforms.Platform.from_json(record["platform"], "the image record")
        return record if platforms.matches(offered, need.platform) else None

    def _located(self, e: RlError, need: Need) -> BuildError:
        return self.dockerfile.error(need.where, e.what, remedy=e.remedy, code=e.code)

    def _pull(self, name: str, need: Need) -> Job:
        def work(link: Link) -> object:
            if name.startswith(OCI_LAYOUT):
                if self.ctx.config.get("require-signatures"):
                    raise RegistryError(
                        f"{name} is refused: an OCI layout has no signatures",
                        remedy="leave --require-signature out, or use an image of a registry",
                        code="RL-SIGNATURE",
                    )
                from rootless.build import oci_layout

                loaded = oci_layout.load(self.ctx, *oci_layout.split(name), need.platform)
                return {"id": loaded["id"]}
            from rootless.layer import unpacked
            from rootless.registry import pull

            def progress(layer: str, phase: str, done: int, total: int) -> None:
                if layer and phase in ("done", "exists"):
                    word = "done" if phase == "done" else "already here"
                    link.note(f"{layer} {total / 1e6:.1f}MB {word}")

            record = pull.pull(self.ctx, name, platform=str(need.platform), progress=progress)
            for text in unpacked.words(self.ctx):
                link.note(text)
            return {"id": record["id"]}

        return Job(work)

    def _pulled(self, need: Need, label: str, job: Job, emit: Emit) -> None:
        try:
            result = cast(
                "dict[str, Any]",
                job.wait(lambda text: emit(Event("note", name=label, text=text))),
            )
        except Failed as e:
            emit(Event("failed", name=label, text=str(e), seconds=job.seconds))
            error = e.as_error()
            self.dockerfile.locate(error, need.where)
            names = tuple(one.name for one in self.dockerfile.stages if one.name)
            error.remedy = meant_instead(self.ctx, need.name, names) or error.remedy
            raise error from e
        emit(Event("done", name=label, seconds=job.seconds))
        record = cast("dict[str, Any]", stored.resolve(self.ctx.paths, result["id"]))
        self._images[need] = self._base(self._image_name(need), record)

    def _base(self, name: str, record: dict[str, Any]) -> BaseImage:
        return BaseImage(name, record, image.read_document(self.ctx, record))

    # Contexts, secrets and agents, all of them before the first step.

    def check(self, plan: Plan) -> None:
        """Get ready what the steps ask for by name.  Raises BuildError with its place."""
        found: dict[str, bytes] = {}
        agents: dict[str, str] = {}
        for step in plan.steps:
            names = [step.source, *(source for _, source in step.mounts)]
            for source in names:
                if source is not None and source.context:
                    self._open(source.context)
            for mount, _ in step.mounts:
                if mount.type == "secret" and mount.secret_id not in found:
                    self._secret(mount.secret_id, mount.required, step.instruction, found)
                elif mount.type == "ssh" and (mount.id or "default") not in agents:
                    self._agent(mount.id or "default", mount.required, step.instruction, agents)
        self.around.secrets = found
        self.around.agents = agents
        self._steps = plan.steps
        for step in plan.steps:
            self._look_for(step, steps.mounted_of(self.around, step), Tree)

    def check_images(self) -> None:
        """Look for what steps take from images, before the first one that is not in the cache.

        It costs a process for each, so check() leaves it.  Raises BuildError with its place.
        """
        for step in self._steps:
            wanted = steps.mounted_of(self.around, step)
            if step.source is not None and step.source.image is not None:
                wanted.append(steps.transfer_of(self.around, step, {}))
            self._look_for(step, wanted, Layers)

    def _look_for(
        self, step: Step, wanted: Sequence[copying.Transfer], kind: type[Tree | Layers]
    ) -> None:
        try:
            for transfer in wanted:
                if isinstance(transfer.source, kind):
                    copying.look_for(self.ctx, transfer)
        except BuildError as e:
            self.dockerfile.locate(e, step.instruction)
            raise

    def _open(self, name: str) -> None:
        if name in self._contexts:
            return
        from rootless.build import context

        value = self.options.build_contexts[name]
        opened = self._stack.enter_context(
            context.open_named(self.ctx, name, value, self.options.secrets)
        )
        assert opened.tree is not None  # images are no contexts: plan.IMAGE_CONTEXTS
        self._contexts[name] = opened.tree

    def _secret(
        self, name: str, required: bool, where: to.Instruction, found: dict[str, bytes]
    ) -> None:
        given = {one.id: one for one in self.options.secrets}
        secret = given.get(name)
        if secret is None:
            if required:
                raise self.dockerfile.error(
                    where,
                    f"the secret {name} is required and was not given",
                    remedy=did_you_mean(name, tuple(given)) or f"add --secret id={name},src=FILE",
                    code="RL-BUILD-SECRET",
                )
            return
        found[name] = secrets.read(self.ctx.environ, secret)

    def _agent(
        self, name: str, required: bool, where: to.Instruction, found: dict[str, str]
    ) -> None:
        given = {one.id: one for one in self.options.ssh}
        agent = given.get(name)
        if agent is None:
            if required:
                raise self.dockerfile.error(
                    where,
                    f"the SSH agent {name} is required and was not given",
                    remedy=f"add --ssh {name}",
                    code="RL-BUILD-SSH",
                )
            return
        path = agent.paths[0] if agent.paths else self.ctx.environ.get("SSH_AUTH_SOCK", "")
        from rootless.build import ssh_keys

        if len(agent.paths) > 1 or ssh_keys.is_key(path):
            found[name] = self._stack.enter_context(ssh_keys.agent(self.ctx, name, agent.paths))
            return
        if not path or not os.path.exists(path):
            raise BuildError(
                f"there is no SSH agent for --ssh {name}",
                remedy="start one: eval $(ssh-agent); ssh-add",
                code="RL-BUILD-SSH",
            )
        found[name] = path


def meant_instead(ctx: "Context", name: str, stages: tuple[str, ...]) -> str | None:
    """The remedy for an image that is not there: "did you mean X?", a stage or an image here."""
    names = [reference.parse(one).familiar() for one in stored.names(ctx.paths)]
    names += [one.removesuffix(":latest") for one in names if one.endswith(":latest")]
    return did_you_mean(name, stages) or did_you_mean(name, tuple(names))


def _canonical(name: str) -> str:
    try:
        return reference.parse(name).tagged().canonical()
    except RlError:
        return name
