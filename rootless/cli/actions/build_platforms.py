"""`rl build --platform A,B`: the same Dockerfile for several platforms, one after the other.

What comes out is an index: pushed, or in an OCI archive; for type=local a directory each.  The
store has images of one platform under a name, so that none is named there.
"""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rootless.build.events import Emit, Event, Result
from rootless.build.option_forms import Output
from rootless.build.options import BuildOptions
from rootless.build.solve import build
from rootless.errors import UsageError
from rootless.oci import reference
from rootless.oci.platform import Platform
from rootless.records import replace

if TYPE_CHECKING:
    from rootless.build.context import BuildContext
    from rootless.context import Context

_STRIDE = 10_000  # between the step numbers of two platforms


def check(options: BuildOptions) -> None:
    """Refuse what cannot be done for several platforms.  Raises UsageError."""
    kinds = [output.type for output in options.outputs if not output.says("push")]
    wrong = [kind for kind in kinds if kind not in ("local", "oci")]
    if wrong or not (kinds or options.wants_push):
        raise UsageError(
            f"cannot make {wrong[0] if wrong else 'an image of the store'} for several platforms: "
            "under a name there is one platform",
            remedy="use --push, -o type=oci,dest=FILE or -o DIRECTORY, or one --platform",
            code="RL-BUILD-PLATFORMS",
        )
    if options.cache_to:
        raise UsageError(
            "cannot use --cache-to for several platforms at once",
            remedy="build each platform alone with it first",
            code="RL-BUILD-PLATFORMS",
        )


def build_all(
    ctx: "Context", options: BuildOptions, context: "BuildContext", emit: Emit
) -> list[Result]:
    """Build for each platform.  Raises BuildError for the first that fails."""
    found = []
    for place, platform in enumerate(options.platforms):
        one = replace(options, platform=platform, platforms=(platform,), tags=())
        found.append(build(ctx, one, context, _named(emit, platform, place)))
    return found


def _named(emit: Emit, platform: Platform, place: int) -> Emit:
    """The events of one platform: "[linux/arm64 build 2/5] RUN make"."""

    def tell(event: Event) -> None:
        name = event.name
        if name:
            name = f"[{platform} {name[1:]}" if name.startswith("[") else f"[{platform}] {name}"
        number = event.step + _STRIDE * place if event.step else 0
        emit(replace(event, step=number, name=name))

    return tell


def export(ctx: "Context", options: BuildOptions, results: list[Result], emit: Emit) -> None:
    """Write the outputs, and push, as one more step."""
    begin = time.monotonic()

    def tell(kind: str, text: str = "") -> None:
        name = "exporting for several platforms"
        seconds = time.monotonic() - begin
        emit(Event(kind, name=name, text=text, seconds=seconds))  # type: ignore[arg-type]

    tell("started")
    for output in options.outputs:
        if output.type == "oci":
            from rootless.build import outputs

            outputs.write_index(ctx, output, [one.record for one in results], options.tags)
            tell("note", f"writing oci {output.dest}")
        elif output.type == "local":
            _directories(ctx, output, options, results)
            tell("note", f"writing local {output.dest}")
    if options.wants_push:
        _push(ctx, options, results, lambda text: tell("note", text))
    tell("done")


def _directories(
    ctx: "Context", output: Output, options: BuildOptions, results: list[Result]
) -> None:
    from rootless.build import outputs

    for platform, result in zip(options.platforms, results, strict=True):
        directory = f"{output.dest}/{str(platform).replace('/', '_')}"
        outputs.write(ctx, Output("local", {"dest": directory}), result.record, ())


def _push(
    ctx: "Context", options: BuildOptions, results: list[Result], note: Callable[[str], object]
) -> None:
    from rootless.layer.export import Packing
    from rootless.registry import manifest_lists as remote
    from rootless.store import blobs
    from rootless.store.manifest_lists import ManifestList, Member

    how = next((o.packing for o in options.outputs if o.says("push")), Packing())
    members = [
        Member(
            {
                "mediaType": one.record["media_type"],
                "digest": one.digest,
                "size": len(blobs.read(ctx.paths, one.digest)),
                "platform": {k: v for k, v in one.record["platform"].items() if v},
            },
            "",
            one.image_id,
        )
        for one in results
    ]

    def tell(place: str, done: str) -> None:
        note(f"{done} {place}")

    for name in options.tags:
        note(f"pushing {name}")
        listed = ManifestList(name, members=members)
        target = reference.parse(name).tagged()
        form = "v2s2" if how.docker else ""
        pushed = remote.push(ctx, listed, target, how=how, form=form, tell=tell)
        note(f"pushed {name}: digest: {pushed.digest}")


def metadata(results: list[Result], options: BuildOptions) -> str:
    """--metadata-file: the image of each platform."""
    found: dict[str, object] = {
        str(platform): {
            "containerimage.config.digest": one.image_id,
            "containerimage.digest": one.digest,
        }
        for platform, one in zip(options.platforms, results, strict=True)
    }
    if options.tags:
        found["image.name"] = ",".join(options.tags)
    return json.dumps(found, indent=2)
