"""What the checks of a Dockerfile may ask: the contexts, the store, and for --check registries."""

from typing import TYPE_CHECKING, cast

from rootless.build.dockerfile import instructions as to
from rootless.build.dockerfile.lint import Given, KnownImage
from rootless.build.inputs import meant_instead
from rootless.build.plan import DOCKER_IMAGE, IMAGE_CONTEXTS
from rootless.errors import BuildError, RlError
from rootless.oci import platform as platforms
from rootless.oci.platform import Platform
from rootless.store import images

if TYPE_CHECKING:
    from rootless.build.context import BuildContext
    from rootless.build.copying import Layers, Transfer, Tree
    from rootless.build.options import BuildOptions
    from rootless.context import Context

# Of a registry: the image is not there, as against a network that is not.
_ABSENT = ("RL-REGISTRY-NOT-FOUND", "RL-REGISTRY-UNAUTHORIZED", "RL-IMAGE-PLATFORM",
           "RL-BAD-REFERENCE")  # fmt: skip


class Outside:
    """`thorough` is --check: files are looked for, and images that are not here asked for.

    `notes` are sentences on what could not be looked at.
    """

    def __init__(
        self, ctx: "Context", options: "BuildOptions", context: "BuildContext", *, thorough: bool
    ) -> None:
        self.ctx = ctx
        self.options = options
        self.context = context
        self.thorough = thorough
        self.notes: list[str] = []
        self._asked: dict[tuple[str, Platform], KnownImage | None] = {}

    def given(self) -> Given:
        return Given(
            build_arguments=self.options.given_args,
            target_platform=self.options.platform or platforms.host(),
            target=self.options.target,
            image=self.image,
            ignore=self.context.matcher,
            look_for=self.look_for if self.thorough else None,
        )

    def image(self, word: str, wanted: Platform, stages: tuple[str, ...]) -> KnownImage | None:
        """As lint.Given says."""
        name = self._image_name(word)
        if not name:
            return None
        record = self._record(name)
        known = _of_record(record) if record is not None else None
        if known and platforms.matches(known.platform, wanted):
            return known
        if not self.thorough:
            return None  # a build fetches the right one
        if (name, wanted) not in self._asked:
            self._asked[name, wanted] = self._ask(name, wanted, stages) or known
        return self._asked[name, wanted]

    def _image_name(self, word: str) -> str:
        """The image that a word means, "" where it means files."""
        context = self.options.context_of(word)
        if not context:
            return word
        value = self.options.build_contexts[context]
        return value.removeprefix(DOCKER_IMAGE) if value.startswith(DOCKER_IMAGE) else ""

    def _record(self, name: str) -> "dict[str, object] | None":
        try:
            return images.find(self.ctx.paths, name)
        except RlError:
            return None  # the registry's client says the same of a name that is none

    def _ask(self, name: str, wanted: Platform, stages: tuple[str, ...]) -> KnownImage | None:
        from rootless.registry import pull

        try:
            found = pull.look_up(self.ctx, name, wanted)
        except RlError as e:
            meant = meant_instead(self.ctx, name, stages)
            if e.code in _ABSENT:
                raise BuildError(e.what, remedy=meant or e.remedy, code=e.code) from e
            self.notes.append(f"{name} is not checked: {e.what}{f'; {meant}' if meant else ''}")
            return None
        return _known(found.platform, found.config)

    def look_for(self, instruction: to.Copy | to.Add | to.Run, stages: frozenset[str]) -> None:
        """As lint.Given says."""
        from rootless.build import copying, steps

        transfers: list[Transfer] = []
        if isinstance(instruction, to.Run):
            for mount in instruction.mounts:
                tree = self._tree(mount.source_stage, stages)
                if mount.type == "bind" and tree is not None:
                    transfers.append(steps.mounted(mount, tree))
        else:
            word = instruction.source_stage if isinstance(instruction, to.Copy) else ""
            tree = self._tree(word, stages)
            # What is wrong with the flags is told of all.
            place = copying.Layers(()) if tree is None else tree
            transfer = copying.from_instruction(instruction, source=place)
            transfers += [transfer] if tree is not None else []
        for transfer in transfers:
            copying.look_for(self.ctx, transfer)

    def _tree(self, word: str, stages: frozenset[str]) -> "Tree | Layers | None":
        """The files that a word stands for; None where a build has to make or fetch them."""
        if not word:
            return self.context.tree
        if word in stages:
            return None
        context = self.options.context_of(word)
        if context and not self.options.build_contexts[context].startswith(IMAGE_CONTEXTS):
            from rootless.build.context import local_tree

            return local_tree(context, self.options.build_contexts[context])
        name = self._image_name(word)
        record = self._record(name) if name else None
        if record is None:
            return None
        from rootless.build.copying import Layers

        layers = cast("list[str]", record["layers"])
        directories = tuple(self.ctx.paths.layer_diff(one) for one in reversed(layers))
        return Layers(directories, name=name)


def _of_record(record: "dict[str, object]") -> KnownImage:
    config = cast("dict[str, object]", record.get("config") or {})
    place = cast("dict[str, object]", record["platform"])
    return _known(Platform.from_json(place, "the image record"), config)


def _known(platform: Platform, config: "dict[str, object]") -> KnownImage:
    return KnownImage(
        platform,
        tuple(cast("list[str]", config.get("Env") or ())),
        tuple(cast("list[str]", config.get("Shell") or ())),
        str(config.get("WorkingDir") or "/"),
    )
