"""`rl secret create`."""

import sys

from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.runtime.options_environment import labels, read_file
from rootless.runtime.options_text import texts
from rootless.store import secrets


def main(ctx: Context, values: dict[str, object]) -> int:
    """Keep what the file, standard input or the variable holds, and print the ID."""
    if values["driver"] != "file":
        raise UsageError(
            f"there is no secret driver {values['driver']}", remedy="leave --driver out"
        )
    given = labels(texts(values, "label"), [], read_file)
    data = _read(ctx, str(values["file"]), from_variable=bool(values["env"]))
    made = secrets.create(ctx, str(values["name"]), data, given, replace=bool(values["replace"]))
    write(f"{made}\n")
    return 0


def _read(ctx: Context, source: str, *, from_variable: bool) -> bytes:
    if from_variable:
        value = ctx.environ.get(source)
        if value is None:
            raise UsageError(f"the variable {source} is not set", remedy="export it first")
        return value.encode("utf-8", "surrogateescape")
    if source == "-":
        return sys.stdin.buffer.read(secrets.DATA_MAX + 1) if sys.stdin is not None else b""
    return read_file(source)
