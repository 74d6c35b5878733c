"""What the probes find: ladders of rungs.  Values only."""

from rootless.errors import RlError
from rootless.records import asdict, dataclass, field

AVAILABLE, UNAVAILABLE, UNTESTED = "available", "unavailable", "untested"


@dataclass(frozen=True)
class Rung:
    """One way to meet a need: whether it works here, why not, and what to do about it."""

    name: str
    state: str = AVAILABLE
    why: str = ""
    remedy: str = ""
    admin: str = ""  # lines that an administrator can paste into a shell
    code: str = ""

    @classmethod
    def failed(cls, name: str, error: RlError) -> "Rung":
        """The rung that `error` says does not work."""
        return cls(
            name,
            UNAVAILABLE,
            error.what,
            error.remedy or "",
            getattr(error, "admin", ""),
            error.code,
        )


@dataclass
class Ladder:
    """A need and its rungs, best first.  The first that works is taken, unless `pick` names one;
    those `on_request` are taken then only.
    """

    need: str
    title: str
    rungs: list[Rung] = field(default_factory=list)
    required: bool = False
    pick: str = ""
    on_request: list[str] = field(default_factory=list)

    @property
    def chosen(self) -> Rung | None:
        works = [rung for rung in self.rungs if rung.state == AVAILABLE]
        for rung in works:
            if rung.name == self.pick:
                return rung
        works = [rung for rung in works if rung.name not in self.on_request]
        return None if self.pick or not works else works[0]

    def wanting(self) -> list[Rung]:
        """The rungs that do not work and would be better than what does."""
        chosen = self.chosen
        better = self.rungs if chosen is None else self.rungs[: self.rungs.index(chosen)]
        return [rung for rung in better if rung.state == UNAVAILABLE]

    def to_dict(self) -> dict[str, object]:
        chosen = self.chosen
        return {
            "need": self.need,
            "title": self.title,
            "required": self.required,
            "chosen": chosen.name if chosen else None,
            "rungs": [{**asdict(rung), "chosen": rung is chosen} for rung in self.rungs],
        }

    @classmethod
    def from_dict(cls, document: dict[str, object]) -> "Ladder":
        """What `asdict` made of a ladder; a probe's answer comes as JSON."""
        rungs = document["rungs"]
        assert isinstance(rungs, list)
        return cls(
            str(document["need"]),
            str(document["title"]),
            [Rung(**rung) for rung in rungs],
            bool(document["required"]),
            str(document["pick"]),
            list(document["on_request"]),  # type: ignore[call-overload]
        )


@dataclass
class Report:
    """Everything that doctor found."""

    host: dict[str, str]
    ladders: list[Ladder]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether containers can run: each required ladder has a rung that works."""
        return all(ladder.chosen is not None for ladder in self.ladders if ladder.required)

    def to_dict(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            "host": self.host,
            "seconds": round(self.seconds, 3),
            "ladders": [ladder.to_dict() for ladder in self.ladders],
        }
