"""What the declarations of the commands share: the Typer class, plain help, and the call of the
action.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer import _click as click
from typer.core import TyperArgument, TyperCommand, TyperOption

from rootless.cli import entry
from rootless.cli.parse import (
    ANY,
    INTEGER,
    LIST,
    MANY,
    MAYBE,
    OFF,
    ON,
    ONE,
    OPTIONAL,
    TEXT,
    normalise,
)

Declaration = TypeVar("Declaration", bound=Callable[..., int])


class RlCommand(TyperCommand):
    """A command whose options are in sections, in plain text: Rich takes 150 ms to import."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options, _ = describe(self)
        return super().parse_args(ctx, normalise(options, self.interspersed, args))

    @property
    def interspersed(self) -> bool:
        """Whether options may follow arguments."""
        return bool(self.context_settings.get("allow_interspersed_args", True))

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """`[OPTIONS] IMAGE [COMMAND] [ARG...]`: the metavars as they are declared."""
        words = [param.metavar or "" for param in self.params if isinstance(param, TyperArgument)]
        return ["[OPTIONS]", *words]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, rows in help_sections(self, ctx).items():
            with formatter.section(title):
                formatter.write_dl(rows)


def help_sections(command: click.Command, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
    """The options of a command for its help: section -> (how it is written, what it does)."""
    sections: dict[str, list[tuple[str, str]]] = {}
    arguments: list[tuple[str, str]] = []
    for param in command.get_params(ctx):
        if getattr(param, "hidden", False):
            continue
        help_text = getattr(param, "help", None) or ""
        if isinstance(param, TyperArgument):
            arguments.append((param.metavar or "", help_text))
            continue
        record = param.get_help_record(ctx)
        if record is not None:
            record = (record[0].replace(" [=", "[="), record[1])
            title = getattr(param, "rich_help_panel", None) or "Options"
            sections.setdefault(title, []).append(record)
    options = sections.pop("Options", [])
    out = {"Arguments": arguments} if any(text for _, text in arguments) else {}
    # What is in no section comes first where nothing else is, else last.
    out.update(sections)
    if options:
        out["Other options" if sections else "Options"] = options
    return out


def declare(
    app: typer.Typer, name: str, *, interspersed: bool = True, epilog: str | None = None
) -> Callable[[Declaration], Declaration]:
    """Decorator: the function declares the command `name`."""
    return app.command(
        name,
        cls=RlCommand,
        epilog=epilog,
        context_settings={
            "allow_interspersed_args": interspersed,
            "help_option_names": ["-h", "--help"],
            "max_content_width": 100,
        },
    )


def option(
    *flags: str,
    help: str,
    section: str | None = None,
    metavar: str | None = None,
    complete: Callable[[str], list[str]] | None = None,
    default: bool = False,
) -> Any:
    """An option of a command, in a section of the help.  `default`: the help shows it.

    A metavar in the form [=FILE] is for a value that may be left out; it is "" then.
    """
    return typer.Option(
        *flags,
        help=help,
        metavar=metavar,
        rich_help_panel=section,
        autocompletion=complete,
        show_default=default,
    )


def argument(
    metavar: str, *, help: str = "", complete: Callable[[str], list[str]] | None = None
) -> Any:
    """An argument of a command; `metavar` is how the usage line shows it."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete, show_default=False)


def make_app() -> typer.Typer:
    """A Typer application that is to hold one command."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def call(ctx: typer.Context) -> int:
    """Run the action of the command that was declared, with the values that Typer found."""
    command, values = values_of(ctx)
    return entry.act(command, values, bool(ctx.find_root().obj))


def values_of(ctx: typer.Context) -> tuple[str, dict[str, object]]:
    """The command, and its values as parse.parse() would give them."""
    words = ctx.command_path.split(" ")[1:]
    command, _, preset = entry.find_command(words)
    values: dict[str, object] = {}
    for param in ctx.command.params:
        if param.name is None or not param.expose_value:
            continue
        value = ctx.params.get(param.name)
        several = param.nargs == -1 or (isinstance(param, TyperOption) and param.multiple)
        values[param.name] = list(value or ()) if several else value
    values.update({key: value for key, value in preset.items() if not values.get(key)})
    return command, values


def describe(
    command: click.Command,
) -> tuple[dict[str, tuple[str, int]], tuple[tuple[str, int], ...]]:
    """The options and arguments of a command, in the form that cli/parse.py takes."""
    options: dict[str, tuple[str, int]] = {}
    arguments: list[tuple[str, int]] = []
    for param in command.params:
        name = param.name
        assert name is not None
        if isinstance(param, TyperArgument):
            many = param.nargs == -1
            kind = (MANY if many else ONE) if param.required else (ANY if many else OPTIONAL)
            arguments.append((name, kind))
        elif isinstance(param, TyperOption) and param.expose_value:
            for flag in param.opts:
                options[flag] = (name, _kind(param))
            for flag in param.secondary_opts:
                options[flag] = (name, OFF)
    return options, tuple(arguments)


def defaults(command: click.Command) -> dict[str, Any]:
    """What the options and arguments are when they are not given."""
    found: dict[str, Any] = {}
    for param in command.params:
        assert param.name is not None
        if isinstance(param, TyperOption) and param.multiple:
            found[param.name] = []
        elif isinstance(param, TyperOption) and param.is_flag:
            found[param.name] = bool(param.default)
        elif not (isinstance(param, TyperArgument) and (param.required or param.nargs == -1)):
            found[param.name] = param.default
    return found


def _kind(option: TyperOption) -> int:
    if option.is_flag:
        return ON
    if option.multiple:
        return LIST
    if (option.metavar or "").startswith("[="):
        return MAYBE
    return INTEGER if option.type.name in ("int", "integer") else TEXT
