"""`rl network log`."""

from rootless import fastjson
from rootless.cli.output import write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.store import containers


def main(ctx: Context, values: dict[str, object]) -> int:
    """Print the journal of a container."""
    if values["format"] not in (None, "", "json"):
        raise UsageError(f"there is no format {values['format']}", remedy="it is json, or nothing")
    container = containers.find(ctx, str(values["container"]))
    show(container, as_json=bool(values["format"]))
    return 0


def show(container: containers.Container, *, as_json: bool = False) -> None:
    """TIME VERDICT PROTOCOL PEER [NAME], a line each."""
    for path in (f"{container.directory}/network.log.1", f"{container.directory}/network.log"):
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            if as_json:
                write(f"{line}\n")
                continue
            try:
                one = fastjson.loads(line)
            except ValueError:
                continue  # cut by a full disk
            words = [
                containers.rfc3339(int(one["time"] * 10**9)), one["verdict"], one["protocol"],
                _peer(one["address"], one["port"]), one["name"],
            ]  # fmt: skip
            write(" ".join(word for word in words if word) + "\n")


def _peer(address: str, port: int) -> str:
    if not address:
        return ""
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{port}" if port else address
