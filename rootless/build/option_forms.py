"""The grammars of single options of `rl build`: --secret, --ssh, --output, --cache-*, ….  Pure.

Source: github.com/docker/buildx, util/buildflags and controller/build.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rootless.errors import BadReference, UsageError
from rootless.oci import reference
from rootless.runtime.options_text import closest, csv_fields, parse_bool

NOT_YET = "RL-NOT-YET"

_OUTPUTS = ("docker", "image", "local", "oci", "registry", "tar")
_COMPRESSIONS = ("estargz", "gzip", "uncompressed", "zstd")
# What each type of output understands besides "type"; annotation*.KEY is matched apart.
_IMAGE_KEYS = ("name", "compression", "compression-level", "force-compression", "oci-mediatypes")
_OUTPUT_KEYS = {
    "local": ("dest",),
    "tar": ("dest",),
    "oci": ("dest", "tar", *_IMAGE_KEYS),
    "docker": ("dest", "tar", *_IMAGE_KEYS),
    "image": ("name", "push", "unpack", "store"),  # it is packed when it is pushed
    "registry": _IMAGE_KEYS,
}
_CACHES = ("azblob", "gha", "inline", "local", "registry", "s3")


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


@dataclass(frozen=True, slots=True)
class CacheStore:
    """--cache-from and --cache-to: `type` is local, with src, or dest and mode."""

    type: str
    attrs: dict[str, str] = field(default_factory=dict)


def pairs(value: str, option: str, form: str) -> dict[str, str]:
    """{"id": "x", "src": "/a"} of "id=x,src=/a"; keys in lower case.  Raises UsageError."""
    found: dict[str, str] = {}
    for word in csv_fields(value, option):
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(
                f"invalid value '{word}' for {option}: not a key=value pair", remedy=form
            )
        found[key.strip().lower()] = text
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
        raise UsageError(f"unknown type of --output: {kind}", remedy=closest(kind, _OUTPUTS))
    return _checked(kind, found, value, form)


def _checked(kind: str, found: dict[str, str], value: str, form: str) -> Output:
    for key in found:
        if key.startswith(("annotation.", "annotation-", "annotation[")):
            raise UsageError(
                f"cannot set {key} in --output: annotations are not in this version",
                remedy="set a label instead: --label NAME=VALUE",
                code=NOT_YET,
            )
    _check_keys(found, _OUTPUT_KEYS[kind], f"--output type={kind}", form)
    for key in ("tar", "unpack", "force-compression", "oci-mediatypes", "store", "push"):
        if key in found and parse_bool(found[key]) is None:
            raise UsageError(f"invalid {key}={found[key]} in --output", remedy="true or false")
    for key, only in (("oci-mediatypes", True), ("store", True)):
        if key in found and parse_bool(found[key]) is not only:
            raise UsageError(
                f"cannot use {key}={found[key]} in --output: not in this version",
                remedy="leave it out",
                code=NOT_YET,
            )
    compression = found.get("compression", "gzip")
    if compression not in _COMPRESSIONS:
        raise UsageError(
            f"unknown compression {compression} in --output", remedy="gzip, zstd or uncompressed"
        )
    if compression == "estargz" or "compression-level" in found:
        raise UsageError(
            "cannot choose estargz or a compression level: not in this version",
            remedy="leave it out, or use compression=zstd",
            code=NOT_YET,
        )
    if kind in ("local", "tar", "oci") and not found.get("dest"):
        if kind == "local":
            raise UsageError("dest is required for --output type=local", remedy=form)
        found["dest"] = "-"
    if kind == "docker" and not found.get("dest"):
        # With docker this loads the image into its daemon.
        kind, found = "image", {k: v for k, v in found.items() if k == "name"}
    if kind == "registry":  # docker's short form
        kind, found["push"] = "image", "true"
    return Output(kind, found)


def parse_cache(value: str, option: str) -> CacheStore:
    """type=local,src=DIRECTORY or type=local,dest=DIRECTORY[,mode=max]; registries come later."""
    direction = "src" if option == "--cache-from" else "dest"
    form = f"write type=local,{direction}=DIRECTORY"
    words = csv_fields(value, option)
    if len(words) == 1 and "=" not in words[0] and words[0]:
        raise _no_cache("registry", option)
    found = pairs(value, option, form)
    kind = found.pop("type", "")
    if kind not in _CACHES:
        raise UsageError(f"unknown type of {option}: {kind or value}", remedy=form)
    if kind != "local":
        raise _no_cache(kind, option)
    known = ("src",) if direction == "src" else ("dest", "mode")
    _check_keys(found, known, f"{option} type={kind}", form)
    if not found.get(direction):
        raise UsageError(f"{option} type={kind} has no {direction}", remedy=form)
    if found.get("mode", "min") not in ("min", "max"):
        raise UsageError(f"invalid mode={found['mode']} in {option}", remedy="min or max")
    return CacheStore(kind, found)


def _no_cache(kind: str, option: str) -> UsageError:
    return UsageError(
        f"cannot use {option} type={kind}: not in this version",
        remedy="use type=local with a directory",
        code=NOT_YET,
    )


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
