"""`rl quadlet print`."""

from rootless.cli import quadlets
from rootless.cli.output import write
from rootless.context import Context


def main(ctx: Context, values: dict[str, object]) -> int:
    """The unit that an installed quadlet becomes; with --source the file itself."""
    installed = quadlets.Installed(ctx)
    quadlet = installed.find(str(values["name"]))
    if not values.get("source"):
        write(installed.unit_text(quadlet))
        return 0
    source = installed.sources.get(quadlet.file)
    if source is None:  # an instance
        stem, _, kind = quadlet.file.rpartition(".")
        source = installed.sources[f"{stem.partition('@')[0]}@.{kind}"]
    parts = [(source.path, source.text), *source.drop_ins]
    write("\n".join(f"# {path}\n{text.rstrip()}\n" for path, text in parts))
    return 0
