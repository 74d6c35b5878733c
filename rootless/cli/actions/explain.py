"""rl explain: what an error code means."""

from rootless.cli.explanations import EXPLANATIONS
from rootless.cli.output import table, write
from rootless.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context

_WIDTH = 88


def main(ctx: "Context", values: "dict[str, Any]") -> int:
    """Print the explanation of one code, or all codes with their titles."""
    asked = values["code"]
    if not asked:
        write(table([code, title] for code, (title, _) in sorted(EXPLANATIONS.items())))
        return 0
    code = normal(asked)
    if code not in EXPLANATIONS:
        raise unknown(asked)
    from textwrap import fill

    title, text = EXPLANATIONS[code]
    paragraphs = [fill(part, _WIDTH) for part in text.split("\n\n")]
    write(f"{code}: {title}\n\n" + "\n\n".join(paragraphs) + "\n")
    return 0


def normal(asked: str) -> str:
    """A code as it is written: RL-PORT-TAKEN, of port-taken, [RL-PORT-TAKEN] or Rl_Port_Taken."""
    code = asked.strip("[] ").upper().replace("_", "-").replace(" ", "-")
    return code if code.startswith("RL-") else f"RL-{code}"


def unknown(asked: str) -> UsageError:
    """The error for a code that does not exist, with the nearest that does."""
    from difflib import get_close_matches

    code = normal(asked)
    close = get_close_matches(code, EXPLANATIONS, n=1, cutoff=0.6)
    close = close or [one for one in sorted(EXPLANATIONS) if one.startswith(code)][:1]
    remedy = f"did you mean {close[0]}?" if close else "rl explain lists all"
    return UsageError(f"there is no error code {asked}", remedy=remedy, code="RL-EXPLAIN")
