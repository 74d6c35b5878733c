"""ADD from the network: URLs and git repositories, fetched before the key is made."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rootless.build import context_git, context_http
from rootless.build.context_git import Repository
from rootless.build.context_http import Download
from rootless.build.copying import Fetched, Transfer, may_be_remote
from rootless.build.option_forms import Secret
from rootless.build.secrets import http_authorization
from rootless.errors import BuildError, RlError
from rootless.records import asdict, replace
from rootless.store import atomic

if TYPE_CHECKING:
    from rootless.context import Context

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z|sha384:[0-9a-f]{96}\Z|sha512:[0-9a-f]{128}\Z")
# What BuildKit calls a file whose URL has no name.
_UNNAMED = "__unnamed__"


def remotes(transfer: Transfer) -> Mapping[str, Repository | None]:
    """The sources on the network: git repositories, and None for URLs."""
    found: dict[str, Repository | None] = {}
    for text in transfer.sources:
        # github.com/a/b may be a directory of the context, and BuildKit takes it for one.
        repository = None if text.startswith("github.com/") else context_git.parse(text)
        if repository is not None or context_http.is_url(text):
            found[text] = repository
    return found


def check(transfer: Transfer) -> None:
    """Raises BuildError for a source or --checksum that cannot be."""
    found = remotes(transfer)
    if found and not transfer.add:
        raise BuildError(
            f"COPY cannot copy from {next(iter(found))}",
            remedy="use ADD for URLs and git repositories",
            code="RL-BUILD-ARGUMENTS",
        )
    if not transfer.checksum:
        return
    if len(transfer.sources) != 1 or not found:
        raise BuildError(
            "--checksum is for one source, a URL or a git repository",
            remedy="write an ADD for each",
            code="RL-BUILD-FLAG",
        )
    repository = found[transfer.sources[0]]
    if repository is None and not _DIGEST.match(transfer.checksum):
        raise BuildError(
            f"--checksum={transfer.checksum} is no digest",
            remedy="as in --checksum=sha256:<64 hexadecimal digits>",
            code="RL-BUILD-VALUE",
        )
    if repository is not None and repository.checksum not in ("", transfer.checksum):
        raise BuildError(
            f"--checksum={transfer.checksum} is not the checksum in the URL",
            remedy="give one of them",
            code="RL-BUILD-FLAG",
        )


def fetch(
    ctx: "Context", transfer: Transfer, directory: str, secrets: Sequence[Secret] = ()
) -> Transfer:
    """The transfer with its sources on the network in `directory`, which outlives it.

    A transfer without any comes back as it is.  Raises BuildError, also where --checksum does
    not agree.
    """
    found = remotes(transfer) if may_be_remote(transfer) else {}
    if not found:
        return transfer
    fetched = dict(transfer.fetched)
    for number, (text, repository) in enumerate(found.items()):
        if text in fetched:
            continue
        path = f"{directory}/fetched-{number}"
        if repository is None:
            allowed = http_authorization(ctx.environ, secrets, text)
            fetched[text] = _file(ctx, transfer, text, path, allowed)
        else:
            fetched[text] = _repository(ctx, transfer, repository, path, secrets)
    return replace(transfer, fetched=fetched)


def _file(ctx: "Context", transfer: Transfer, url: str, path: str, authorization: str) -> Fetched:
    done = _Remembered(ctx, url, authorization).get(path, transfer.checksum)
    if transfer.checksum:
        _verify(transfer.checksum, done.path, done.digest, url)
    return Fetched(path, done.name or _UNNAMED, mtime_ns=done.mtime_ns)


class _Remembered:
    """A file of the web in buildcache/http/, and what its server said of its version."""

    def __init__(self, ctx: "Context", url: str, authorization: str) -> None:
        self._url = url
        self._authorization = authorization
        self._directory = f"{ctx.paths.store}/buildcache/http"
        self._place = f"{self._directory}/{hashlib.sha256(os.fsencode(url)).hexdigest()}"

    def get(self, path: str, checksum: str) -> Download:
        """The file at `path`; the server is asked, but for one whose `checksum` is known."""
        known = self._load(path)
        if known is not None:
            if checksum == known.digest:
                return known
            conditions = {"If-None-Match": known.etag} if known.etag else {}
            if known.modified:
                conditions["If-Modified-Since"] = known.modified
            fresh = f"{path}.new"
            done = context_http.download_if(self._url, fresh, conditions, self._authorization)
            if done is None:
                return known
            os.replace(fresh, path)
            done = replace(done, path=path)
        else:
            done = context_http.download(self._url, path, self._authorization)
        self._save(done)
        return done

    def _load(self, path: str) -> Download | None:
        """What is remembered, its file linked to `path`; None where it is damaged or not there."""
        try:
            saved = atomic.read_json(f"{self._place}.json")
            found = Download(**{**saved, "path": path})  # type: ignore[arg-type]
            os.link(f"{self._place}.{found.digest[7:]}", path)
        except (OSError, RlError, TypeError):
            return None
        if file_digest(path) == found.digest:
            return found
        os.unlink(path)
        return None

    def _save(self, done: Download) -> None:
        """A cache that cannot be written costs time, nothing else."""
        if not (done.etag or done.modified):
            return
        place = f"{self._place}.{done.digest[7:]}"
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            for name in os.listdir(self._directory):
                old = f"{self._directory}/{name}"
                if old.startswith(f"{self._place}.") and old != place:
                    os.unlink(old)
            if not os.path.exists(place):
                os.link(done.path, place)
            atomic.write_json(f"{self._place}.json", asdict(done), sync=False)
        except (OSError, RlError):
            pass


def file_digest(path: str, algorithm: str = "sha256") -> str:
    """The digest of a file, "ALGORITHM:HEX"."""
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def _verify(wanted: str, path: str, sha256: str, url: str) -> None:
    algorithm = wanted.partition(":")[0]
    actual = sha256 if algorithm == "sha256" else file_digest(path, algorithm)
    if actual != wanted:
        raise BuildError(
            f"{context_http.without_password(url)} is {actual}, not {wanted}",
            remedy="the file has changed: check why, then give the new checksum",
            code="RL-BUILD-CHECKSUM",
        )


def _repository(
    ctx: "Context",
    transfer: Transfer,
    repository: Repository,
    path: str,
    secrets: Sequence[Secret],
) -> Fetched:
    if transfer.checksum:
        repository = replace(repository, checksum=transfer.checksum)
    keep = bool(transfer.keep_git_dir)
    root, commit = context_git.check_out(
        ctx.environ, repository, path, keep_git_dir=keep, secrets=secrets
    )
    return Fetched(root, tree=True, commit=commit)
