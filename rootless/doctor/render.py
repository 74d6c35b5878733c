"""A report as text for people, and as the request for an administrator."""

from rootless.doctor.verdict import AVAILABLE, UNAVAILABLE, Ladder, Report, Rung

GREEN, RED, YELLOW, BOLD, DIM, PLAIN = (
    "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[2m", "\x1b[0m",
)  # fmt: skip
INDENT = " " * 26


class _Paint:
    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, style: str, text: str) -> str:
        return f"{style}{text}{PLAIN}" if self._colour else text


def as_text(report: Report, *, colour: bool = False) -> str:
    """The ladders, one rung a line: ✓ works, ✗ does not, ? not tried; ▸ marks what rl takes."""
    paint = _Paint(colour)
    host = report.host
    lines = [
        f"{host['system']}, Linux {host['kernel']} {host['machine']}, Python {host['python']}, "
        f"user {host['user']} ({host['uid']})",
        "",
    ]
    above = ""
    for ladder in report.ladders:
        lines += _ladder(ladder, paint, "" if ladder.title == above else ladder.title)
        above = ladder.title
    lines.append("")
    if report.ok:
        lines.append(paint(GREEN, "Containers can run here."))
    else:
        missing = [x.title.lower() for x in report.ladders if x.required and not x.chosen]
        lines.append(paint(RED, f"Containers cannot run here yet: {', '.join(missing)}."))
    if requests(report):
        lines.append("`rl doctor --admin` prints what to ask an administrator for.")
    return "\n".join(lines) + "\n"


def _ladder(ladder: Ladder, paint: _Paint, title: str) -> list[str]:
    chosen, wanting = ladder.chosen, ladder.wanting()
    lines = []
    for place, rung in enumerate(ladder.rungs):
        mark = _mark(rung, ladder, paint)
        pointer = "▸" if rung is chosen and len(ladder.rungs) > 1 else " "
        name = paint(BOLD, rung.name) if rung is chosen else rung.name
        why = f"  {paint(DIM, rung.why)}" if rung.why else ""
        # 22 characters of title, so that the rungs of all ladders stand below each other.
        lines.append(f"{title.ljust(22)}{pointer} {mark} {name}{why}")
        title = ""
        follows = ladder.rungs[place + 1 : place + 2]
        repeated = bool(follows) and follows[0] in wanting and follows[0].remedy == rung.remedy
        if rung in wanting and rung.remedy and not repeated:
            lines.append(f"{INDENT}→ {rung.remedy}{paint(DIM, f'  [{rung.code}]')}")
    return lines


def _mark(rung: Rung, ladder: Ladder, paint: _Paint) -> str:
    if rung.state == AVAILABLE:
        return paint(GREEN, "✓")
    if rung.state == UNAVAILABLE:
        return paint(RED if ladder.required and not ladder.chosen else YELLOW, "✗")
    return paint(DIM, "?")


def requests(report: Report) -> list[tuple[str, str]]:
    """(why, lines to paste) for each thing that an administrator could better, most needed first.

    What containers need to run at all comes first; the same lines are asked for once.
    """
    found: list[tuple[str, str]] = []
    ladders = sorted(report.ladders, key=lambda x: not (x.required and x.chosen is None))
    for ladder in ladders:
        for rung in ladder.wanting():
            if rung.admin and rung.admin not in [lines for _, lines in found]:
                found.append((f"{ladder.title}: {rung.why}", rung.admin))
    return found


def as_request(report: Report) -> str:
    """Text to send to an administrator as it is: comments and shell commands."""
    asked = requests(report)
    if not asked:
        return "# Nothing to ask for: this host has what rl needs.\n"
    host = report.host
    lines = [
        f"# For the administrator of this host ({host['system']}, Linux {host['kernel']}).",
        f"# {host['user']} would like to run containers without root, with rl.  These commands,",
        "# each on its own, make that possible or better.  None gives anybody root:",
        "# docs/admins.md of rl says what each one does and why it is safe.",
    ]
    for why, commands in asked:
        lines += ["", f"# {why}", commands]
    return "\n".join(lines) + "\n"
