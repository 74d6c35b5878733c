"""What a build may copy from: the context of the command line, and named ones.

A directory is used where it is; what comes as a stream or from the network is put into a
directory of the store's tmp/ for the time of the build.  .dockerignore is read once, here.
Source: docs.docker.com/build/concepts/context.
"""

import os
import posixpath
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Literal, Protocol

from rootless.build.context_text import read_dockerfile
from rootless.build.copying_select import Layers, Tree
from rootless.build.dockerfile import ignore
from rootless.build.dockerfile.ignore import Matcher
from rootless.build.option_forms import Secret
from rootless.errors import BuildError
from rootless.layer.view import View
from rootless.records import dataclass
from rootless.runtime.options_text import parse_bool
from rootless.store import layout
from rootless.store.atomic import TemporaryDirectory

if TYPE_CHECKING:
    from rootless.context import Context

__all__ = ["BuildContext", "Layers", "NamedContext", "Tree", "open_context", "open_named"]

CODE = "RL-BUILD-CONTEXT"
DOCKERFILE = "Dockerfile"
Input = IO[bytes] | int | None
# No context: what would never end, or is everything.
_TOO_MUCH = ("/", "/proc", "/sys", "/dev")


class Options(Protocol):
    """What is read of BuildOptions."""

    @property
    def context(self) -> str: ...
    @property
    def dockerfile(self) -> str | None: ...
    @property
    def build_args(self) -> "dict[str, str | None]": ...
    @property
    def secrets(self) -> Sequence[Secret]: ...


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The main context: `root` is its directory, `matcher` what .dockerignore leaves out.

    `dockerfile_name` is for messages and for ignore files; `commit` is that of a git context.
    """

    root: str
    dockerfile: bytes
    dockerfile_name: str
    matcher: Matcher | None = None
    commit: str = ""

    @property
    def tree(self) -> Tree:
        """As a source to copy from."""
        return Tree(self.root, self.matcher)


@dataclass(frozen=True, slots=True)
class NamedContext:
    """One of --build-context: a `tree`, or an `image` by its reference, or an OCI layout.

    `layout` is the layout's directory and `image` then the tag or digest in it, "" for its only:
    oci_layout.load() puts that into the store.
    """

    name: str
    kind: Literal["tree", "image", "oci-layout"]
    tree: Tree | None = None
    image: str = ""
    layout: str = ""


@contextmanager
def open_context(ctx: "Context", options: Options, stdin: Input = None) -> Iterator[BuildContext]:
    """The context and the Dockerfile that the options name.  Raises BuildError, HostError.

    `stdin` is a stream or a descriptor; None for the process's own.  The caller has one
    thread.  What was made for it is gone at the end.
    """
    if options.context == "-" or _is_remote(options.context):
        layout.prepare(ctx.paths)
        with TemporaryDirectory(ctx.paths) as temporary:
            yield _fetched(ctx, options, stdin, temporary)
    else:
        yield _local(options, stdin)


@contextmanager
def open_named(
    ctx: "Context", name: str, text: str, secrets: Sequence[Secret] = ()
) -> Iterator[NamedContext]:
    """One of --build-context NAME=TEXT, as open_context().  Raises BuildError, HostError."""
    if text.startswith("docker-image://"):
        yield NamedContext(name, "image", image=text.removeprefix("docker-image://"))
        return
    if text.startswith("oci-layout://"):
        yield _oci_layout(name, text.removeprefix("oci-layout://"))
        return
    if text.startswith("target:"):
        raise BuildError(
            f"--build-context {name}={text}: targets are those of a bake file",
            remedy="name a directory, an archive, a git repository or an image",
            code=CODE,
        )
    tree = local_tree(name, text)
    if tree is not None:
        yield NamedContext(name, "tree", tree=tree)
        return
    layout.prepare(ctx.paths)
    with TemporaryDirectory(ctx.paths) as temporary:
        root, dockerfile, _ = _from_network(ctx, text, temporary, secrets)
        if dockerfile is not None:
            raise BuildError(
                f"--build-context {name}: {text} is no tar archive",
                remedy="give an archive, a directory or a git repository",
                code=CODE,
            )
        tree = Tree(root, _ignore(root, ""), f"the context {name}")
        yield NamedContext(name, "tree", tree=tree)


def local_tree(name: str, text: str) -> Tree | None:
    """The directory of --build-context NAME=TEXT; None for what has to be fetched.

    Raises BuildError.
    """
    if _is_remote(text):
        return None
    root = _directory(text, f"the named context {name}")
    return Tree(root, _ignore(root, ""), f"the context {name}")


def _is_remote(text: str) -> bool:
    if _is_url(text):
        return True
    if os.path.isdir(text):
        return False
    from rootless.build import context_git

    return context_git.parse(text) is not None


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


# A directory of the host.


def _local(options: Options, stdin: Input) -> BuildContext:
    root = _directory(options.context, "the context")
    name = options.dockerfile
    if name == "-":
        data = _read_stdin(stdin)
        return BuildContext(root, data, DOCKERFILE, _ignore(root, ""))
    if name is not None and _is_url(name):
        data = _dockerfile_from_url(name)
        return BuildContext(root, data, name, _ignore(root, ""))
    path = _dockerfile_of(root) if name is None else name
    data = _read_file(path, root, asked=name is not None)
    shown = path if name is not None else posixpath.basename(path)
    return BuildContext(root, data, shown, _ignore(root, path))


def _directory(text: str, what: str) -> str:
    path = text.removeprefix("file://")
    if not os.path.exists(path):
        raise BuildError(
            f"{what} {text} does not exist",
            remedy="give a directory, as in: rl build -t NAME .",
            code=CODE,
        )
    if not os.path.isdir(path):
        raise BuildError(
            f"{what} {text} is no directory",
            remedy="give the directory, and the Dockerfile with -f; an archive goes to: "
            "rl build - < FILE",
            code=CODE,
        )
    root = os.path.realpath(path)
    if root in _TOO_MUCH:
        raise BuildError(
            f"{what} would be all of {root}",
            remedy="change to the directory of the project, or name it",
            code=CODE,
        )
    return root


def _dockerfile_of(root: str) -> str:
    """Dockerfile, or dockerfile where there is that alone, as docker has it."""
    lower = f"{root}/{DOCKERFILE.lower()}"
    path = f"{root}/{DOCKERFILE}"
    return lower if not os.path.lexists(path) and os.path.lexists(lower) else path


def _read_file(path: str, root: str, *, asked: bool) -> bytes:
    try:
        with open(path, "rb") as file:
            return read_dockerfile(file)
    except FileNotFoundError:
        raise _no_dockerfile(path, root, asked=asked) from None
    except OSError as e:
        raise BuildError(
            f"cannot read the Dockerfile {path}: {e.strerror}",
            remedy="name another with -f FILE",
            code="RL-BUILD-NO-DOCKERFILE",
        ) from e


def _no_dockerfile(path: str, root: str, *, asked: bool) -> BuildError:
    remedy = "write one, or name it with -f FILE"
    if asked:
        inside = os.path.join(root, path)
        if not path.startswith("/") and os.path.isfile(inside):
            remedy = f"-f is relative to where you are: use -f {inside}"
    else:
        try:
            names = sorted(n for n in os.listdir(root) if "dockerfile" in n.lower())
        except OSError:
            names = []
        if "Containerfile" in os.listdir(root):
            names.append("Containerfile")
        names = [n for n in names if not n.endswith(ignore.NAME)]
        if names:
            remedy = f"there is {', '.join(names[:5])}: name one with -f"
    return BuildError(
        f"there is no Dockerfile at {path}", remedy=remedy, code="RL-BUILD-NO-DOCKERFILE"
    )


def _ignore(root: str, dockerfile: str) -> Matcher | None:
    """What is left out.  Raises BuildError naming the file for a bad pattern."""
    # An empty name: the Dockerfile is no file, so it has no ignore file of its own.
    beside = os.path.abspath(dockerfile) if dockerfile else f"{root}/\0"

    def exists(path: str) -> bool:
        return "\0" not in path and os.path.isfile(path)

    path = ignore.choose(beside, root, exists)
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            matcher = Matcher(ignore.read_patterns(file.read()))
    except OSError as e:
        raise BuildError(
            f"cannot read {path}: {e.strerror}", remedy="check its mode", code=CODE
        ) from e
    except BuildError as e:
        raise BuildError(f"{path}: {e.what}", remedy=e.remedy, code=e.code) from e
    return matcher if matcher.patterns else None


# What has to be fetched.


def _fetched(ctx: "Context", options: Options, stdin: Input, temporary: str) -> BuildContext:
    commit = ""
    if options.context == "-":
        from rootless.build import context_archive

        root = f"{temporary}/context"
        os.mkdir(root, 0o700)
        dockerfile = context_archive.receive(_stdin(stdin), root, "standard input")
    else:
        keep = parse_bool(options.build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR") or "") is True
        root, dockerfile, commit = _from_network(
            ctx, options.context, temporary, options.secrets, keep_git_dir=keep
        )
    if dockerfile is not None:
        # There is nothing but the Dockerfile, so -f can only repeat its name.
        return BuildContext(root, dockerfile, DOCKERFILE)
    name = options.dockerfile
    if name == "-":
        return BuildContext(root, _read_stdin(stdin), DOCKERFILE, _ignore(root, ""), commit)
    if name is None:
        name = posixpath.basename(_dockerfile_of(root))
    path = _inside(root, name)
    return BuildContext(
        root, _read_file(path, root, asked=False), name, _ignore(root, path), commit
    )


def _from_network(
    ctx: "Context",
    text: str,
    temporary: str,
    secrets: Sequence[Secret],
    *,
    keep_git_dir: bool = False,
) -> tuple[str, bytes | None, str]:
    """(directory, Dockerfile if it is that alone, commit)."""
    from rootless.build import context_archive, context_git, context_http

    root = f"{temporary}/context"
    repository = context_git.parse(text)
    if repository is not None:
        root, commit = context_git.check_out(
            ctx.environ, repository, root, keep_git_dir=keep_git_dir, secrets=secrets
        )
        return root, None, commit
    os.mkdir(root, 0o700)
    from rootless.build.secrets import http_authorization

    allowed = http_authorization(ctx.environ, secrets, text)
    done = context_http.download(text, f"{temporary}/download", allowed)
    with open(done.path, "rb", buffering=0) as file:
        dockerfile = context_archive.receive(file, root, context_http.without_password(text))
    os.unlink(done.path)
    return root, dockerfile, ""


def _inside(root: str, name: str) -> str:
    """The host path of a file of a context that somebody else has made: links stay inside."""
    normal = posixpath.normpath(name)
    node = None
    if not (normal == ".." or normal.startswith("../")):
        node, _ = View([root], layered=False).resolve(normal)
    if node is None or not node.is_file:
        raise BuildError(
            f"the context has no Dockerfile {name}",
            remedy="name it with -f FILE, relative to the context's root",
            code="RL-BUILD-NO-DOCKERFILE",
        )
    return node.places[0]


def _dockerfile_from_url(url: str) -> bytes:
    import tempfile

    from rootless.build import context_http

    with tempfile.TemporaryDirectory() as directory:
        done = context_http.download(url, f"{directory}/{DOCKERFILE}")
        with open(done.path, "rb") as file:
            return read_dockerfile(file)


def _oci_layout(name: str, text: str) -> NamedContext:
    path, at, digest = text.partition("@")
    tag = ""
    if not at and ":" in posixpath.basename(path):
        path, _, tag = path.rpartition(":")
    if not os.path.isfile(f"{path}/index.json"):
        raise BuildError(
            f"--build-context {name}: {path} is no OCI layout, it has no index.json",
            remedy="name the layout's directory: oci-layout://DIRECTORY[:TAG]",
            code=CODE,
        )
    return NamedContext(name, "oci-layout", image=digest or tag, layout=os.path.abspath(path))


def _stdin(stdin: Input) -> "IO[bytes]":
    if stdin is None or isinstance(stdin, int):
        stream: IO[bytes] = open(stdin or 0, "rb", buffering=0, closefd=False)
    else:
        stream = stdin
    if stream.isatty():
        raise BuildError(
            "standard input is a terminal",
            remedy="redirect a tar archive or a Dockerfile to it: rl build - < FILE",
            code=CODE,
        )
    return stream


def _read_stdin(stdin: Input) -> bytes:
    return read_dockerfile(_stdin(stdin))
