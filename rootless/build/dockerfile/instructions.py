"""The instructions of a Dockerfile as values.  What they mean, without how they are executed.

Texts are as written, with variables, until Scope.apply() has expanded them.
"""

from collections.abc import Sequence

from rootless.build.dockerfile.mounts import Mount
from rootless.build.dockerfile.nodes import Heredoc, parse_heredoc
from rootless.records import dataclass

DEFAULT_SHELL = ("/bin/sh", "-c")
SCRIPT_DIRECTORY = "/dev/pipes"  # where buildkit shows a heredoc with a shebang to RUN


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What all have: the keyword as written, the logical line, its lines from 1, comments above.

    An instruction that comes from a base image's ONBUILD has the lines of the FROM.
    """

    keyword: str
    line: str
    first_line: int
    last_line: int
    comments: tuple[str, ...] = ()
    blank_continuation: int = 0  # a line number; see nodes.Node

    @property
    def name(self) -> str:
        """RUN, COPY, ..."""
        return self.keyword.upper()


@dataclass(frozen=True, slots=True)
class Pair:
    """key=value; `legacy` when a space stood for the "="."""

    key: str
    value: str
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Argument:
    """One name of ARG, with its default if it has one."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file whose content stands in the Dockerfile: a heredoc of COPY, ADD or RUN."""

    name: str
    content: str
    expand: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """A command line: JSON words for exec, or one text for the shell (`shell`)."""

    words: tuple[str, ...]
    shell: bool
    heredocs: tuple[Heredoc, ...] = ()

    def arguments(
        self, shell: Sequence[str] = DEFAULT_SHELL
    ) -> tuple[tuple[str, ...], InlineFile | None]:
        """What to execute, and the script that has to be in SCRIPT_DIRECTORY meanwhile, 0755.

        `shell` is that of the last SHELL.  A lone heredoc is the script itself; others are put
        together again for the shell, which reads them its own way.
        """
        words = self.words
        if self.heredocs and words:
            if parse_heredoc(words[0]):
                document = self.heredocs[0]
                if document.text.startswith("#!"):
                    script = InlineFile(document.name, document.text)
                    return (*shell, f"{SCRIPT_DIRECTORY}/{document.name}"), script
                words = (document.text,)
            else:
                parts = [f"\n{document.content}{document.name}" for document in self.heredocs]
                words = (words[0] + "".join(parts),)
        if not self.shell:
            return words, None
        return (*shell, " ".join(words)), None


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    base: str
    platform: str = ""
    stage_name: str = ""  # lower case
    stage_name_written: str = ""
    as_keyword: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    author: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """RUN --device=vendor.com/class=name,required"""

    name: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """`mount_texts` are the --mount flags as written; `mounts` their values.

    `mounts` are there from the start if no variable stands in them, else after Scope.apply().
    `mount_sources` are the from= of all, which have no variables: stages, images or contexts.
    """

    command: Command
    mount_texts: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    mount_sources: tuple[str, ...] = ()
    network: str = "default"  # none, host
    security: str = "sandbox"  # insecure
    devices: tuple[Device, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Instruction):
    """What COPY and ADD share.  `chmod` is octal or symbolic, "" where nothing was asked."""

    sources: tuple[str, ...]
    documents: tuple[InlineFile, ...] = ()
    target: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Transfer):
    """`source_stage` is --from: a stage's name or number, an image or a named context."""

    source_stage: str = ""
    parents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Transfer):
    """None: not said, which is no for keep_git_dir and "as the source looks" for unpack."""

    keep_git_dir: bool | None = None
    checksum: str = ""
    unpack: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """Port specifications, sorted as written; ports.parse() reads the expanded ones."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """`test` as in an image config: NONE, or CMD or CMD-SHELL and its words; 0 is the default."""

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Onbuild(Instruction):
    """`expression` is what the image config's OnBuild holds; `trigger` the same, parsed."""

    expression: str
    trigger: Instruction
