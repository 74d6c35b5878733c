"""dataclasses for a program that starts anew for every command: what rl uses of them, without
code that is generated and compiled at each start.

dataclasses needs 0.5 ms for a class and 9 ms for itself, this 0.02 ms (docs/decisions/043); `build`
has seventy such classes.  Type checkers take these for dataclasses.  The differences: `slots` is
accepted, and there are none; fields are compared and hashed, but not ordered.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import Field, asdict, dataclass, field, fields, replace

    __all__ = ["Field", "asdict", "dataclass", "field", "fields", "replace"]
else:
    _MISSING = object()

    class Field:
        """One field of a class: its name and what the class says of it."""

        def __init__(self, name, default, factory, compare, show, kw_only):
            self.name = name
            self.default = default
            self.default_factory = factory
            self.compare = compare
            self.repr = show
            self.kw_only = kw_only

    def field(*, default=_MISSING, default_factory=None, compare=True, repr=True):
        """As dataclasses.field()."""
        return Field("", default, default_factory, compare, repr, False)

    def dataclass(cls=None, /, *, frozen=False, slots=False, kw_only=False, eq=True):
        """As dataclasses.dataclass()."""

        def make(cls):
            found = dict(getattr(cls, "_record_fields", {}))
            for name in cls.__annotations__:
                given = cls.__dict__.get(name, _MISSING)
                if not isinstance(given, Field):
                    given = Field("", given, None, True, True, False)
                elif given.default is _MISSING:
                    delattr(cls, name)
                else:
                    setattr(cls, name, given.default)
                given.name, given.kw_only = name, kw_only
                found[name] = given
            cls._record_fields = found
            cls._positional = tuple(name for name, one in found.items() if not one.kw_only)
            cls._required = tuple(
                name
                for name, one in found.items()
                if one.default is _MISSING and one.default_factory is None
            )
            cls._made = tuple(
                (name, one.default_factory, one.default)
                for name, one in found.items()
                if name not in cls._required
            )
            cls._compared = tuple(name for name, one in found.items() if one.compare)
            cls.__match_args__ = cls._positional
            cls.__init__ = _init
            cls.__repr__ = _repr
            if eq:
                cls.__eq__ = _equal
                cls.__hash__ = _hash if frozen else None
            if frozen:
                cls.__setattr__ = _refuse
                cls.__delattr__ = _refuse
            return cls

        return make if cls is None else make(cls)

    def _init(self, /, *args, **named):
        cls = self.__class__
        values = self.__dict__
        if args:
            names = cls._positional
            if len(args) > len(names):
                raise TypeError(f"{cls.__name__}() takes {len(names)} values, not {len(args)}")
            values.update(zip(names, args, strict=False))
            twice = values.keys() & named.keys()
            if twice:
                raise TypeError(f"{cls.__name__}() got {', '.join(sorted(twice))} twice")
        if named:
            values.update(named)
            unknown = named.keys() - cls._record_fields.keys()
            if unknown:
                raise TypeError(f"{cls.__name__}() has no {', '.join(sorted(unknown))}")
        for name in cls._required:
            if name not in values:
                raise TypeError(f"{cls.__name__}() lacks {name}")
        for name, factory, default in cls._made:
            if name not in values:
                values[name] = default if factory is None else factory()

    def _repr(self):
        shown = [
            f"{name}={getattr(self, name)!r}"
            for name, one in self._record_fields.items()
            if one.repr
        ]
        return f"{self.__class__.__qualname__}({', '.join(shown)})"

    def _compared(self):
        return tuple([getattr(self, name) for name in self._compared])

    def _equal(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _compared(self) == _compared(other)

    def _hash(self):
        return hash(_compared(self))

    def _refuse(self, name, *_):
        raise AttributeError(f"{self.__class__.__name__}.{name} is not to be changed")

    def fields(record):
        """The fields of a record or a class of them, in order."""
        return tuple(record._record_fields.values())

    def replace(record, /, **changes):
        """As dataclasses.replace()."""
        values = {name: getattr(record, name) for name in record._record_fields}
        return record.__class__(**{**values, **changes})

    def asdict(record):
        """As dataclasses.asdict(): records in lists, tuples and dictionaries become these, too."""
        return {name: _plain(getattr(record, name)) for name in record._record_fields}

    def _plain(value):
        if hasattr(value.__class__, "_record_fields"):
            return asdict(value)
        if isinstance(value, (list, tuple)):
            return value.__class__([_plain(one) for one in value])
        if isinstance(value, dict):
            return {key: _plain(one) for key, one in value.items()}
        return value
