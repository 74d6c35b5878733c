"""registries.conf: which registry a short name means, and where an image is really fetched from.

Source: containers-registries.conf(5) version 2, containers-registries.conf.d(5).  Read where it is
present; without it every name means what Docker says.
"""

import os
import tomllib
from collections.abc import Iterator
from typing import TypeVar

from rootless.context import Context
from rootless.errors import BadDocument, BadReference
from rootless.oci import reference
from rootless.oci.reference import Reference
from rootless.records import dataclass

T = TypeVar("T")

AUTH_FILES = "containers-auth.json"  # no helper: stands for the files, which are always read
_MODES = ("", "enforcing", "permissive", "disabled")
_PULLS_FROM = ("", "all", "digest-only", "tag-only")
_WORDS = {str: "a string", bool: "true or false", list: "a list", dict: "a table"}


@dataclass(frozen=True, slots=True)
class Mirror:
    """One [[registry.mirror]]."""

    location: str
    insecure: bool
    pull_from: str  # all, digest-only, tag-only


@dataclass(frozen=True, slots=True)
class Namespace:
    """One [[registry]]: the images whose names begin with `prefix`."""

    prefix: str
    location: str  # "" with a prefix *.HOST: the name as it is
    insecure: bool
    blocked: bool
    mirrors: tuple[Mirror, ...]


@dataclass(frozen=True, slots=True)
class RegistriesConf:
    """All files together."""

    namespaces: tuple[Namespace, ...] = ()
    search: tuple[str, ...] = ()  # registries to look for short names on, in this order
    mode: str = ""
    aliases: tuple[tuple[str, str], ...] = ()  # short name, whole name
    helpers: tuple[str, ...] = ()  # programs that know credentials, without their prefix


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image may be fetched from: its name there."""

    named: Reference
    insecure: bool
    mirror: bool


def load(ctx: Context) -> RegistriesConf:
    """What the files say together.  Raises BadDocument."""
    found = RegistriesConf()
    for file in _files(ctx):
        try:
            with open(file, "rb") as stream:
                document = tomllib.load(stream)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RecursionError) as e:
            raise BadDocument(f"cannot read {file}: {e}", remedy=f"repair {file}") from e
        found = _merge(found, _File(file, document).read())
    return found


def namespace(conf: RegistriesConf, named: Reference) -> Namespace | None:
    """The [[registry]] with the longest prefix of the name, tag and digest included."""
    matching = [one for one in conf.namespaces if _matched(one.prefix, named)]
    return max(matching, key=lambda one: len(one.prefix), default=None)


def places(conf: RegistriesConf, named: Reference) -> list[Place]:
    """Where to look for the image: mirrors first, then its location.  Raises BadDocument."""
    found = namespace(conf, named)
    if found is None:
        return [Place(named, insecure=False, mirror=False)]
    left_out = "tag-only" if named.digest else "digest-only"
    mirrors = [
        Place(_rewritten(found, one.location, named), one.insecure, mirror=True)
        for one in found.mirrors
        if one.pull_from != left_out
    ]
    home = _rewritten(found, found.location, named) if found.location else named
    return [*mirrors, Place(home, found.insecure, mirror=False)]


def candidates(ctx: Context, text: str) -> list[Reference]:
    """What a name that may be short can mean, best first; more than one are tried in this order.

    Each has a tag or a digest.

    A name with a registry, and any name without a registries.conf that says something about short
    ones, means what Docker takes it for.  Raises BadReference, BadDocument.
    """
    named = reference.parse(text).tagged()
    if reference.names_registry(text):
        return [named]
    conf = load(ctx)
    # What an alias and a search are about: the name without library/, tag and digest.
    short = text.partition("@")[0].partition(":")[0]
    alias = dict(conf.aliases).get(short)
    if alias:
        whole = reference.parse(alias)
        return [Reference(whole.domain, whole.path, named.tag, named.digest)]
    if not conf.search:
        return [named]
    if conf.mode == "enforcing" and len(conf.search) > 1:
        raise BadReference(
            f"{text!r} may be on {', '.join(conf.search)}; registries.conf wants a whole name",
            remedy=f"write {conf.search[0]}/{text}, or make an alias in registries.conf",
        )
    rest = text[len(short) :]
    return [reference.parse(f"{registry}/{short}{rest}").tagged() for registry in conf.search]


def _matched(prefix: str, named: Reference) -> int:
    """How many characters of the complete name the prefix stands for; 0: not this one."""
    text = named.canonical()
    if prefix.startswith("*."):
        host = named.domain.partition(":")[0]
        return len(named.domain) if host.endswith(prefix[1:]) else 0
    if text == prefix or (text.startswith(prefix) and text[len(prefix)] in "/@"):
        return len(prefix)
    # "h/app" stands for h/app:tag, but "h" not for h:5000.
    if "/" in prefix and text.startswith(f"{prefix}:"):
        return len(prefix)
    return 0


def _rewritten(found: Namespace, location: str, named: Reference) -> Reference:
    text = location + named.canonical()[_matched(found.prefix, named) :]
    try:
        return reference.parse(text)
    except BadReference as e:
        raise BadDocument(
            f"registries.conf makes {text!r} of {named}, which is no image's name",
            remedy=f"repair the location of {found.prefix} there",
        ) from e


def _files(ctx: Context) -> Iterator[str]:
    """The user's file, or else the host's with its drop-ins; the user's drop-ins on top.

    $CONTAINERS_REGISTRIES_CONF stands for all of them.
    """
    home = f"{ctx.environ.get('XDG_CONFIG_HOME') or f'{ctx.home}/.config'}/containers"
    if ctx.environ.get("CONTAINERS_REGISTRIES_CONF"):
        yield ctx.environ["CONTAINERS_REGISTRIES_CONF"]
        return
    main = f"{home}/registries.conf"
    if os.path.exists(main):
        yield main
    else:
        yield "/etc/containers/registries.conf"
        yield from _drop_ins("/etc/containers/registries.conf.d")
    yield from _drop_ins(f"{home}/registries.conf.d")


def _drop_ins(directory: str) -> list[str]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    return [f"{directory}/{name}" for name in names if name.endswith(".conf")]


def _merge(below: RegistriesConf, above: RegistriesConf) -> RegistriesConf:
    """A later file's [[registry]] replaces the one of the same prefix; "" takes an alias away."""
    namespaces = {one.prefix: one for one in (*below.namespaces, *above.namespaces)}
    return RegistriesConf(
        tuple(namespaces.values()),
        above.search or below.search,
        above.mode or below.mode,
        tuple({**dict(below.aliases), **dict(above.aliases)}.items()),
        above.helpers or below.helpers,
    )


