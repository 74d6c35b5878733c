"""--log-opt labels, labels-regex, env, env-regex and tag: what is logged with each line.

As Docker: labels and variables of the container by name or regular expression, and a tag that is
made of a template over the container's names.
"""

from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.store.containers import Container

_FIELDS = (
    "ID", "FullID", "Name", "ImageName", "ImageID", "ImageFullID", "Command", "DaemonName",
)  # fmt: skip


def of(container: "Container", options: "Mapping[str, str]") -> dict[str, str]:
    """The attributes of each line, by name."""
    found = _chosen(container.config.get("labels", {}), options, "labels")
    process = container.runtime_config().get("process", {})
    env = dict(entry.partition("=")[::2] for entry in process.get("env", ()))
    found |= _chosen(env, options, "env")
    if options.get("tag"):
        found["tag"] = tag(container, options["tag"])
    return dict(sorted(found.items()))


def _chosen(pairs: "Mapping[str, str]", options: "Mapping[str, str]", kind: str) -> dict[str, str]:
    names = [name.strip() for name in options.get(kind, "").split(",")]
    found = {name: pairs[name] for name in names if name in pairs}
    pattern = options.get(f"{kind}-regex")
    if pattern:
        import re

        found |= {name: text for name, text in pairs.items() if re.search(pattern, name)}
    return found


def tag(container: "Container", template: str) -> str:
    """The tag, with {{.Name}} and its like filled in."""
    config = container.config
    image = config.get("image", {})
    identifier = str(image.get("id", ""))
    command = [*config.get("entrypoint", ()), *config.get("command", ())]
    values = (
        container.id[:12], container.id, container.name, str(image.get("reference", "")),
        identifier.removeprefix("sha256:")[:12], identifier, " ".join(command), "rl",
    )  # fmt: skip
    return _fill(template, dict(zip(_FIELDS, values, strict=True)))


def check(options: "Mapping[str, str]") -> None:
    """Refuse a tag or an expression that would fail later.  Raises UsageError."""
    _fill(options.get("tag", ""), dict.fromkeys(_FIELDS, ""))
    for name in ("labels-regex", "env-regex"):
        if options.get(name):
            import re

            try:
                re.compile(options[name])
            except re.error as e:
                raise UsageError(
                    f"invalid --log-opt {name}={options[name]}: {e}", remedy="a regular expression"
                ) from e


def _fill(template: str, values: "Mapping[str, str]") -> str:
    out, rest = "", template
    while rest:
        before, opened, rest = rest.partition("{{")
        out += before
        if not opened:
            break
        inside, closed, rest = rest.partition("}}")
        name = inside.strip().removeprefix(".")
        if not closed or name not in values or not inside.strip().startswith("."):
            raise UsageError(
                f"invalid --log-opt tag={template}",
                remedy="known are " + ", ".join(f"{{{{.{one}}}}}" for one in values),
            )
        out += values[name]
    return out
