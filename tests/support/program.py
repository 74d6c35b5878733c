"""The rl program under test, with a store, a runtime directory and a home of its own."""

import json
import os
import re
import subprocess
import sys
import uuid
from typing import Any

from support import traces
from support.needs import SEARCH_PATH
from support.terminal import Terminal

BUSYBOX = "docker.io/library/busybox:latest"
CODE = re.compile(r"\[(RL-[A-Z0-9-]+)\]")


def program() -> str:
    """Path of the rl of the virtual environment that runs the tests."""
    return os.path.join(os.path.dirname(sys.executable), "rl")


class Rl:
    """Runs rl as a user would, in `root`: its home, store and runtime directory.

    `run` checks the exit status and shows what was printed if it is another.
    """

    def __init__(self, root: str, worker: str) -> None:
        self.root = root
        self.worker = worker
        self.store = f"{root}/store"
        self.runtime = f"{root}/run"
        self.home = f"{root}/home"
        for directory in (self.store, self.runtime, self.home, f"{root}/tmp"):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        self.env = {
            "HOME": self.home,
            "PATH": SEARCH_PATH,
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "TMPDIR": f"{root}/tmp",
            "XDG_RUNTIME_DIR": self.runtime,
            "RL_STORE": self.store,
            traces.MARKER: worker,
        }

    def environment(self, changes: dict[str, str | None] | None = None) -> dict[str, str]:
        """The environment of the program; a change to None takes a variable away."""
        env: dict[str, str | None] = {**self.env, **(changes or {})}
        return {name: value for name, value in env.items() if value is not None}

    def run(
        self,
        *args: str,
        status: int = 0,
        check: bool = True,
        input: str | None = None,
        env: dict[str, str | None] | None = None,
        timeout: float = 60,
        **options: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run `rl ARGS…`; with `check`, its exit status must be `status`."""
        if input is None:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            [program(), *args],
            env=self.environment(env),
            input=input,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=timeout * traces.PATIENCE,
            **options,
        )
        if check and done.returncode != status:
            raise AssertionError(
                f"rl {' '.join(args)}: status {done.returncode}, not {status}\n"
                f"--- stdout\n{done.stdout}--- stderr\n{done.stderr}"
            )
        return done

    def out(self, *args: str, **options: Any) -> str:
        """Standard output of a run, without the last line feed."""
        return self.run(*args, **options).stdout.rstrip("\n")

    def fails(self, *args: str, status: int = 125, code: str = "", **options: Any) -> str:
        """Run what must fail: one line on stderr with a code; returns that line."""
        done = self.run(*args, status=status, **options)
        lines = [line for line in done.stderr.splitlines() if line]
        assert "Traceback" not in done.stderr, done.stderr
        errors = [line for line in lines if line.startswith("Error: ")]
        assert len(errors) == 1, f"one line says what went wrong:\n{done.stderr}"
        found = CODE.search(errors[0])
        assert found, f"the error has no code: {errors[0]}"
        assert not code or found.group(1).startswith(code), f"not {code}: {errors[0]}"
        return errors[0]

    def popen(
        self, *args: str, env: dict[str, str | None] | None = None, **options: Any
    ) -> subprocess.Popen[str]:
        """Start `rl ARGS…` with pipes; the caller ends it (or the test's cleanup does)."""
        options.setdefault("stdin", subprocess.PIPE)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([program(), *args], env=self.environment(env), text=True, **options)

    def pty(self, *args: str, rows: int = 24, columns: int = 80) -> Terminal:
        """Start `rl ARGS…` on a terminal of its own."""
        return Terminal([program(), *args], self.environment(), rows=rows, columns=columns)

    def name(self, prefix: str = "c") -> str:
        """A container name that nothing else has."""
        return f"{prefix}-{uuid.uuid4().hex[:10]}"

    def start(self, *args: str, image: str = "busybox", command: str = "") -> str:
        """`rl run -d ARGS… IMAGE sh -c COMMAND` (it sleeps without one); the container's ID."""
        script = command or "trap exit TERM; sleep 1000 & wait"
        return self.out("run", "-d", "--network", "none", *args, image, "sh", "-c", script)

    def inspect(self, name: str) -> dict[str, Any]:
        """The one object that `rl inspect NAME` gives."""
        objects = json.loads(self.out("inspect", name))
        assert len(objects) == 1
        return dict(objects[0])

    def running(self, name: str) -> bool:
        return bool(self.inspect(name)["State"]["Running"])

    def wait_log(self, name: str, text: str, timeout_s: float = 15) -> str:
        """Wait until `text` is in the container's log; return the whole log."""

        def look() -> str:
            log = self.run("logs", name).stdout
            return log if text in log else ""

        return str(traces.wait_until(look, timeout_s, f"{text!r} in the log of {name}"))

    def remove_containers(self) -> None:
        """Remove every container of this store, running or not."""
        if traces.entries(f"{self.store}/containers") - {"by-name", "lock"}:
            names = self.run("ps", "-aq", "--no-trunc", check=False).stdout.split()
            if names:
                self.run("rm", "-f", *names, check=False)
