"""The grammars of single options of `rl build`: --secret, --ssh, --output, --cache-*, ….  Pure.

Source: github.com/docker/buildx, util/buildflags and controller/build.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rootless.errors import BadReference, UsageError
from rootless.oci import reference
from rootless.records import dataclass, field
from rootless.runtime.options_text import closest, csv_fields, parse_bool

if TYPE_CHECKING:
    from rootless.layer.export import Packing

NOT_YET = "RL-NOT-YET"

_OUTPUTS = ("docker", "image", "local", "oci", "registry", "tar")
# What each type of output understands besides "type"; annotation*.KEY is matched apart.
_PACKING_KEYS = ("compression", "compression-level", "force-compression")
_IMAGE_KEYS = ("name", *_PACKING_KEYS, "oci-mediatypes", "rewrite-timestamp")
_OUTPUT_KEYS = {
    "local": ("dest",),
    "tar": ("dest",),
    "oci": ("dest", "tar", *_IMAGE_KEYS),
    "docker": ("dest", "tar", *_IMAGE_KEYS),
    "image": ("push", "unpack", "store", *_IMAGE_KEYS),  # it is packed when it is pushed
    "registry": _IMAGE_KEYS,
}
_CACHES = ("azblob", "gha", "inline", "local", "registry", "s3")
_CACHE_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "--cache-from": {"local": ("src",), "registry": ("ref",)},
    "--cache-to": {
        "inline": (),
        "local": ("dest", "mode", "ignore-error", *_PACKING_KEYS),
        "registry": (
            "ref", "mode", "ignore-error", "oci-mediatypes", "image-manifest", *_PACKING_KEYS,
        ),
    },
}  # fmt: skip
_LEVELS = {"gzip": 9, "zstd": 22, "uncompressed": 0}  # the highest
_BOOLEANS = (
    "force-compression", "ignore-error", "image-manifest", "oci-mediatypes", "push",
    "rewrite-timestamp", "store", "tar", "unpack",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Secret:
    """--secret: the bytes of a file or of a variable of the environment; one of both is set."""

    id: str
    path: str | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True)
class Ssh:
    """--ssh: a socket of an agent or private keys; no path stands for $SSH_AUTH_SOCK."""

    id: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """--output: `type` is local, tar, oci, docker or image; `attrs` is the rest, checked.

    attrs["dest"] is a path, or "-" for standard output; an image goes to the store.
    """

    type: str
    attrs: dict[str, str] = field(default_factory=dict)

    @property
    def dest(self) -> str:
        return self.attrs.get("dest", "")

    @property
    def packing(self) -> "Packing":
        return packing_of(self.attrs, "--output")

    @property
    def annotations(self) -> dict[str, str]:
        """Those of the manifest: annotation.KEY=VALUE."""
        return {
            key.partition(".")[2]: value
            for key, value in self.attrs.items()
            if key.startswith("annotation.")
        }

    def says(self, key: str) -> bool | None:
        """A boolean, or None where it is not given."""
        return parse_bool(self.attrs.get(key, ""))


@dataclass(frozen=True, slots=True)
class CacheStore:
    """--cache-from and --cache-to: `type` is local, registry or inline; `attrs` as checked."""

    type: str
    attrs: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The directory, or the image's name."""
        return self.attrs.get("ref") or self.attrs.get("src") or self.attrs.get("dest", "")

    @property
    def mode(self) -> str:
        return self.attrs.get("mode", "min")

    @property
    def packing(self) -> "Packing":
        return packing_of(self.attrs, "--cache-to")

    def says(self, key: str) -> bool | None:
        """A boolean, or None where it is not given."""
        return parse_bool(self.attrs.get(key, ""))


def pairs(value: str, option: str, form: str) -> dict[str, str]:
    """{"id": "x", "src": "/a"} of "id=x,src=/a"; keys in lower case.  Raises UsageError."""
    found: dict[str, str] = {}
    for word in csv_fields(value, option):
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(
                f"invalid value '{word}' for {option}: not a key=value pair", remedy=form
            )
        key = key.strip()
        found[key if key.startswith("annotation") else key.lower()] = text
    return found


def _check_keys(found: Mapping[str, str], known: Sequence[str], option: str, form: str) -> None:
    for key in found:
        if key not in known:
            raise UsageError(
                f"unexpected key '{key}' in {option}", remedy=closest(key, known) or form
            )


def parse_secret(value: str, environ: Mapping[str, str]) -> Secret:
    """id=NAME[,src=PATH|,env=VARIABLE]; alone, the variable of that name, else the file."""
    form = "write id=NAME,src=PATH or id=NAME,env=VARIABLE"
    found = pairs(value, "--secret", form)
    _check_keys(found, ("type", "id", "source", "src", "env"), "--secret", form)
    kind = found.get("type", "")
    if kind not in ("", "file", "env"):
        raise UsageError(f"unsupported secret type '{kind}'", remedy="file or env")
    name = found.get("id", "")
    if not name:
        raise UsageError(f"--secret {value} has no id", remedy=form)
    path = found.get("src", found.get("source", ""))
    variable = found.get("env", "")
    if kind == "env" and not variable:
        path, variable = "", path
    if path and variable:
        raise UsageError(f"--secret {name} has both a file and a variable", remedy=form)
    if not path and not variable:
        if name in environ and kind != "file":
            variable = name
        else:
            path = name
    return Secret(name, path or None, variable or None)


