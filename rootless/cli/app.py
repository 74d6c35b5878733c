"""The Typer application: help, completion, and every message about a wrong command line.

Lazy: `rl --help` imports no command, `rl run --help` one.  The tables below are the source of
cli/_table.py (scripts/generate_cli_table.py).
"""

import sys
from typing import Annotated, Any

import typer
from typer import _click as click
from typer.core import TyperGroup

from rootless.cli.output import cannot_write
from rootless.errors import RlError, UsageError

# Command -> (module in rootless.cli.commands, section of the help, summary), in order of the help.
# A name of two words is a command of a group alone.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("run", "Containers", "Make a container of an image and run a command in it"),
    "exec": ("exec", "Containers", "Run a command in a running container"),
    "ps": ("ps", "Containers", "List containers"),
    "logs": ("logs", "Containers", "Show what a container has written"),
    "create": ("create", "Containers", "Make a container without starting it"),
    "start": ("start", "Containers", "Start stopped or created containers"),
    "attach": ("attach", "Containers", "Attach to a running container"),
    "stop": ("stop", "Containers", "Stop containers, gently at first"),
    "restart": ("restart", "Containers", "Stop containers, if they run, and start them again"),
    "kill": ("kill", "Containers", "Send a signal to containers"),
    "pause": ("pause", "Containers", "Stop the processes of containers for a while"),
    "unpause": ("unpause", "Containers", "Let paused containers go on"),
    "update": ("update", "Containers", "Change the limits and the restart policy of containers"),
    "rename": ("rename", "Containers", "Give a container another name"),
    "rm": ("rm", "Containers", "Remove containers"),
    "wait": ("wait", "Containers", "Wait until containers have ended and print their exit codes"),
    "cp": ("cp", "Containers", "Copy files between a container and the host"),
    "diff": ("diff", "Containers", "Show what a container has changed in its file system"),
    "commit": ("commit", "Containers", "Make an image of what a container has changed"),
    "export": ("export", "Containers", "Write a container's file system as a tar archive"),
    "snapshot": ("snapshot", "Containers", "Keep what a container has written, to go back to it"),
    "snapshots": ("snapshots", "Containers", "List the snapshots of containers"),
    "rollback": ("rollback", "Containers", "Undo what a container has written since a snapshot"),
    "fork": ("fork", "Containers", "Make a container like another one, with all it has written"),
    "port": ("port", "Containers", "List the published ports of a container"),
    "healthcheck run": ("healthcheck_run", "Containers", "Ask a container now how it is"),
    "top": ("top", "Containers", "List the processes of a container"),
    "stats": ("stats", "Containers", "Show what containers use"),
    "container prune": ("container_prune", "Containers", "Remove all containers that do not run"),
    "build": ("build", "Images", "Make an image as a Dockerfile says"),
    "pull": ("pull", "Images", "Get images from a registry"),
    "push": ("push", "Images", "Send an image to a registry"),
    "images": ("images", "Images", "List images"),
    "history": ("history", "Images", "Show what an image was made of"),
    "rmi": ("rmi", "Images", "Remove images"),
    "image prune": ("image_prune", "Images", "Remove images that nothing uses"),
    "image diff": ("image_diff", "Images", "Show which files differ between two images"),
    "image layers": ("image_layers", "Images", "Show what each layer of an image adds"),
    "image mount": ("image_mount", "Images", "Run a command where the files of an image are"),
    "image tree": ("image_tree", "Images", "Show the layers of an image as a tree"),
    "search": ("search", "Images", "Look for images in a registry"),
    "image publish": (
        "image_publish",
        "Images",
        "Put images into a read-only store for other users",
    ),
    "image unpublish": (
        "image_unpublish",
        "Images",
        "Take images out of a store that other users read",
    ),
    "builder prune": ("builder_prune", "Images", "Remove what builds have kept"),
    "tag": ("tag", "Images", "Give an image more names"),
    "untag": ("untag", "Images", "Take names from an image"),
    "save": ("save", "Images", "Write images into an archive"),
    "load": ("load", "Images", "Get images from an archive"),
    "import": ("import_image", "Images", "Make an image of a root file system in a tar archive"),
    "bootstrap": ("bootstrap", "Images", "Make a base image on this machine, without a registry"),
    "manifest add": ("manifest_add", "Images", "Put images into a manifest list"),
    "manifest annotate": ("manifest_annotate", "Images", "Say what a member is made for"),
    "manifest create": ("manifest_create", "Images", "Begin an image for several platforms"),
    "manifest exists": ("manifest_exists", "Images", "Whether there is a manifest list"),
    "manifest inspect": ("manifest_inspect", "Images", "Show a manifest list or a manifest"),
    "manifest ls": ("manifest_ls", "Images", "List the manifest lists of the store"),
    "manifest push": ("manifest_push", "Images", "Send a manifest list and its images"),
    "manifest remove": ("manifest_remove", "Images", "Take images out of a manifest list"),
    "manifest rm": ("manifest_rm", "Images", "Forget manifest lists"),
    "login": ("login", "Images", "Log in to a registry"),
    "logout": ("logout", "Images", "Forget the credentials for a registry"),
    "volume create": ("volume_create", "Volumes", "Make a volume"),
    "volume ls": ("volume_ls", "Volumes", "List volumes"),
    "volume inspect": ("volume_inspect", "Volumes", "Show everything about volumes"),
    "volume rm": ("volume_rm", "Volumes", "Remove volumes that no container has"),
    "volume prune": ("volume_prune", "Volumes", "Remove all volumes that no container has"),
    "volume export": ("volume_export", "Volumes", "Write a volume's files as a tar archive"),
    "volume import": ("volume_import", "Volumes", "Put the files of a tar archive into a volume"),
    "network create": ("network_create", "Networks", "Make a network with a name"),
    "network ls": ("network_ls", "Networks", "List networks"),
    "network inspect": ("network_inspect", "Networks", "Show everything about networks"),
    "network rm": ("network_rm", "Networks", "Remove networks that no container has"),
    "network connect": ("network_connect", "Networks", "Put a container on a network, too"),
    "network disconnect": ("network_disconnect", "Networks", "Take a container off a network"),
    "network log": ("network_log", "Networks", "Show what --egress has refused or written down"),
    "network prune": ("network_prune", "Networks", "Remove all networks that no container has"),
    "secret create": ("secret_create", "Secrets", "Keep a secret for containers"),
    "secret ls": ("secret_ls", "Secrets", "List secrets"),
    "secret inspect": ("secret_inspect", "Secrets", "Show what is known of secrets"),
    "secret exists": ("secret_exists", "Secrets", "Say by the exit status if there is one"),
    "secret rm": ("secret_rm", "Secrets", "Remove secrets"),
    "system generate": ("system_generate", "Boot", "Write a unit of systemd for a container"),
    "system autostart": ("system_autostart", "Boot", "Start at boot what --restart promises"),
    "quadlet install": ("quadlet_install", "Boot", "Install containers described in files"),
    "quadlet list": ("quadlet_list", "Boot", "List the installed quadlets"),
    "quadlet print": ("quadlet_print", "Boot", "Show the unit that a quadlet becomes"),
    "quadlet start": ("quadlet_start", "Boot", "Start quadlets, and first what they need"),
    "quadlet stop": ("quadlet_stop", "Boot", "Stop quadlets"),
    "quadlet rm": ("quadlet_rm", "Boot", "Forget installed quadlets"),
    "inspect": (
        "inspect",
        "Information",
        "Show everything about containers, images, volumes and networks",
    ),
    "doctor": ("doctor", "Information", "Say what this host can do, and what to ask its admin for"),
    "explain": ("explain", "Information", "Explain an error code"),
    "setup": ("setup", "Information", "Fetch programs that this machine lacks, without root"),
    "events": ("events", "Information", "Show what happens to containers, images and volumes"),
    "info": ("info", "Information", "Show the store and how containers will run here"),
    "system check": ("system_check", "Information", "Compare the store with its digests"),
    "system df": ("system_df", "Information", "Show what takes space in the store"),
    "system prune": ("system_prune", "Information", "Remove all that nothing uses"),
    "system reset": ("system_reset", "Information", "Remove the store with all that is in it"),
    "unshare": (
        "unshare",
        "Information",
        "Run a command of this machine with the IDs that containers have",
    ),
    "version": ("version", "Information", "Show the versions of rl and what it stands on"),
}

