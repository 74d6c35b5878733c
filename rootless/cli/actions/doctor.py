"""rl doctor: what this host can do."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rootless.context import Context


def main(ctx: "Context", values: dict[str, object]) -> int:
    """Print the report; 0 when containers can run, 1 when not."""
    from rootless.doctor import render
    from rootless.doctor.examine import examine
    from rootless.errors import UsageError

    form = values.get("format") or ("json" if values.get("json") else "")
    if form not in ("", "json", "table"):
        raise UsageError(f"rl doctor has no format {form!r}", remedy="use --format json or none")
    report = examine(ctx)
    if values.get("admin"):
        text = render.as_request(report)
    elif form == "json":
        import json

        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
    else:
        colour = os.isatty(1) and "NO_COLOR" not in ctx.environ
        text = render.as_text(report, colour=colour)
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(1, data) :]
    return 0 if report.ok else 1
