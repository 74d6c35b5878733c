"""`rl create`: as `rl run`, without the start."""

import inspect
from typing import Any

from rootless.cli.commands import run as run_module
from rootless.cli.commands._base import call, declare, make_app

app = make_app()

# What only makes sense for a container that starts at once.
ONLY_RUN = ("detach", "detach_keys", "sig_proxy")


def create(**values: Any) -> int:
    """Make a container without starting it, and print its ID.

    `rl start` starts it.  The options are those of `rl run`.
    """
    return call(values["ctx"])


# Typer reads the options from the signature and the annotations: those of run, less a few.
_signature = inspect.signature(run_module.run)
create.__signature__ = _signature.replace(  # type: ignore[attr-defined]
    parameters=[p for name, p in _signature.parameters.items() if name not in ONLY_RUN]
)
create.__annotations__ = {
    name: annotation
    for name, annotation in run_module.run.__annotations__.items()
    if name not in ONLY_RUN
}
declare(app, "create", interspersed=False)(create)