# Docker's older and second names.
ALIASES: dict[str, str] = {}

_CONTAINER = (
    "attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs", "pause", "port",
    "rename", "restart", "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait",
)  # fmt: skip

# Docker's management commands: group -> subcommand -> (command, values that it implies).
GROUPS: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "builder": {"build": ("build", {}), "prune": ("builder prune", {})},
    "buildx": {"build": ("build", {}), "prune": ("builder prune", {})},
    "container": {
        **{name: (name, {}) for name in _CONTAINER},
        "inspect": ("inspect", {"type": "container"}),
        "list": ("ps", {}),
        "ls": ("ps", {}),
        "prune": ("container prune", {}),
        "ps": ("ps", {}),
        "remove": ("rm", {}),
    },
    "healthcheck": {"run": ("healthcheck run", {})},
    "image": {
        "build": ("build", {}),
        "diff": ("image diff", {}),
        "history": ("history", {}),
        "import": ("import", {}),
        "inspect": ("inspect", {"type": "image"}),
        "layers": ("image layers", {}),
        "list": ("images", {}),
        "load": ("load", {}),
        "ls": ("images", {}),
        "mount": ("image mount", {}),
        "pull": ("pull", {}),
        "prune": ("image prune", {}),
        "publish": ("image publish", {}),
        "push": ("push", {}),
        "remove": ("rmi", {}),
        "rm": ("rmi", {}),
        "save": ("save", {}),
        "search": ("search", {}),
        "tag": ("tag", {}),
        "tree": ("image tree", {}),
        "unpublish": ("image unpublish", {}),
        "untag": ("untag", {}),
    },
    "manifest": {
        name: (f"manifest {name}", {})
        for name in ("add", "annotate", "create", "exists", "inspect", "ls", "push", "remove", "rm")
    },
    "network": {
        "connect": ("network connect", {}),
        "create": ("network create", {}),
        "disconnect": ("network disconnect", {}),
        "inspect": ("network inspect", {}),
        "list": ("network ls", {}),
        "log": ("network log", {}),
        "ls": ("network ls", {}),
        "prune": ("network prune", {}),
        "remove": ("network rm", {}),
        "rm": ("network rm", {}),
    },
    "quadlet": {
        "install": ("quadlet install", {}),
        "list": ("quadlet list", {}),
        "ls": ("quadlet list", {}),
        "print": ("quadlet print", {}),
        "remove": ("quadlet rm", {}),
        "rm": ("quadlet rm", {}),
        "start": ("quadlet start", {}),
        "stop": ("quadlet stop", {}),
    },
    "system": {
        "autostart": ("system autostart", {}),
        "check": ("system check", {}),
        "df": ("system df", {}),
        "events": ("events", {}),
        "generate": ("system generate", {}),
        "info": ("info", {}),
        "prune": ("system prune", {}),
        "reset": ("system reset", {}),
    },
    "secret": {
        "create": ("secret create", {}),
        "exists": ("secret exists", {}),
        "inspect": ("secret inspect", {}),
        "list": ("secret ls", {}),
        "ls": ("secret ls", {}),
        "remove": ("secret rm", {}),
        "rm": ("secret rm", {}),
    },
    "volume": {
        "create": ("volume create", {}),
        "export": ("volume export", {}),
        "import": ("volume import", {}),
        "inspect": ("volume inspect", {}),
        "list": ("volume ls", {}),
        "ls": ("volume ls", {}),
        "prune": ("volume prune", {}),
        "remove": ("volume rm", {}),
        "rm": ("volume rm", {}),
    },
}
_GROUP_SUMMARIES = {
    "builder": "Commands about builds",
    "buildx": "Commands about builds, as docker buildx names them",
    "container": "Commands about containers",
    "healthcheck": "Commands about health checks",
    "image": "Commands about images",
    "manifest": "Commands about manifest lists: images for several platforms",
    "quadlet": "Commands about quadlets: containers described as units of systemd are",
    "system": "Commands about rl as a whole",
    "network": "Commands about networks",
    "secret": "Commands about secrets",
    "volume": "Commands about volumes",
}


