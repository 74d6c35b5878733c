"""rootless/records.py does what dataclasses does, as far as rl uses it."""

import dataclasses
from types import ModuleType
from typing import Any

import pytest

from rootless import records

BOTH: list[Any] = [dataclasses, records]


def classes(module: Any) -> tuple[Any, Any, Any]:
    """A frozen class, one that inherits from it with keywords alone, and a mutable one."""

    @module.dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        note: str = module.field(default="", compare=False, repr=False)

        @property
        def sum(self) -> int:
            return self.x + self.y

    @module.dataclass(frozen=True, slots=True, kw_only=True)
    class Named(Point):
        name: str
        tags: tuple[Any, ...] = ()

    @module.dataclass(slots=True)
    class Bag:
        things: list[Any] = module.field(default_factory=list)
        table: dict[str, Any] = module.field(default_factory=dict)

    return Point, Named, Bag


@pytest.mark.parametrize("module", BOTH)
def test_values(module: ModuleType) -> None:
    point_of, named_of, bag_of = classes(module)
    point = point_of(1, note="secret")
    assert (point.x, point.y, point.note, point.sum) == (1, 2, "secret", 3)
    assert point == point_of(x=1, y=2) != point_of(1, 3)
    assert hash(point) == hash(point_of(1)) and len({point, point_of(1)}) == 1
    assert repr(point).endswith("Point(x=1, y=2)")
    named = named_of(1, 5, name="n")
    assert (named.sum, named.name, named.tags) == (6, "n", ())
    assert named != point_of(1, 5) and point_of(1, 5) != named
    bags = bag_of(), bag_of()
    bags[0].things.append(1)
    assert bags[1].things == [] and bags[0] != bags[1]
    with pytest.raises(TypeError):
        hash(bags[0])
    assert [one.name for one in module.fields(named)] == ["x", "y", "note", "name", "tags"]


@pytest.mark.parametrize("module", BOTH)
def test_replace_and_asdict(module: ModuleType) -> None:
    point_of, named_of, bag_of = classes(module)
    named = module.replace(named_of(1, name="n", tags=(point_of(7),)), y=9)
    point = {"x": 7, "y": 2, "note": ""}
    assert module.asdict(named) == {
        "x": 1, "y": 9, "note": "", "name": "n", "tags": (point,),
    }  # fmt: skip
    bag = bag_of([point_of(7)], {"a": {"b": point_of(7)}, "c": None})
    assert module.asdict(bag) == {"things": [point], "table": {"a": {"b": point}, "c": None}}


@pytest.mark.parametrize("module", BOTH)
def test_what_is_refused(module: ModuleType) -> None:
    point_of, named_of, _ = classes(module)
    for wrong in (
        lambda: point_of(),
        lambda: point_of(1, 2, "", 4),
        lambda: point_of(1, x=1),
        lambda: point_of(1, z=1),
        lambda: named_of(1),
        lambda: named_of(1, 2, "", "n"),
        lambda: module.replace(point_of(1), z=1),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError):
        point_of(1).x = 2
    with pytest.raises(AttributeError):
        del point_of(1).x
