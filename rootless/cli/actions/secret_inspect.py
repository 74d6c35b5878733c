"""`rl secret inspect`."""

from typing import Any

from rootless import log
from rootless.cli.output import pretty_json, write
from rootless.cli.template import Template
from rootless.cli.template_functions import Map
from rootless.context import Context
from rootless.errors import RlError
from rootless.store import secrets


def main(ctx: Context, values: dict[str, Any]) -> int:
    """A JSON list of what was found, or --format for each; 1 when one is missing."""
    documents, failures = [], []
    for name in values["names"]:
        try:
            found = secrets.find(ctx.paths, str(name))
            documents.append(_describe(found, show=bool(values["showsecret"])))
        except RlError as e:
            failures.append(e)
    form = values["format"]
    if form:
        template = Template("{{json .}}" if form == "json" else form)
        write("".join(template.render(one) + "\n" for one in documents))
    else:
        write(pretty_json(documents) + "\n")
    for failure in failures:
        log.error(failure.one_line())
    return 1 if failures else 0


def _describe(one: dict[str, Any], *, show: bool) -> dict[str, Any]:
    document = {
        "ID": one["id"],
        "CreatedAt": one["created"],
        "UpdatedAt": one["updated"],
        "Spec": {
            "Name": one["name"],
            "Driver": {"Name": "file", "Options": Map()},
            "Labels": Map(one["labels"]),
        },
    }
    if show:
        document["SecretData"] = secrets.data(one).decode("utf-8", "surrogateescape")
    return document