def load_command(name: str) -> click.Command:
    """Import the declaration of one command and make Typer's command of it."""
    module = f"rootless.cli.commands.{COMMANDS[name][0]}"
    __import__(module)
    command = typer.main.get_command(sys.modules[module].app)
    command.name = name
    return command


class _Group(TyperGroup):
    """A group that imports a command when it is asked for by name."""

    table: dict[str, str]  # subcommand -> command; set by whoever makes the group

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self.table.get(cmd_name) or ALIASES.get(cmd_name)
        return load_command(name) if name else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            raise _unknown(ctx.command_path, args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> "list[click.shell_completion.CompletionItem]":
        """Names and summaries, without importing the commands."""
        items = [
            click.shell_completion.CompletionItem(name, help=self.summary(name))
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def summary(self, name: str) -> str:
        return COMMANDS[self.table[name]][2]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(name)) for name in self.table])


class RootGroup(_Group):
    """`rl` itself."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.table = {name: name for name in COMMANDS if " " not in name}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table, *GROUPS]

    def summary(self, name: str) -> str:
        return _GROUP_SUMMARIES[name] if name in GROUPS else COMMANDS[name][2]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return make_group(cmd_name) if cmd_name in GROUPS else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (_, section, summary) in COMMANDS.items():
            if name in self.table:
                sections.setdefault(section, []).append((name, summary))
        sections["Management"] = list(_GROUP_SUMMARIES.items())
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


def make_group(name: str) -> _Group:
    """One of Docker's management commands."""
    group = _Group(
        name=name,
        help=_GROUP_SUMMARIES[name] + ".",
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.table = {sub: command for sub, (command, _) in GROUPS[name].items()}
    return group


def _print_version(value: bool) -> None:
    if value:
        from rootless import __version__

        typer.echo(f"rl version {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            "-v",
            help="Print the version and leave.",
            callback=_print_version,
            is_eager=True,
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", "-D", help="Show tracebacks, as RL_DEBUG=1 does.")
    ] = False,
) -> int:
    """Containers for people without root.

    The commands, their flags, output and exit codes are Docker's.
    """
    return 0


