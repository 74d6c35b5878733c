"""Git repositories as contexts and sources of ADD, by the host's git program.

    https://host/repo.git#ref:subdir    git@host:repo.git#ref    ssh://…    git://…
    https://host/repo.git?ref=…&subdir=…&tag=…&branch=…&checksum=…&keep-git-dir=…&submodules=…

Source: docs.docker.com/build/concepts/context (Git repositories); buildkit
frontend/dockerfile/dfgitutil/git_ref.go, source/git/source.go.
"""

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from rootless.build.context_http import without_password
from rootless.build.option_forms import Secret
from rootless.build.secrets import git_environment
from rootless.errors import BuildError, HostError
from rootless.linux import process
from rootless.records import dataclass, replace
from rootless.store.removal import remove_tree

CODE = "RL-BUILD-GIT"
_SCP = re.compile(r"[a-zA-Z0-9._-]+@[^:/\s]+:(?!//)\S")
_CHECKSUM = re.compile(r"[0-9a-f]{1,64}\Z")
_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True)
class Repository:
    """What a git URL names; "" for the default branch, and the whole tree."""

    remote: str
    ref: str = ""
    subdirectory: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool = True


def parse(text: str) -> Repository | None:
    """The repository that `text` names; None when it is no git URL.  Raises BuildError."""
    body, _, fragment = text.partition("#")
    is_github = body.startswith("github.com/")
    if is_github:
        body = f"https://{body}"
    if _SCP.match(body):
        return _with_fragment(Repository(body), fragment)
    scheme = body.partition("://")[0].lower() if "://" in body else ""
    if scheme not in ("http", "https", "git", "ssh"):
        return None
    try:
        parts = urlsplit(body)
    except ValueError:
        return None
    is_web = scheme in ("http", "https") and not is_github
    if is_web and not parts.path.rstrip("/").endswith(".git"):
        return None
    found = Repository(parts._replace(query="").geturl())
    if parts.query:
        if fragment:
            raise _bad(text, "it has both a query and a fragment", "use one of them")
        return _with_query(found, text, parts.query)
    return _with_fragment(found, fragment)


def _with_fragment(found: Repository, fragment: str) -> Repository:
    ref, _, subdirectory = fragment.partition(":")
    return _checked(replace(found, ref=ref, subdirectory=subdirectory))


def _with_query(found: Repository, text: str, query: str) -> Repository:
    values = dict(parse_qsl(query, keep_blank_values=True))
    ref = values.pop("ref", "")
    for key, prefix in (("tag", "refs/tags/"), ("branch", "refs/heads/")):
        name = values.pop(key, "")
        if name:
            ref = prefix + name.removeprefix(prefix)
    checksum = values.pop("checksum", "") or values.pop("commit", "")
    keep = values.pop("keep-git-dir", None)
    submodules = values.pop("submodules", "true")
    subdirectory = values.pop("subdir", "")
    if values:
        raise _bad(
            text,
            f"{', '.join(values)} means nothing in its query",
            "known are ref, tag, branch, subdir, checksum, keep-git-dir and submodules",
        )
    return _checked(
        replace(
            found,
            ref=ref,
            subdirectory=subdirectory,
            checksum=checksum,
            keep_git_dir=None if keep is None else _is_true(keep),
            submodules=_is_true(submodules),
        )
    )


def _is_true(value: str) -> bool:
    return value.lower() in ("", "1", "t", "true")


def _checked(found: Repository) -> Repository:
    if found.ref.startswith("-") or found.remote.startswith("-"):
        raise _bad(found.ref, "a reference cannot begin with -", "name a branch, tag or commit")
    subdirectory = posixpath.normpath(f"/{found.subdirectory}").lstrip("/")
    if ".." in found.subdirectory.split("/"):
        raise BuildError(
            f"the subdirectory {found.subdirectory} leads out of the repository",
            remedy="name a directory in it",
            code="RL-BUILD-ESCAPE",
        )
    if found.checksum and not _CHECKSUM.match(found.checksum):
        raise _bad(
            found.checksum,
            "it is no commit ID",
            "give its hexadecimal digits, as git log prints them",
        )
    return replace(found, subdirectory=subdirectory)


