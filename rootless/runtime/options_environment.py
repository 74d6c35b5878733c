"""--env, --env-file, --label and --label-file, by Docker's rules."""

from rootless.errors import UsageError
from rootless.runtime.options_text import flag, texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LINE_MAX = 64 << 10  # Docker's scanner gives up on longer lines
_BOM = b"\xef\xbb\xbf"
_SPACES = " \t"
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


def environment(
    given: list[str],
    files: list[str],
    environ: "Mapping[str, str]",
    read: "Callable[[str], bytes]",
) -> list[str]:
    """The variables of `files`, then of `given`, as "NAME=value".

    A name alone takes the caller's value.  Where the caller has none, a name of `given` stays
    alone, and means that the image's variable of this name is removed.  Raises UsageError.
    """
    found: list[str] = []
    for path in files:
        for name, value in parse_file(read(path), path, "env file"):
            if value is not None:
                found.append(f"{name}={value}")
            elif name in environ:
                found.append(f"{name}={environ[name]}")
    for entry in given:
        name, equals, _ = entry.partition("=")
        if not name:
            raise UsageError(
                f'invalid environment variable: "{entry}"', remedy="write NAME=value or NAME"
            )
        if "\0" in entry:
            raise UsageError(f"invalid environment variable {name}: it has a NUL byte")
        if equals or name not in environ:
            found.append(entry)
        else:
            found.append(f"{name}={environ[name]}")
    return found


def inherited(values: "Mapping[str, object]", environ: "Mapping[str, str]") -> list[str]:
    """What --unsetenv takes away, and --env-host and --http-proxy give: before --env."""
    found = []
    for name in texts(values, "unsetenv"):
        if not name or "=" in name:
            raise UsageError(f'invalid --unsetenv "{name}"', remedy="give the name of a variable")
        found.append(name)
    host, proxy = flag(values, "env_host"), flag(values, "http_proxy")
    for name, value in environ.items():
        # The caller's PATH and HOME are those of another file system.
        if (host and name not in ("PATH", "HOME")) or (proxy and name.lower() in _PROXIES):
            found.append(f"{name}={value}")
    return found


def merges(given: list[str]) -> list[str]:
    """The entries of --env-merge.  Raises UsageError."""
    for entry in given:
        name, equals, _ = entry.partition("=")
        if not name or not equals or "\0" in entry:
            raise UsageError(
                f'invalid --env-merge "{entry}"', remedy="write NAME=text with ${OTHER}"
            )
    return given


def labels(given: list[str], files: list[str], read: "Callable[[str], bytes]") -> dict[str, str]:
    """The labels of `files`, then of `given`.  A key alone has the empty value."""
    found: dict[str, str] = {}
    for path in files:
        for name, value in parse_file(read(path), path, "label file"):
            found[name] = value or ""
    for entry in given:
        key, _, value = entry.partition("=")
        if not key.strip():
            raise UsageError(f'invalid label "{entry}": empty name', remedy="write KEY=value")
        found[key] = value
    return found


def annotations(given: list[str]) -> dict[str, str]:
    """--annotation: NAME=VALUE, both needed, as runtime-spec says of names."""
    found: dict[str, str] = {}
    for entry in given:
        key, equals, value = entry.partition("=")
        if not key.strip() or not equals:
            raise UsageError(f'invalid annotation "{entry}"', remedy="write NAME=VALUE")
        found[key] = value
    return found


def parse_file(content: bytes, path: str, what: str) -> list[tuple[str, str | None]]:
    """The (name, value or None) of each line of an env or label file.

    Docker's format: # at the beginning of a line is a comment, white space in front is cut,
    nothing is unquoted or expanded, and a value keeps its trailing blanks.
    """
    found: list[tuple[str, str | None]] = []
    lines = content.removeprefix(_BOM).split(b"\n")
    for count, raw in enumerate(lines, 1):
        where = f"{what} {path}, line {count}"
        if len(raw) >= _LINE_MAX:
            raise UsageError(f"{where}: longer than 64 KiB", remedy="shorten it")
        try:
            line = raw.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise UsageError(f"{where}: not valid UTF-8", remedy="convert the file") from None
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.lstrip(_SPACES)
        if not name:
            raise UsageError(f"{where}: no variable name", remedy="write NAME=value or NAME")
        if "\0" in line:
            raise UsageError(f"{where}: it has a NUL byte", remedy="convert the file to UTF-8")
        if any(c in name for c in _SPACES):
            raise UsageError(
                f"{where}: variable '{name}' contains white space",
                remedy="no blanks around the name, no `export`",
            )
        found.append((name, value if equals else None))
    return found


def read_file(path: str) -> bytes:
    """The bytes of a file that the user has named.  Raises UsageError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as e:
        raise UsageError(
            f"cannot read {path}: {e.strerror}", remedy="check the path and its permissions"
        ) from e