def make_app() -> click.Command:
    """The root command."""
    app = typer.Typer(
        name="rl",
        cls=RootGroup,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="'rl COMMAND --help' tells more about a command.",
    )
    app.callback()(root)
    return typer.main.get_command(app)


def main(words: list[str], debug: bool = False) -> int:
    """Let Typer parse `words` and run them; raises UsageError for what it does not like."""
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    command = make_app()
    try:
        status = command.main(args=words, prog_name="rl", standalone_mode=False, obj=debug)
    except click.exceptions.NoArgsIsHelpError as e:
        if e.ctx.parent is None:
            typer.echo(e.ctx.get_help())
            return 0
        raise UsageError(
            f"{e.ctx.command_path} needs a command", remedy=f"see {e.ctx.command_path} --help"
        ) from e
    except click.exceptions.UsageError as e:
        raise _usage_error(e, words) from e
    except click.exceptions.ClickException as e:
        raise UsageError(e.format_message()) from e
    except typer.Abort as e:
        raise KeyboardInterrupt from e
    except OSError as e:
        if "--help" in words and e.filename is None and not isinstance(e, BrokenPipeError):
            raise cannot_write(e) from e
        raise
    return status if isinstance(status, int) else 0


def _usage_error(e: click.exceptions.UsageError, words: list[str]) -> RlError:
    path = e.ctx.command_path if e.ctx is not None else _path(words)
    text = e.format_message().rstrip(".")
    if isinstance(e, click.exceptions.NoSuchOption):
        from rootless.cli import refused

        refusal = refused.find(path, e.option_name)
        if refusal is not None:
            return refusal
        text = f"unknown option {e.option_name}"
        if e.ctx is not None:
            flags = [flag for param in e.ctx.command.get_params(e.ctx) for flag in param.opts]
            text += _suggestion(e.option_name, flags)
    elif isinstance(e, click.exceptions.MissingParameter) and e.param is not None:
        text = f"{e.param.human_readable_name} is missing"
    else:
        text = text[:1].lower() + text[1:]
    return UsageError(text, remedy=f"see {path} --help")


def _path(words: list[str]) -> str:
    """`rl`, `rl run` or `rl container run`, whatever `words` begin with."""
    if words[:1] and words[0] in GROUPS:
        return " ".join(("rl", words[0], *(w for w in words[1:2] if w in GROUPS[words[0]])))
    return f"rl {words[0]}" if words[:1] and words[0] in COMMANDS else "rl"


def _unknown(path: str, word: str, names: list[str]) -> UsageError:
    text = f"unknown command: {path} {word}{_suggestion(word, names)}"
    return UsageError(text, remedy=f"see {path} --help")


def _suggestion(word: str, names: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, names, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
