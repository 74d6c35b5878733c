"""ADD from the network: URLs and git repositories, fetched before the key is made."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rootless.build import context_git, context_http
from rootless.build.context_git import Repository
from rootless.build.copying import Fetched, Transfer
from rootless.errors import BuildError

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


def fetch(ctx: "Context", transfer: Transfer, directory: str) -> Transfer:
    """The transfer with its sources on the network in `directory`, which outlives it.

    A transfer without any comes back as it is.  Raises BuildError, also where --checksum does
    not agree.
    """
    found = remotes(transfer)
    if not found:
        return transfer
    fetched = dict(transfer.fetched)
    for number, (text, repository) in enumerate(found.items()):
        if text in fetched:
            continue
        path = f"{directory}/fetched-{number}"
        if repository is None:
            fetched[text] = _file(transfer, text, path)
        else:
            fetched[text] = _repository(ctx, transfer, repository, path)
    return replace(transfer, fetched=fetched)


def _file(transfer: Transfer, url: str, path: str) -> Fetched:
    done = context_http.download(url, path)
    if transfer.checksum:
        _verify(transfer.checksum, done.path, done.digest, url)
    return Fetched(path, done.name or _UNNAMED, mtime_ns=done.mtime_ns)


def _verify(wanted: str, path: str, sha256: str, url: str) -> None:
    import hashlib

    algorithm = wanted.partition(":")[0]
    actual = sha256
    if algorithm != "sha256":
        with open(path, "rb") as file:
            actual = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
    if actual != wanted:
        raise BuildError(
            f"{context_http.without_password(url)} is {actual}, not {wanted}",
            remedy="the file has changed: check why, then give the new checksum",
            code="RL-BUILD-CHECKSUM",
        )


def _repository(ctx: "Context", transfer: Transfer, repository: Repository, path: str) -> Fetched:
    if transfer.checksum:
        repository = replace(repository, checksum=transfer.checksum)
    keep = bool(transfer.keep_git_dir)
    root, commit = context_git.check_out(ctx.environ, repository, path, keep_git_dir=keep)
    return Fetched(root, tree=True, commit=commit)
