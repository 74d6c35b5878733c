"""`rl network inspect`."""

from typing import Any

from rootless import log
from rootless.cli.inspect_network import describe, find
from rootless.cli.output import pretty_json, write
from rootless.context import Context
from rootless.errors import RlError


def main(ctx: Context, values: dict[str, Any]) -> int:
    """A JSON list of what was found, or --format for each; 1 when one is missing."""
    documents, failures = [], []
    for name in values["names"]:
        try:
            documents.append(describe(ctx, find(ctx, str(name))))
        except RlError as e:
            failures.append(e)
    form = values["format"]
    if form:
        from rootless.cli.template import Template

        template = Template("{{json .}}" if form == "json" else form)
        write("".join(template.render(one) + "\n" for one in documents))
    else:
        write(pretty_json(documents) + "\n")
    for failure in failures:
        log.error(failure.one_line())
    return 1 if failures else 0
