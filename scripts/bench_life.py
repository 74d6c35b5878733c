"""Rows of scripts/bench about a container's life: start and stop, many, and much output."""

import subprocess
import time
from typing import Any

MANY = 20
OUTPUT_MIB = 200
ROWS = {
    "start-stop": ("start and stop -t 0", 0.5),
    "many-one-by-one": (f"run -d of {MANY}, one by one", 0.5),
    "many-at-once": (f"run -d of {MANY} at once", 0.6),
    "run-network": ("run --rm on a network with a name", 0.5),
    "output": (f"run, {OUTPUT_MIB} MiB of lines, logged", 1.0),
}


def time_row(tool: Any, row: str) -> float:
    """Milliseconds of one run of `row` with `tool` (scripts/bench's Tool)."""
    return {
        "start-stop": _start_stop,
        "many-one-by-one": _one_by_one,
        "many-at-once": _at_once,
        "run-network": _on_network,
        "output": _output,
    }[row](tool)


def _start_stop(tool: Any) -> float:
    tool.run("create", "--name", "life", "bench", "sleep", "1000")
    try:
        took: float = tool.time("start", "life")
        took += tool.time("stop", "-t", "0", "life")
    finally:
        tool.remove("life")
    return took


def _names() -> list[str]:
    return [f"many-{number}" for number in range(MANY)]


def _words(name: str) -> tuple[str, ...]:
    return ("run", "-d", "--name", name, "bench", "sleep", "1000")


def _one_by_one(tool: Any) -> float:
    try:
        return float(sum(tool.time(*_words(name)) for name in _names()))
    finally:
        tool.remove(*_names())


def _at_once(tool: Any) -> float:
    begin = time.perf_counter()
    started = [
        subprocess.Popen(
            [tool.program, *_words(name)], env=tool.env, stdin=tool.null, stdout=tool.null,
            stderr=tool.errors,
        )
        for name in _names()
    ]  # fmt: skip
    failed = [process.args for process in started if process.wait()]
    took = (time.perf_counter() - begin) * 1000
    tool.remove(*_names())
    if failed:
        raise RuntimeError(f"{tool.name}: {failed[0]} failed")
    return took


def _on_network(tool: Any) -> float:
    """With another container on it, so that its bridge is there."""
    tool.run("network", "create", "bench-net")
    try:
        tool.run("run", "-d", "--name", "life", "--network", "bench-net", "bench", "sleep", "1000")
        return float(tool.time("run", "--rm", "--network", "bench-net", "bench", "true"))
    finally:
        tool.remove("life")
        tool.run("network", "rm", "bench-net")


def _output(tool: Any) -> float:
    script = f"yes 'a line of output as programs write it, 60 bytes' | head -c {OUTPUT_MIB}m"
    try:
        return float(
            tool.time("run", "--network", "none", "--name", "life", "bench", "sh", "-c", script)
        )
    finally:
        tool.remove("life")
