"""--format: Go's template language as far as Docker's users use it.  Warm.

    Template("{{.ID}}: {{json .State}}").render(row)
    output_format("table {{.ID}}\\t{{.Names}}")

Records are dictionaries; a callable in one is a method ({{.Label "x"}}).  Not there: define,
template, block, and methods of Go's own types.
"""

from rootless.cli.output import table
from rootless.cli.template_functions import (
    FUNCTIONS,
    HEADING_FUNCTIONS,
    NO_VALUE,
    Map,
    show,
    to_json,
    truth,
)
from rootless.cli.template_parse import error, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rootless.cli.template_parse import Node, Operand, Pipe

__all__ = ("Map", "Template", "render_rows")


class _Leave(Exception):
    """{{break}} and {{continue}} on their way to their range."""


class _Break(_Leave):
    pass


class Template:
    """A parsed template.  Raises UsageError RL-FORMAT, here and in render()."""

    __slots__ = ("nodes", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.nodes = parse(text)

    def render(
        self, value: "Any", functions: "Mapping[str, Callable[..., Any]]" = FUNCTIONS
    ) -> str:
        """The text for one value."""
        run = _Run(self.text, value, functions)
        run.nodes(self.nodes, value)
        return "".join(run.out)


def render_rows(
    form: str, rows: "Sequence[Mapping[str, Any]]", headings: "Mapping[str, str]"
) -> str:
    """What a list command prints with --format `form`: json, a template, or `table` and one.

    `headings`: field -> heading.  In a table, `\\t` and `\\n` may be written as such.
    """
    if form == "json":
        return "".join(f"{to_json(row)}\n" for row in rows)
    is_table = form == "table" or form.startswith(("table ", "table\\t", "table\t"))
    text = (form[5:] if is_table else form).strip(" \t\n")
    template = Template(text.replace("\\t", "\t").replace("\\n", "\n"))
    lines = [template.render(row) for row in rows]
    if not is_table:
        return "".join(f"{line}\n" for line in lines)
    lines.insert(0, template.render(headings, HEADING_FUNCTIONS))
    return table(line.split("\t") for line in lines)


class _Run:
    """One execution: the output so far, and the variables."""

    def __init__(
        self, text: str, root: "Any", functions: "Mapping[str, Callable[..., Any]]"
    ) -> None:
        self.text = text
        self.functions = functions
        self.variables: list[list[Any]] = [["$", root]]
        self.out: list[str] = []

    def nodes(self, nodes: "list[Node]", dot: "Any") -> None:
        """Execute nodes; variables declared in them end with them."""
        depth = len(self.variables)
        for node in nodes:
            kind = node[0]
            if kind == "text":
                self.out.append(node[1])
            elif kind == "print":
                value = self.pipe(node[1], dot)
                if not node[1][0]:  # a declaration prints nothing
                    self.out.append(show(value))
            elif kind == "range":
                self.range(node, dot)
            elif kind == "break":
                raise _Break
            elif kind == "continue":
                raise _Leave
            else:
                inner = len(self.variables)
                value = self.pipe(node[1], dot)
                branch = node[2] if truth(value) else node[3]
                new_dot = value if kind == "with" and truth(value) else dot
                self.nodes(branch, new_dot)
                del self.variables[inner:]
        del self.variables[depth:]

    def range(self, node: "Node", dot: "Any") -> None:
        _, (names, declares, commands), body, otherwise = node
        value = self.pipe(([], False, commands), dot)
        if isinstance(value, dict):
            pairs = sorted((k, v) for k, v in value.items() if not callable(v))
        elif isinstance(value, list | tuple):
            pairs = list(enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs = [(n, n) for n in range(value)]
        elif value is None:
            pairs = []
        else:
            raise error(self.text, commands[0][0][3], f"range over {show(value)}")
        depth = len(self.variables)
        for key, one in pairs:
            # One variable is the value; of two, the first is the key or index.
            for name, its in zip(names, (key, one) if len(names) > 1 else (one,), strict=False):
                self.set(name, its, declares)
            try:
                self.nodes(body, one)
            except _Break:
                break
            except _Leave:
                pass
            finally:
                del self.variables[depth:]
        if not pairs:
            self.nodes(otherwise, dot)

    def set(self, name: str, value: "Any", declares: bool) -> None:
        if not declares:
            for variable in reversed(self.variables):
                if variable[0] == name:
                    variable[1] = value
                    return
        self.variables.append([name, value])

    def pipe(self, pipe: "Pipe", dot: "Any") -> "Any":
        names, declares, commands = pipe
        extra: list[Any] = []
        for command in commands:
            extra = [self.command(command, dot, extra)]
        if names:
            self.set(names[0], extra[0], declares)
        return extra[0]

    def command(self, command: "list[Operand]", dot: "Any", extra: "list[Any]") -> "Any":
        """The value of one command; `extra` holds what was piped into it."""
        first = command[0]
        kind, name, _, position = first
        if kind == "function" and name in ("and", "or"):
            return self.logic(name, command, dot, extra)
        if kind == "function":
            function = self.functions.get(name)
            if function is None:
                raise error(self.text, position, f"there is no function {name}")
            arguments = [self.operand(one, dot) for one in command[1:]] + extra
            return self.apply(name, function, arguments, position)
        value = self.operand(first, dot, callable_too=True)
        arguments = [self.operand(one, dot) for one in command[1:]] + extra
        if callable(value):
            return self.apply(first[2][-1], value, arguments, position)
        if arguments:
            raise error(self.text, position, "a value takes no arguments")
        return value

    def apply(
        self, name: str, function: "Callable[..., Any]", arguments: "list[Any]", position: int
    ) -> "Any":
        try:
            return function(*arguments)
        except (TypeError, ValueError) as e:
            why = str(e)
            if "positional argument" in why:
                why = f"{name} got {len(arguments)} arguments"
            raise error(self.text, position, why) from e

    def logic(self, name: str, command: "list[Operand]", dot: "Any", extra: "list[Any]") -> "Any":
        """and, or: the first value that decides; the later ones are not looked at."""
        value: Any = None
        if len(command) + len(extra) < 2:
            raise error(self.text, command[0][3], f"{name} needs a value")
        for one in command[1:]:
            value = self.operand(one, dot)
            if truth(value) == (name == "or"):
                return value
        return extra[0] if extra else value

    def operand(self, operand: "Operand", dot: "Any", *, callable_too: bool = False) -> "Any":
        kind, value, fields, position = operand
        if kind == "literal":
            return value
        if kind == "dot":
            value = dot
        elif kind == "variable":
            value = self.variable(value, position)
        elif kind == "pipe":
            value = self.pipe(value, dot)
        else:
            function = self.functions.get(value)
            if function is None:
                raise error(self.text, position, f"there is no function {value}")
            return self.apply(value, function, [], position)
        for name in fields:
            value = self.field(value, name, position)
        if callable(value) and not callable_too:
            return self.apply(fields[-1], value, [], position)
        return value

    def variable(self, name: str, position: int) -> "Any":
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise error(self.text, position, f"there is no variable {name}")

    def field(self, value: "Any", name: str, position: int) -> "Any":
        if isinstance(value, dict):
            if name in value:
                return value[name]
            if isinstance(value, Map):
                return None
            raise error(self.text, position, f"there is no field {name}")
        if value is None:
            raise error(self.text, position, f"field {name} of nothing ({NO_VALUE})")
        raise error(self.text, position, f"{show(value)!r} has no field {name}")
