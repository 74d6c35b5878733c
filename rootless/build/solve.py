"""A build, from the read Dockerfile to the image in the store."""

from typing import TYPE_CHECKING

from rootless.build.events import Emit, Result

if TYPE_CHECKING:
    from rootless.build.context import BuildContext
    from rootless.build.options import BuildOptions
    from rootless.context import Context


def build(ctx: "Context", options: "BuildOptions", context: "BuildContext", emit: Emit) -> Result:
    """Build the target of `context.dockerfile` and put the image into the store.

    Raises BuildError with its place and the excerpt of the Dockerfile; `failed` has been emitted
    then for a step that has failed.  KeyboardInterrupt ends every step that runs.
    """
    raise NotImplementedError