def parse_ssh(value: str, environ: Mapping[str, str]) -> Ssh:
    """default, or ID[=SOCKET|KEY[,KEY…]]."""
    name, equals, rest = value.partition("=")
    paths = tuple(path for path in rest.split(",") if path)
    form = "write default, or ID=SOCKET, or ID=KEYFILE"
    if not name or (equals and not paths):
        raise UsageError(f"invalid value '{value}' for --ssh", remedy=form)
    if not paths:
        agent = environ.get("SSH_AUTH_SOCK", "")
        if not agent:
            raise UsageError(
                f"--ssh {value} needs an agent, and SSH_AUTH_SOCK is not set",
                remedy="start ssh-agent, or name its socket: --ssh default=SOCKET",
            )
        paths = (agent,)
    return Ssh(name, paths)


def parse_output(value: str) -> Output:
    """DIRECTORY, -, or type=local|tar|oci|docker|image,dest=PATH,…."""
    form = "write a directory, - or type=local|tar|oci|docker|image,dest=PATH"
    words = csv_fields(value, "--output")
    if len(words) == 1 and "=" not in words[0]:
        if not words[0]:
            raise UsageError("--output names no place", remedy=form)
        kind = "tar" if words[0] == "-" else "local"
        return Output(kind, {"dest": words[0]})
    found = pairs(value, "--output", form)
    kind = found.pop("type", "")
    if not kind:
        raise UsageError(f"type is required for --output {value}", remedy=form)
    if kind not in _OUTPUTS:
        raise UsageError(
            f"unknown type of --output: {kind}", remedy=closest(kind, _OUTPUTS) or form
        )
    return _checked(kind, found, value, form)


def _checked(kind: str, found: dict[str, str], value: str, form: str) -> Output:
    plain = {k: v for k, v in found.items() if not k.startswith("annotation")}
    for key in set(found) - set(plain):
        if kind in ("local", "tar"):
            raise UsageError(
                f"cannot set {key} for type={kind}: there is no image", remedy="leave it out"
            )
        if not key.startswith("annotation."):
            raise no_index(key)
    _check_keys(plain, _OUTPUT_KEYS[kind], f"--output type={kind}", form)
    _check_booleans(found, "--output")
    for key in ("store", "rewrite-timestamp"):
        if key in found and parse_bool(found[key]) is False:
            raise UsageError(
                f"cannot use {key}=false in --output: it is always so",
                remedy="leave it out",
                code=NOT_YET,
            )
    packing_of(found, "--output")
    if kind in ("local", "tar", "oci") and not found.get("dest"):
        if kind == "local":
            raise UsageError("dest is required for --output type=local", remedy=form)
        found["dest"] = "-"
    if kind == "docker" and not found.get("dest"):
        # With docker this loads the image into its daemon.
        kind = "image"
    if kind == "registry":  # docker's short form
        kind, found["push"] = "image", "true"
    return Output(kind, found)


def parse_cache(value: str, option: str) -> CacheStore:
    """type=local,src|dest=DIRECTORY, type=registry,ref=IMAGE (alone: IMAGE), or type=inline."""
    reading = option == "--cache-from"
    form = f"write type=local,{'src' if reading else 'dest'}=DIRECTORY or type=registry,ref=IMAGE"
    words = csv_fields(value, option)
    if len(words) == 1 and "=" not in words[0] and words[0]:
        found = {"type": "registry", "ref": words[0]}
    else:
        found = pairs(value, option, form)
    kind = found.pop("type", "")
    if kind not in _CACHES:
        raise UsageError(f"unknown type of {option}: {kind or value}", remedy=form)
    if kind not in _CACHE_KEYS[option]:
        raise UsageError(
            f"cannot use {option} type={kind}: "
            + ("it is read with type=registry" if kind == "inline" else "not in this version"),
            remedy="use type=registry,ref=IMAGE, or type=local with a directory",
            code=NOT_YET,
        )
    _check_keys(found, _CACHE_KEYS[option][kind], f"{option} type={kind}", form)
    place = {"local": "src" if reading else "dest", "registry": "ref"}.get(kind)
    if place and not found.get(place):
        raise UsageError(f"{option} type={kind} has no {place}", remedy=form)
    if kind == "registry":
        try:
            reference.parse(found["ref"])
        except BadReference as e:
            raise UsageError(f"invalid ref in {option}: {e.what}", remedy=e.remedy or form) from e
    if found.get("mode", "min") not in ("min", "max"):
        raise UsageError(f"invalid mode={found['mode']} in {option}", remedy="min or max")
    _check_booleans(found, option)
    if parse_bool(found.get("image-manifest", "true")) is False:
        raise UsageError(
            f"cannot use image-manifest=false in {option}: rl's cache is an image",
            remedy="leave it out",
            code=NOT_YET,
        )
    packing_of(found, option)
    return CacheStore(kind, found)


