"""The user's own systemd: whether it is there, whether it starts at boot, and its units.

Cold.  Sources: systemctl(1), loginctl(1), user@.service(5), systemd.unit(5).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

from rootless.context import Context
from rootless.errors import HostError

_TIMEOUT_S = 120
# What says where rl finds its store, its configuration and the programs that it starts.
_VARIABLES = ("PATH", "RL_CONFIG", "RL_STORE", "XDG_CONFIG_HOME", "XDG_DATA_HOME")


def missing(ctx: Context) -> HostError | None:
    """Why the user's systemd cannot be used, with what to do; None when it answers."""
    if shutil.which("systemctl", path=ctx.environ.get("PATH")) is None:
        return _no_systemd(ctx, "there is no systemd here: systemctl was not found")
    if not os.path.isdir("/run/systemd/system"):  # sd_booted(3)
        return _no_systemd(ctx, "this machine was not started by systemd")
    done = _systemctl(ctx, ["show", "--property=Version"])
    if done.returncode != 0:
        user = ctx.user_name()
        return HostError(
            f"your own systemd does not answer: {_reason(done.stderr)}",
            remedy="log in by ssh or on a console (not by su or sudo), or ask the admin for: "
            f"loginctl enable-linger {user}",
            code="RL-BOOT-NO-BUS",
        )
    return None


def _no_systemd(ctx: Context, what: str) -> HostError:
    """cron does it as well; the line has what its short environment would lack."""
    import shlex

    known = {name: value for name, value in environment(ctx).items() if name != "PATH"}
    words = [*(f"{name}={shlex.quote(value)}" for name, value in sorted(known.items()))]
    words += [shlex.quote(word) for word in program(ctx)]
    line = f"@reboot {' '.join(words)} system autostart start".replace("%", "\\%")
    return HostError(
        what,
        remedy=f"put this line into your crontab (crontab -e): {line}",
        code="RL-BOOT-NO-SYSTEMD",
    )


def systemctl(ctx: Context, *words: str) -> str:
    """`systemctl --user WORDS`; what it prints.  Raises HostError RL-BOOT-SYSTEMCTL."""
    done = _systemctl(ctx, list(words))
    if done.returncode != 0:
        raise HostError(
            f"systemctl --user {' '.join(words)} failed: {_reason(done.stderr)}",
            remedy="look at: systemctl --user status, journalctl --user",
            code="RL-BOOT-SYSTEMCTL",
        )
    return done.stdout


def is_on(ctx: Context, question: str, unit: str) -> bool:
    """`systemctl --user is-active UNIT`, or is-enabled."""
    return _systemctl(ctx, [question, "--quiet", unit]).returncode == 0


def property_of(ctx: Context, unit: str, name: str) -> str:
    """One property of a unit, "" where there is none."""
    return _systemctl(ctx, ["show", "--value", f"--property={name}", unit]).stdout.strip()


def _systemctl(ctx: Context, words: list[str]) -> "subprocess.CompletedProcess[str]":
    environ = dict(ctx.environ)
    environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{ctx.uid}")
    return _run(["systemctl", "--user", "--no-pager", *words], environ)


def _run(words: list[str], environ: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            words,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        return subprocess.CompletedProcess(words, 1, "", str(e))


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return "; ".join(lines) or "it says nothing"


def lingers(ctx: Context) -> bool:
    """Whether the user's systemd starts at boot and stays after logout (loginctl(1))."""
    return os.path.exists(f"/var/lib/systemd/linger/{ctx.user_name()}")


def enable_linger(ctx: Context) -> None:
    """Ask logind; polkit lets users do so for themselves on most hosts.

    Raises HostError RL-BOOT-NO-LINGER with what an admin has to run.
    """
    if lingers(ctx):
        return
    user = ctx.user_name()
    done = _run(["loginctl", "--no-ask-password", "enable-linger", user], ctx.environ)
    if done.returncode != 0 or not lingers(ctx):
        raise HostError(
            "your systemd starts at your first login and ends with your last session: "
            f"loginctl enable-linger was refused ({_reason(done.stderr)})",
            remedy=f"ask the admin to run once: loginctl enable-linger {user}",
            code="RL-BOOT-NO-LINGER",
        )


def config_home(ctx: Context) -> str:
    """~/.config, or what XDG_CONFIG_HOME says."""
    given = ctx.environ.get("XDG_CONFIG_HOME", "")
    return given if given.startswith("/") else f"{ctx.home}/.config"


def units(ctx: Context) -> str:
    """The directory of the user's own units."""
    return f"{config_home(ctx)}/systemd/user"


def write_unit(ctx: Context, name: str, text: str) -> str:
    """Put a unit into its place; the path.  systemd reads it at its next daemon-reload."""
    from rootless.store import atomic

    path = f"{units(ctx)}/{name}"
    try:
        os.makedirs(units(ctx), exist_ok=True)
    except OSError as e:
        raise atomic.store_error(e, f"make {units(ctx)}") from e
    atomic.write_bytes(path, text.encode(), 0o644)
    return path


def program(ctx: Context) -> list[str]:
    """The words that start this rl from anywhere: the program of the environment it runs in."""
    beside = os.path.join(os.path.dirname(sys.executable), "rl")
    for path in (os.path.abspath(sys.argv[0]), beside):
        if os.path.basename(path) == "rl" and os.access(path, os.X_OK):
            return [path]
    return [sys.executable, "-m", "rootless.cli.entry"]


def environment(ctx: Context) -> dict[str, str]:
    """The variables without which a unit's rl would be another one than this."""
    return {name: ctx.environ[name] for name in _VARIABLES if ctx.environ.get(name)}
