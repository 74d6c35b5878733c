"""What the prune commands share: the question, and the filters until and label."""

import sys

from rootless.cli.output import parse_time
from rootless.cli.ps_filters import has_label
from rootless.cli.time_option import parse_time as parse_moment
from rootless.errors import RlError


def confirm(warning: str, filters: list[str]) -> None:
    """Ask whether to go on.  Raises RlError RL-CANCELLED for everything but y."""
    if filters:
        shown = "\n".join(f"  - {one}" for one in filters)
        warning = (
            warning.rstrip("\n") + f"\n\n  Items to be pruned will be filtered with:\n{shown}\n"
        )
    sys.stdout.write(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower() if sys.stdin is not None else ""
    if answer not in ("y", "yes"):
        raise RlError("nothing is removed", remedy="answer y, or give --force", code="RL-CANCELLED")


def is_chosen(filters: dict[str, list[str]], labels: dict[str, str], created: str) -> bool:
    """Whether until, label and label! hold for a thing: all of them, as with Docker."""
    for text in filters.get("until", ()):
        if parse_time(created) >= parse_time(parse_moment(text)):
            return False
    if not all(has_label(labels, wanted) for wanted in filters.get("label", ())):
        return False
    return not any(has_label(labels, unwanted) for unwanted in filters.get("label!", ()))
