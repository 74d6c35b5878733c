"""--ssh ID=KEY[,KEY…]: an agent for the time of the build, which has these private keys.

ssh-agent and ssh-add of the host do it: key formats are theirs to know.  ssh-add gets a key by
its standard input, so that it is nobody's matter how the file is protected, and nobody is asked
for a passphrase.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rootless.errors import BuildError
from rootless.linux import process, syscalls

if TYPE_CHECKING:
    from rootless.context import Context

KEY_MAX = 100_000  # bytes, as BuildKit
_START_S = 10.0
_REMEDY = "install OpenSSH's client programs, or use the socket of an agent: --ssh default"


@contextmanager
def agent(ctx: "Context", name: str, paths: Sequence[str]) -> Iterator[str]:
    """The socket of an agent with the keys of the files `paths`; it ends with the context, and
    with this process.

    Raises BuildError RL-BUILD-SSH, HostError RL-HOST-SSH.
    """
    keys = [_read(name, path) for path in paths]
    programs = [
        process.need_program(program, ctx.environ, _REMEDY, "RL-HOST-SSH")
        for program in ("ssh-agent", "ssh-add")
    ]
    os.makedirs(ctx.paths.runtime, mode=0o700, exist_ok=True)
    # An address has 108 bytes: the store may be deeper than that.
    directory = tempfile.mkdtemp(prefix="ssh-", dir=ctx.paths.runtime)
    path = f"{directory}/agent"
    started = subprocess.Popen(
        [programs[0], "-D", "-a", path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(ctx.environ),
        preexec_fn=_die_with_parent,
    )
    try:
        _wait(path, started)
        for where, key in zip(paths, keys, strict=True):
            _add(ctx, programs[1], path, where, key)
        yield path
    finally:
        started.kill()
        started.wait()
        shutil.rmtree(directory, ignore_errors=True)


def is_key(path: str) -> bool:
    """Whether --ssh names a file of a key; a socket is an agent's."""
    return os.path.isfile(path)


def _die_with_parent() -> None:
    # ssh-agent is set-group-ID in Debian, which would clear this at its exec; ptrace and the
    # like are what that is for, and no_new_privs leaves the bit out.
    syscalls.prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)


def _read(name: str, path: str) -> bytes:
    try:
        if not is_key(path):
            raise BuildError(
                f"--ssh {name} names {path} beside other paths, and it is no file",
                remedy="give the files of keys, or one socket",
                code="RL-BUILD-SSH",
            )
        with open(path, "rb") as file:
            key = file.read(KEY_MAX + 1)
    except OSError as e:
        raise BuildError(
            f"cannot read the key {path} of --ssh {name}: {e.strerror}",
            remedy="check --ssh",
            code="RL-BUILD-SSH",
        ) from e
    if len(key) > KEY_MAX:
        raise BuildError(
            f"{path} of --ssh {name} is too large for a key",
            remedy="name the file of a private key",
            code="RL-BUILD-SSH",
        )
    return key


def _wait(path: str, started: "subprocess.Popen[bytes]") -> None:
    """Until the agent answers."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and started.poll() is None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(path)
                return
            except OSError:
                time.sleep(0.005)
    raise BuildError(
        "ssh-agent does not start",
        remedy="try it by hand: ssh-agent -D",
        code="RL-BUILD-SSH",
    )


def _add(ctx: "Context", program: str, agent_path: str, where: str, key: bytes) -> None:
    environ = {**ctx.environ, "SSH_AUTH_SOCK": agent_path, "LC_ALL": "C"}
    # Asked for a passphrase it gives up, also where there is a terminal.
    environ |= {"SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ""}
    done = subprocess.run(
        [program, "-q", "-"],
        input=key if key.endswith(b"\n") else key + b"\n",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environ,
        start_new_session=True,  # no terminal to ask on
        check=False,
    )
    if done.returncode == 0:
        return
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if not said or b"ENCRYPTED" in key:  # it says nothing when it is given no passphrase
        raise BuildError(
            f"the key {where} is protected by a passphrase, and a build asks for none",
            remedy="add it to an agent: eval $(ssh-agent); ssh-add KEY; rl build --ssh default",
            code="RL-BUILD-SSH",
        )
    raise BuildError(
        f"cannot use {where} as an SSH key: {said[-1]}",
        remedy="name the file of a private key",
        code="RL-BUILD-SSH",
    )
