"""`rl setup`: programs that the host lacks, fetched from its distribution without root."""

from typing import Any

from rootless import log
from rootless.cli.output import table, write
from rootless.context import Context
from rootless.errors import UsageError
from rootless.linux import process
from rootless.runtime import host_helpers

_PROBLEMS = ("newuidmap", "newgidmap")


def main(ctx: Context, values: dict[str, Any]) -> int:
    """Fetch `programs`, or all that are missing; list or remove what was fetched."""
    names = [str(one) for one in values["programs"] or []]
    if values["list"] and values["remove"]:
        raise UsageError("--list and --remove are two things", remedy="give one of them")
    programs = host_helpers.chosen(names)
    if values["list"]:
        write(table([["PROGRAM", "PACKAGE", "VERSION", "IN USE"], *_rows(ctx, programs)]))
        return 0
    if values["remove"]:
        gone = host_helpers.remove(ctx, programs or list(host_helpers.PACKAGES))
        write("".join(f"{package}\n" for package in gone))
        return 0
    missing = [one for one in host_helpers.PACKAGES if not process.find_program(one, ctx.environ)]
    for program in programs or missing:
        log.note(f"fetching {host_helpers.PACKAGES[program]} with apt-get")
        made = host_helpers.fetch(ctx, program)
        path = process.find_program(program, ctx.environ) or ""
        write(f"{program} {made['version']}: {path}\n")
        if not path.startswith(process.helpers_directory(ctx.environ)):
            log.note(f"the host has {program}, and its own goes first")
    if not programs and not missing:
        log.note("nothing is missing that can be fetched; rl setup --list shows what is in use")
    if not programs:
        for name in _PROBLEMS:
            if process.find_program(name, ctx.environ) is None:
                log.note(
                    f"{name} is missing, and works set-user-ID root only: ask the admin for "
                    "apt-get install uidmap"
                )
    return 0


def _rows(ctx: Context, programs: list[str]) -> list[list[str]]:
    there = host_helpers.fetched(ctx)
    rows = []
    for program in programs or list(host_helpers.PACKAGES):
        package = host_helpers.PACKAGES[program]
        version = str(there[package]["version"]) if package in there else "-"
        rows.append([program, package, version, process.find_program(program, ctx.environ) or "-"])
    return rows