def packing_of(found: Mapping[str, str], option: str) -> "Packing":
    """compression, compression-level and force-compression, checked.  Raises UsageError."""
    kind = found.get("compression", "")
    if kind == "estargz":
        raise UsageError(
            f"cannot use compression=estargz in {option}: not in this version",
            remedy="gzip, zstd or uncompressed",
            code=NOT_YET,
        )
    if kind not in ("", *_LEVELS):
        raise UsageError(
            f"unknown compression {kind} in {option}", remedy="gzip, zstd or uncompressed"
        )
    level = found.get("compression-level", "")
    highest = _LEVELS[kind or "gzip"]
    if level and not (level.isascii() and level.isdecimal() and int(level[:4]) <= highest):
        raise UsageError(
            f"invalid compression-level={level} in {option}",
            remedy=f"0 to {highest} for {kind or 'gzip'}",
        )
    docker = parse_bool(found.get("oci-mediatypes", "true")) is False
    if docker and kind == "zstd":
        raise UsageError(
            f"Docker's media types know no zstd ({option})",
            remedy="leave out oci-mediatypes=false, or use compression=gzip",
        )
    from rootless.layer.compression import GZIP, PLAIN  # 14 ms that only --output pays
    from rootless.layer.export import Packing

    return Packing(
        {"": GZIP, "uncompressed": PLAIN}.get(kind, kind),
        int(level or 0),
        always=parse_bool(found.get("force-compression", "false")) is True,
        docker=docker,
    )


def parse_annotation(value: str) -> tuple[str, str]:
    """[manifest:]KEY=VALUE of --annotation.  Raises UsageError."""
    key, equals, text = value.partition("=")
    kinds, colon, name = key.rpartition(":")
    if not equals or not name:
        raise UsageError(f"invalid value '{value}' for --annotation", remedy="write KEY=VALUE")
    for kind in kinds.split(",") if colon else ():
        word = kind.partition("[")[0]
        if word in ("index", "index-descriptor", "manifest-descriptor"):
            raise no_index(f"--annotation {value}")
        if word != "manifest":
            raise UsageError(
                f"unknown annotation type '{kind}' in --annotation", remedy="write KEY=VALUE"
            )
    return name, text


def no_index(what: str) -> UsageError:
    """The error for an annotation of what an image of one platform does not have."""
    return UsageError(
        f"cannot set {what}: an image of one platform has no index",
        remedy="annotate the manifest: --annotation KEY=VALUE",
        code=NOT_YET,
    )


def _check_booleans(found: Mapping[str, str], option: str) -> None:
    for key in _BOOLEANS:
        if key in found and parse_bool(found[key]) is None:
            raise UsageError(f"invalid {key}={found[key]} in {option}", remedy="true or false")


def parse_assignment(value: str, option: str) -> tuple[str, str | None]:
    """("A", "b") of "A=b", ("A", None) of "A"."""
    key, equals, text = value.partition("=")
    if not key or key != key.strip():
        raise UsageError(f"invalid value '{value}' for {option}", remedy="write NAME=VALUE")
    return key, text if equals else None


def parse_build_context(value: str) -> tuple[str, str]:
    """("name", "where") of --build-context NAME=WHERE; an image's name in its familiar form."""
    name, equals, where = value.partition("=")
    form = "write NAME=DIRECTORY, NAME=URL, NAME=docker-image://IMAGE or NAME=oci-layout://DIR"
    if not equals or not name or not where:
        raise UsageError(f"invalid context value: {value}, expected key=value", remedy=form)
    try:
        named = reference.parse(name)
    except BadReference as e:
        raise UsageError(
            f"invalid context name {name}: {e.what}", remedy="lower case, as base or app:1"
        ) from e
    return named.familiar().removesuffix(":latest"), where


def parse_tag(value: str) -> str:
    """The canonical name of --tag.  Raises UsageError."""
    try:
        named = reference.parse(value)
    except BadReference as e:
        raise UsageError(
            f'invalid tag "{value}": {e.what}', remedy=e.remedy or "as app or app:1.0"
        ) from e
    if named.digest:
        raise UsageError(
            f'invalid tag "{value}": it has a digest, which an image gets from its content',
            remedy="give NAME or NAME:TAG",
        )
    return named.tagged().canonical()


def parse_epoch(text: str) -> int:
    """Seconds of SOURCE_DATE_EPOCH.  Raises UsageError."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise UsageError(
            f"invalid SOURCE_DATE_EPOCH: {text}", remedy="seconds since 1970: date +%s prints them"
        )
    return int(text)
