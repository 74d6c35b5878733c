"""One action on several containers: each is tried, and the worst status is the answer.  Warm."""

from rootless import log
from rootless.errors import RlError, UsageError
from rootless.runtime.options_text import parse_detach_keys
from rootless.store import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from rootless.context import Context
    from rootless.store.containers import Container


def names(values: "dict[str, object]", command: str) -> list[str]:
    """The containers that were named.  Raises UsageError for none."""
    given = values["containers"]
    assert isinstance(given, list)
    if not given:
        raise UsageError(f"rl {command} needs a container", remedy=f"see: rl {command} --help")
    return [str(one) for one in given]


def find(ctx: "Context", name: str) -> "Container":
    """containers.find(), with what it has found out said aloud."""
    container = containers.find(ctx, name)
    if container.notice:
        log.note(container.notice)
    return container


def detach_keys(ctx: "Context", asked: object) -> bytes:
    """The keys that leave a container running: asked for, configured, or Docker's; b"" for none."""
    text = str(asked or ctx.config.get("detach-keys", "ctrl-p,ctrl-q"))
    return parse_detach_keys(text) if text else b""


def for_each(ctx: "Context", given: list[str], act: "Callable[[Container], str | None]") -> int:
    """Call `act` for each container and print what it returns, its name as given by default.

    A failure is reported at once and doesn't keep the others; it makes the status 1, as docker's,
    and 125 where the command line is wrong.
    """
    status = 0
    for name in given:
        try:
            container = find(ctx, name)
            answer = act(container)
            print(name if answer is None else answer, flush=True)
        except RlError as e:
            log.error(e.one_line())
            status = max(status, e.exit_status if isinstance(e, UsageError) else 1)
    return status