class _File:
    """One file's content, every field checked; what rl does not know is left alone, as podman
    leaves it."""

    def __init__(self, path: str, document: dict[str, object]) -> None:
        self._path = path
        self._document = document

    def read(self) -> RegistriesConf:
        document = self._document
        if "registries" in document:
            raise self._bad(
                "it has the format of version 1 ([registries.search])",
                "write it as version 2: unqualified-search-registries = […] and [[registry]]",
            )
        search = self._get(document, "unqualified-search-registries", list, [])
        mode = self._get(document, "short-name-mode", str, "")
        if mode not in _MODES:
            raise self._bad(f"short-name-mode is {mode!r}", f"it is one of {', '.join(_MODES[1:])}")
        namespaces = []
        for entry in self._get(document, "registry", list, []):
            namespaces.append(self._namespace(entry))
        return RegistriesConf(
            tuple(namespaces),
            tuple(self._registry(one) for one in search),
            mode,
            tuple(self._aliases()),
            tuple(self._helpers()),
        )

    def _namespace(self, entry: object) -> Namespace:
        if not isinstance(entry, dict):
            raise self._bad("a registry is no table", "write it as [[registry]]")
        location = self._location(entry, "location")
        prefix = self._location(entry, "prefix") or location
        if not prefix:
            raise self._bad("a [[registry]] has neither prefix nor location", "give it one")
        if not location and not prefix.startswith("*."):
            location = prefix
        digest_only = self._get(entry, "mirror-by-digest-only", bool, False)
        mirrors = [
            self._mirror(one, digest_only, prefix) for one in self._get(entry, "mirror", list, [])
        ]
        return Namespace(
            prefix,
            location,
            self._get(entry, "insecure", bool, False),
            self._get(entry, "blocked", bool, False),
            tuple(mirrors),
        )

    def _mirror(self, entry: object, digest_only: bool, prefix: str) -> Mirror:
        if not isinstance(entry, dict):
            raise self._bad(f"a mirror of {prefix} is no table", "write it as [[registry.mirror]]")
        location = self._location(entry, "location")
        if not location:
            raise self._bad(f"a mirror of {prefix} has no location", "give it one")
        pull_from = self._get(entry, "pull-from-mirror", str, "")
        if pull_from not in _PULLS_FROM:
            raise self._bad(
                f"pull-from-mirror is {pull_from!r}", f"it is one of {', '.join(_PULLS_FROM[1:])}"
            )
        if pull_from and digest_only:
            raise self._bad(
                f"a mirror of {prefix} has pull-from-mirror beside mirror-by-digest-only",
                "leave one of them out",
            )
        chosen = "digest-only" if digest_only else pull_from or "all"
        return Mirror(location, self._get(entry, "insecure", bool, False), chosen)

    def _location(self, entry: dict[str, object], key: str) -> str:
        text = self._get(entry, key, str, "").rstrip("/")
        if "://" in text:
            raise self._bad(f"{key} is {text!r}", "write it without http:// and https://")
        return text

    def _registry(self, value: object) -> str:
        text = f"{value.rstrip('/')}/x" if isinstance(value, str) else ""
        try:
            reference.parse(text)
        except BadReference:
            text = ""
        if not reference.names_registry(text):
            raise self._bad(
                f"unqualified-search-registries has {value!r}", "each of them is HOST or HOST:PORT"
            )
        return text.removesuffix("/x")

    def _aliases(self) -> Iterator[tuple[str, str]]:
        for short, whole in self._get(self._document, "aliases", dict, {}).items():
            try:
                is_short = not reference.names_registry(short) and bool(reference.parse(short))
                named = reference.parse(whole) if isinstance(whole, str) and whole else None
            except BadReference as e:
                raise self._bad(f"the alias {short!r}: {e.what}", "repair it") from e
            complete = named is None or (
                reference.names_registry(str(whole)) and not (named.tag or named.digest)
            )
            if not isinstance(whole, str) or not is_short or not complete:
                raise self._bad(
                    f"the alias {short!r} = {whole!r} makes no sense",
                    'write it as "NAME" = "HOST/NAME", without tag and digest',
                )
            yield short, whole

    def _helpers(self) -> Iterator[str]:
        for name in self._get(self._document, "credential-helpers", list, []):
            if not isinstance(name, str) or not name or "/" in name:
                raise self._bad(f"credential-helpers has {name!r}", "each is a helper's name")
            if name != AUTH_FILES:
                yield name

    def _get(self, table: dict[str, object], key: str, kind: type[T], default: T) -> T:
        value = table.get(key, default)
        if not isinstance(value, kind):
            raise self._bad(f"{key} is not {_WORDS[kind]}", "see containers-registries.conf(5)")
        return value

    def _bad(self, why: str, remedy: str) -> BadDocument:
        return BadDocument(f"cannot use {self._path}: {why}", remedy=remedy)