def check_out(
    environ: Mapping[str, str],
    found: Repository,
    directory: str,
    *,
    keep_git_dir: bool = False,
    secrets: Sequence[Secret] = (),
) -> tuple[str, str]:
    """Fetch the repository into the new `directory`: (the directory named by it, its commit).

    Fetches one commit deep where the server allows it; submodules too.  Asks for no password;
    `secrets` may have one (build/secrets.py).
    Raises BuildError, HostError without git.
    """
    git = _Git({**environ, **git_environment(environ, secrets, found.remote)}, directory)
    os.mkdir(directory, 0o700)
    git.run("-c", "init.defaultBranch=main", "init", "--quiet", ".")
    git.run("remote", "add", "origin", found.remote)
    wanted = found.ref or "HEAD"
    shown = f"{without_password(found.remote)}{'#' + found.ref if found.ref else ''}"
    commit = git.fetch(wanted, shown)
    if found.checksum and not commit.startswith(found.checksum):
        raise BuildError(
            f"{shown} is the commit {commit}, not {found.checksum}",
            remedy="the reference has moved: check why, then give the new checksum",
            code="RL-BUILD-CHECKSUM",
        )
    git.run("-c", "advice.detachedHead=false", "checkout", "--quiet", "--force", commit)
    if found.submodules and os.path.exists(f"{directory}/.gitmodules"):
        git.run("submodule", "update", "--init", "--recursive", "--quiet", "--depth=1")
    root = f"{directory}/{found.subdirectory}" if found.subdirectory else directory
    # A link in the repository could be the subdirectory.
    if not os.path.isdir(root) or os.path.realpath(root) != _plain(directory, found.subdirectory):
        raise BuildError(
            f"{shown} has no directory {found.subdirectory}",
            remedy="check what stands behind the colon, or subdir=",
            code=CODE,
        )
    if not keep_git_dir and not found.keep_git_dir:
        _remove_git_directories(directory)
    return root, commit


def _remove_git_directories(directory: str) -> None:
    """The repository's own, and the files in submodules that point into it."""
    for place, directories, files in os.walk(directory):
        if ".git" in directories:
            directories.remove(".git")
            remove_tree(f"{place}/.git")
        if ".git" in files:
            os.unlink(f"{place}/.git")


def _plain(directory: str, subdirectory: str) -> str:
    base = os.path.realpath(directory)
    return f"{base}/{subdirectory}" if subdirectory else base


class _Git:
    def __init__(self, environ: Mapping[str, str], directory: str) -> None:
        self._directory = directory
        self._program = process.find_program("git", environ)
        if self._program is None:
            raise HostError(
                "the program git is missing, which a git context needs",
                remedy="ask the admin for: apt-get install git; or clone it elsewhere",
                code="RL-HOST-NO-GIT",
            )
        # A repository of the caller's own must not be meant by GIT_DIR and the like.
        self._environ = {k: v for k, v in environ.items() if not k.startswith("GIT_DIR")}
        for name in ("GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
            self._environ.pop(name, None)
        self._environ.update(GIT_TERMINAL_PROMPT="0", LC_ALL="C.UTF-8")
        self._environ.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")

    def run(self, *words: str) -> str:
        status, output, errors = self._call(words)
        if status != 0:
            raise self._failed(words, errors)
        return output.strip()

    def fetch(self, ref: str, shown: str) -> str:
        """The commit that `ref` is, fetched."""
        fetch = ("fetch", "--quiet", "--no-tags")
        status, _, errors = self._call((*fetch, "--depth=1", "origin", ref))
        if status != 0 and "shallow" in errors:  # a web server with files, and no git of its own
            status, _, errors = self._call((*fetch, "origin", ref))
        if status == 0:
            return self.run("rev-parse", "FETCH_HEAD^{commit}")
        # A server may not give single commits, and a short ID is known only with the history.
        if re.fullmatch(r"[0-9a-f]{4,64}", ref):
            branches = "+refs/heads/*:refs/remotes/origin/*"
            status, _, why = self._call(("fetch", "--quiet", "--tags", "origin", branches))
            if status == 0:
                status, output, _ = self._call(
                    ("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
                )
                if status == 0:
                    return output.strip()
                why = "unknown revision"
            errors = why
        if "couldn't find remote ref" in errors or "unknown revision" in errors:
            raise BuildError(
                f"{shown}: the repository has no such branch, tag or commit",
                remedy="check what stands behind #",
                code=CODE,
            )
        raise BuildError(
            f"cannot fetch {shown}: {_last_line(errors)}",
            remedy="check that git can clone it from here without asking for a password, or give "
            "one: --secret id=GIT_AUTH_TOKEN",
            code=CODE,
        )

    def _call(self, words: tuple[str, ...]) -> tuple[int, str, str]:
        import subprocess  # 8 ms, for few builds

        assert self._program is not None
        try:
            done = subprocess.run(
                [self._program, *words],
                cwd=self._directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT_S,
                umask=0o022,  # modes are part of what is copied: the same for every user
            )
        except subprocess.TimeoutExpired:
            return 1, "", f"no end after {_TIMEOUT_S} s"
        errors = done.stderr.decode("utf-8", "replace")
        return done.returncode, done.stdout.decode("utf-8", "replace"), errors

    def _failed(self, words: tuple[str, ...], errors: str) -> BuildError:
        verb = next((word for word in words if not word.startswith("-") and "=" not in word), "")
        return BuildError(
            f"git {verb} failed: {_last_line(errors)}",
            remedy="try the same with git itself",
            code=CODE,
        )


def _last_line(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return told[0].removeprefix("fatal: ").removeprefix("error: ")[:300] if told else "no reason"


def _bad(text: str, problem: str, remedy: str) -> BuildError:
    return BuildError(f"{text}: {problem}", remedy=remedy, code=CODE)
