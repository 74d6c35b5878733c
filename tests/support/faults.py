"""Commands that are killed, or get an error, at one of their system calls: strace(1), tampering.

The workers of `snapshot` are traced too; those of other commands are not, since they need
newuidmap(1), which has no privilege where it is traced.
"""

import subprocess

from support.program import Rl, program

# What changes a store or a container's mounts.
CHANGES = (
    "rename", "mkdir", "rmdir", "unlink", "unlinkat", "link", "symlink", "chown", "fchown",
    "pivot_root", "move_mount", "umount2", "setns", "kill", "clone",
)  # fmt: skip


def strace(rl: Rl, expression: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `rl WORDS…` with strace's `-e EXPRESSION`; it writes what it has seen to rl.root."""
    command = ["strace", "-o", f"{rl.root}/strace", "-e", expression]
    command += ["-f"] * (words[0] == "snapshot")
    return subprocess.run(
        [*command, program(), *words], env=rl.env, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def points(rl: Rl, *words: str) -> list[tuple[str, int]]:
    """Run a command; the calls of CHANGES that it makes: (name, which of one process' such)."""
    done = strace(rl, f"trace={','.join(f'?{name}' for name in CHANGES)}", *words)
    assert done.returncode == 0, done.stderr
    counts: dict[tuple[str, str], int] = {}
    found = set()
    with open(f"{rl.root}/strace", errors="replace") as file:
        for line in file:
            head, _, call = line.partition(" ")
            pid, call = (head, call) if head.isdecimal() else ("", line)
            name = call.strip().partition("(")[0]
            if name in CHANGES:
                counts[pid, name] = counts.get((pid, name), 0) + 1
                found.add((name, counts[pid, name]))
    return sorted(found)


def killed_at(rl: Rl, point: tuple[str, int], *words: str) -> int:
    """Run a command; each of its processes is killed when it is about to do `point`."""
    name, number = point
    return strace(rl, f"inject={name}:signal=KILL:when={number}", *words).returncode


def failing_at(rl: Rl, point: tuple[str, int], error: str, *words: str) -> str:
    """Run a command in each of whose processes the call `point` fails; what it says."""
    name, number = point
    done = strace(rl, f"inject={name}:error={error}:when={number}", *words)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr
