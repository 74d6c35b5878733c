"""RUN --mount=type=...: the flag as a value.

Source: buildkit frontend/dockerfile/instructions/commands_runmount.go, docs/reference.md.
"""

import re
from collections.abc import Callable

from rootless.build.dockerfile.text import did_you_mean
from rootless.errors import BuildError, UsageError
from rootless.records import dataclass
from rootless.runtime.options_text import csv_fields, parse_bool, parse_size

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_ALIASES["rw"] = "readwrite"
_KEYS = tuple(
    "type from source target readonly readwrite required size id sharing mode uid gid env".split()
)
_KEYS += tuple(_ALIASES)
_WITHOUT_VALUE = ("readonly", "readwrite", "required")
_OWNED = ("secret", "ssh", "cache")  # these make files, which have an owner and a mode
# Keys that only some types know.
_ONLY = {"required": ("secret", "ssh"), "size": ("tmpfs",), "env": ("secret",)}


@dataclass(frozen=True, slots=True)
class Mount:
    """`source_stage` is from=; None and "" are what was not said, `read_only` is decided."""

    type: str = "bind"
    source_stage: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = True
    id: str = ""
    sharing: str = ""  # of a cache; "" is shared
    required: bool = False
    size: int = 0  # bytes, of a tmpfs; 0 is without limit
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None  # the secret goes into this variable

    @property
    def secret_id(self) -> str:
        """The id that --secret has to bring: id, source or the last part of target."""
        return self.source or self.id or self.target.rpartition("/")[2]

    @property
    def secret_target(self) -> str:
        """Where the secret's file is to be; "" if it goes into a variable only."""
        if self.target or self.env is not None:
            return self.target
        return "/run/secrets/" + self.secret_id.rpartition("/")[2]


def mount_source(text: str) -> str:
    """The from= of a --mount, without the rest being looked at.  Raises BuildError."""
    found = ""
    for key, value in _fields(text):
        if key == "from" and value is not None:
            if re.search(r"\$.", value):
                raise _error(
                    f"from={value}: variables have no meaning here",
                    "give the image a stage of its own: FROM $IMAGE AS name",
                )
            found = value
    return found


def parse_mount(text: str, expand: Callable[[str], str]) -> Mount:
    """The value of a --mount, each field's value expanded.  Raises BuildError (RL-BUILD-MOUNT)."""
    draft: dict[str, str] = {}
    for key, value in _fields(text):
        if key not in _KEYS:
            raise _error(
                f"unknown key {key} in --mount={text}",
                did_you_mean(key, _KEYS) or f"known are {', '.join(_KEYS)}",
            )
        key = _ALIASES.get(key, key)
        if value is None:
            if key not in _WITHOUT_VALUE:
                raise _error(f"{key} has no value in --mount={text}", f"write {key}=VALUE")
            value = "true"
        else:
            value = expand(value)
        if key == "readwrite":
            key, value = "readonly", "false" if _bool(key, value) else "true"
        draft[key] = value
    return _build(draft)


def _fields(text: str) -> list[tuple[str, str | None]]:
    try:
        fields = csv_fields(text, "--mount")
    except UsageError as e:
        raise _error(e.what, e.remedy) from e
    if "\n" in text or "\r" in text:
        raise _error(f"a line break in --mount={text!r}", "write it in one line")
    pairs = []
    for field in fields:
        key, equals, value = field.partition("=")
        pairs.append((key.lower(), value if equals else None))
    return pairs


def _build(draft: dict[str, str]) -> Mount:
    type_ = draft.get("type", "bind").lower()
    if type_ not in TYPES:
        raise _error(
            f"unknown mount type {type_!r}",
            did_you_mean(type_, TYPES) or f"known are {', '.join(TYPES)}",
        )
    for key, types in _ONLY.items():
        if key in draft and type_ not in types:
            raise _error(f"{key} has no meaning for a {type_} mount", f"it is for {types[0]}")
    for key in ("mode", "uid", "gid"):
        if key in draft and type_ not in _OWNED:
            raise _error(f"{key} has no meaning for a {type_} mount", f"remove {key}=")
    sharing = draft.get("sharing", "").lower()
    if sharing and sharing not in SHARING:
        raise _error(
            f"unknown sharing {sharing!r}",
            did_you_mean(sharing, SHARING) or f"known are {', '.join(SHARING)}",
        )
    if sharing and type_ != "cache":
        raise _error(f"sharing has no meaning for a {type_} mount", "it is for cache")
    if type_ == "secret":
        _check_secret(draft)
    read_only = type_ not in ("cache", "tmpfs")
    if "readonly" in draft:
        read_only = _bool("readonly", draft["readonly"])
    return Mount(
        type=type_,
        source_stage=draft.get("from", ""),
        source=draft.get("source", ""),
        target=draft.get("target", ""),
        read_only=read_only,
        id=draft.get("id", ""),
        sharing=sharing,
        required=_bool("required", draft.get("required", "false")),
        size=_size(draft["size"]) if "size" in draft else 0,
        mode=_number(draft, "mode", 8),
        uid=_number(draft, "uid", 10),
        gid=_number(draft, "gid", 10),
        env=draft.get("env"),
    )


def _check_secret(draft: dict[str, str]) -> None:
    if draft.get("from"):
        raise _error("a secret mount has no from", "--secret brings it from outside")
    if draft.get("source") and draft.get("id"):
        raise _error("a secret mount has both source and id", "they mean the same: keep id")
    if not any(draft.get(key) for key in ("id", "source", "target")):
        raise _error("a secret mount has neither id nor target", "write id=NAME")


def _bool(key: str, value: str) -> bool:
    parsed = parse_bool(value)
    if parsed is None:
        raise _error(f"{key}={value} is neither true nor false", f"write {key} or {key}=false")
    return parsed


def _size(value: str) -> int:
    try:
        return parse_size(value, "size")
    except (UsageError, ValueError) as e:
        raise _error(f"size={value} is no size", "write it as size=64m") from e


def _number(draft: dict[str, str], key: str, base: int) -> int | None:
    text = draft.get(key)
    if text is None:
        return None
    digits = "01234567" if base == 8 else "0123456789"
    if not text or any(c not in digits for c in text) or len(text) > 12 or int(text, base) >> 32:
        raise _error(
            f"{key}={text} is no {'octal ' if base == 8 else ''}number",
            f"write it as {key}={'0755' if base == 8 else '1000'}",
        )
    return int(text, base)


def _error(problem: str, remedy: str | None) -> BuildError:
    return BuildError(problem, remedy=remedy, code="RL-BUILD-MOUNT")
