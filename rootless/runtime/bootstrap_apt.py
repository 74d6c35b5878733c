"""What the host's apt is configured with: archives, keyrings, proxies; and a package from there.

Formats: sources.list(5), both the one-line style and deb822.
"""

import glob
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rootless.errors import HostError, RlError
from rootless.records import dataclass

if TYPE_CHECKING:
    from rootless.context import Context

_LISTS = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list")
_DEB822 = "/etc/apt/sources.list.d/*.sources"
# Last parts of the paths of a distribution's own archives, to tell them from other sources.
_ARCHIVES = {
    "debian": ("debian", "debian-security", "security"),
    "ubuntu": ("ubuntu", "ubuntu-ports"),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One archive: where, which suite and components, and the keyring it is signed by ("")."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def line(self) -> str:
        """In sources.list's one-line style."""
        signed = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {signed}{self.uri} {self.suite} {' '.join(self.components)}"


def os_release() -> tuple[str, str]:
    """ID and VERSION_CODENAME of the host, "" where it doesn't say; os-release(5)."""
    values = {}
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    key, equals, value = line.strip().partition("=")
                    if equals:
                        values[key] = value.strip("\"'")
        except OSError:
            continue
        break
    return values.get("ID", ""), values.get("VERSION_CODENAME", "")


def sources_for(distribution: str, suite: str) -> list[Source]:
    """The host's archives of `distribution`, for `suite` instead of the host's own suite.

    Empty when the host is another distribution, or its apt has no archive of its own suite.
    """
    host_id, codename = os_release()
    if host_id != distribution or not codename:
        return []
    found = []
    for source in configured():
        if not _is_own(source, distribution, codename):
            continue
        pocket = source.suite.removeprefix(codename)  # "", -updates, -security, -backports
        if pocket == "-backports" or (pocket and suite in ("sid", "unstable")):
            continue
        found.append(Source(source.uri, suite + pocket, source.components, source.signed_by))
    return list(dict.fromkeys(found))


def configured() -> list[Source]:
    """All binary archives of the host's apt that are switched on."""
    found: list[Source] = []
    for path in [_LISTS[0], *sorted(glob.glob(_LISTS[1]))]:
        for line in _read(path).splitlines():
            found += parse_line(line)
    for path in sorted(glob.glob(_DEB822)):
        found += parse_deb822(_read(path))
    return found


def parse_line(line: str) -> list[Source]:
    """The archive of a line `deb [options] URI SUITE COMPONENT…`; [] for any other line."""
    line = line.partition("#")[0].strip()
    kind, _, rest = line.partition(" ")
    if kind != "deb":
        return []
    options = ""
    rest = rest.strip()
    if rest.startswith("["):
        options, _, rest = rest[1:].partition("]")
    words = rest.split()
    if len(words) < 3:
        return []
    signed = ""
    for option in options.split():
        key, _, value = option.partition("=")
        if key == "signed-by":
            signed = value
    return [Source(words[0], words[1], tuple(words[2:]), signed)]


def parse_deb822(text: str) -> list[Source]:
    """The archives of a .sources file."""
    found = []
    for fields in _stanzas(text):
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0", "without", "off"):
            continue
        signed = fields.get("signed-by", "")
        if not signed.startswith("/") or len(signed.split()) != 1:
            signed = ""  # a key in the file itself, or fingerprints
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                if components:
                    found.append(Source(uri, suite, components, signed))
    return found


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    key = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, key = {}, ""
        elif line[0] in " \t":
            if key:
                fields[key] += "\n" + line.strip()
        else:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            fields[key] = value.strip()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _is_own(source: Source, distribution: str, codename: str) -> bool:
    """Whether this is the distribution's archive of its own suite, and not somebody's beside it."""
    if source.suite != codename and not source.suite.startswith(f"{codename}-"):
        return False
    if "main" not in source.components:
        return False
    if source.signed_by:
        return f"{distribution}-archive" in os.path.basename(source.signed_by)
    last = urlsplit(source.uri).path.rstrip("/").rpartition("/")[2]
    return last in _ARCHIVES[distribution]


def proxies(environ: "dict[str, str]") -> dict[str, str]:
    """http_proxy and https_proxy as the host's apt uses them: its configuration wins."""
    found: dict[str, str] = {
        key: environ[key] for key in ("http_proxy", "https_proxy", "no_proxy") if key in environ
    }
    if shutil.which("apt-config") is None:
        return found
    result = subprocess.run(
        ["apt-config", "dump", "--format", "%f %v%n", "Acquire"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    for line in result.stdout.splitlines():
        key, _, value = line.partition(" ")
        if value and value != "DIRECT" and key.lower() in _PROXY_KEYS:
            found[_PROXY_KEYS[key.lower()]] = value
    return found


_PROXY_KEYS = {"acquire::http::proxy": "http_proxy", "acquire::https::proxy": "https_proxy"}


def download(ctx: "Context", package: str, directory: str) -> str:
    """Fetch `package` with the host's apt sources, as the caller; the path of the .deb.

    The host's own package lists serve where it has them; else lists are fetched into `directory`.
    """
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise HostError(
                f"{program} is missing, so Debian's package {package} cannot be fetched",
                remedy=f"ask the admin to install {package}",
                code="RL-BOOTSTRAP-NO-APT",
            )
    answer = _apt_get(["download", package], directory)
    if answer is not None:
        state = f"{directory}/apt"
        os.makedirs(f"{state}/lists/partial", exist_ok=True)
        os.makedirs(f"{state}/cache/archives/partial", exist_ok=True)
        own = ["-o", f"Dir::State::Lists={state}/lists", "-o", f"Dir::Cache={state}/cache"]
        answer = _apt_get([*own, "update"], directory)
        if answer is None:
            answer = _apt_get([*own, "download", package], directory)
    debs = glob.glob(f"{glob.escape(directory)}/{package}_*.deb")
    if answer is not None or not debs:
        raise explain(answer or f"E: apt-get fetched no {package}")
    return debs[0]


# Whatever else apt is configured to let pass.
_CHECKED = (
    "-o", "APT::Get::AllowUnauthenticated=false", "-o", "Acquire::AllowInsecureRepositories=false",
    "-o", "Acquire::AllowWeakRepositories=false",
)  # fmt: skip


def _apt_get(arguments: list[str], directory: str) -> str | None:
    """None when it worked, else what apt-get said."""
    result = subprocess.run(
        ["apt-get", "-qq", *_CHECKED, "-o", "APT::Sandbox::User=", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    # apt-get update ends with 0 when no mirror answered, and only warns.
    if result.returncode == 0 and "Failed to fetch" not in result.stderr:
        return None
    return result.stderr or f"E: apt-get ended with status {result.returncode}"


_CAUSES: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    (
        ("No space left on device", "Disk quota exceeded"),
        "the disk is full",
        "free some space (rl rmi, rl rm) or set RL_STORE to a larger file system",
        "RL-STORE-FULL",
    ),
    (
        ("Could not resolve", "Temporary failure resolving", "Could not connect",
         "Unable to connect", "Cannot initiate the connection", "Connection refused",
         "Connection timed out", "Network is unreachable", "Connection failed"),
        "the mirror cannot be reached",
        "check the network and the proxy, or name another one with --mirror URL",
        "RL-BOOTSTRAP-MIRROR",
    ),
    (
        ("does not have a Release file", "404  Not Found", "File not found"),
        "the mirror has no such suite",
        "check the suite's name, or name a mirror that has it with --mirror URL",
        "RL-BOOTSTRAP-SUITE",
    ),
    (
        ("NO_PUBKEY", "is not signed", "EXPKEYSIG", "couldn't be verified"),
        "the archive's signature cannot be checked with the keys of this machine",
        "ask the admin for the distribution's keyring package (debian-archive-keyring, "
        "ubuntu-keyring)",
        "RL-BOOTSTRAP-KEYRING",
    ),
    (
        ("Unable to locate package", "has no installation candidate", "Couldn't find any package"),
        "a package is not in the archive",
        "check the names given to --include",
        "RL-BOOTSTRAP-PACKAGE",
    ),
)  # fmt: skip


def explain(output: str) -> RlError:
    """The one-line error for what apt or mmdebstrap said."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line[3:] for line in lines if line.startswith("E: ")]
    for marks, what, remedy, code in _CAUSES:
        for line in lines:
            if any(mark in line for mark in marks):
                detail = line.removeprefix("E: ").removeprefix("W: ").removeprefix("Err: ")
                return HostError(f"{what}: {detail[:300]}", remedy=remedy, code=code)
    detail = errors[0] if errors else (lines[-1] if lines else "it said nothing")
    return HostError(
        f"the base system could not be made: {detail[:300]}",
        remedy="rl explain RL-BOOTSTRAP-FAILED",
        code="RL-BOOTSTRAP-FAILED",
    )
