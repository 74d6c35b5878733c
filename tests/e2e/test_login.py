"""login and logout, with a real registry that wants a password."""

import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from support.images import Image, tar
from support.program import Rl
from support.registry import PASSWORD, USER, Registry
from support.traces import wait_until


@pytest.fixture
def config(rl: Rl) -> Any:
    """Docker's file of the test's home, gone at the end."""
    path = Path(rl.home, ".docker", "config.json")
    yield path
    path.unlink(missing_ok=True)


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def log_in(rl: Rl, registry: Registry, *more: str, **options: Any) -> Any:
    options.setdefault("input", f"{PASSWORD}\n")
    return rl.run("login", "-u", USER, "--password-stdin", *more, registry.host, **options)


def test_login_lets_pull_and_logout_does_not(
    rl: Rl, private_registry: Registry, config: Path
) -> None:
    reference = private_registry.push("secret/x", Image([tar({"a": "b"})]))
    rl.fails("pull", reference, status=1, code="RL-REGISTRY-UNAUTHORIZED")
    assert log_in(rl, private_registry).stdout == "Login Succeeded\n"
    assert json.loads(config.read_text()) == {
        "auths": {private_registry.host: auth("ann", "secret")}
    }
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert os.listdir(config.parent) == ["config.json"]
    rl.run("pull", reference)
    out = rl.out("logout", private_registry.host)
    assert out == f"Removing login credentials for {private_registry.host}"
    assert rl.out("logout", private_registry.host) == f"Not logged in to {private_registry.host}"
    rl.fails("pull", reference, status=1, code="RL-REGISTRY-UNAUTHORIZED")
    rl.run("rmi", reference)


def test_a_wrong_password_keeps_nothing(rl: Rl, private_registry: Registry, config: Path) -> None:
    done = log_in(rl, private_registry, input="wrong", status=1)
    assert "incorrect username or password" in done.stderr
    assert not config.exists()


def test_login_keeps_the_rest_of_the_file_and_follows_a_link(
    rl: Rl, private_registry: Registry, config: Path, tmp_path: Path
) -> None:
    real = tmp_path / "real.json"
    before = {"detachKeys": "ctrl-q", "auths": {"quay.io": auth("x", "y")}, "proxies": {}}
    real.write_text(json.dumps(before))
    config.parent.mkdir(exist_ok=True)
    config.symlink_to(real)
    log_in(rl, private_registry)
    before["auths"][private_registry.host] = auth("ann", "secret")  # type: ignore[index]
    assert json.loads(real.read_text()) == before
    assert config.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_docker_config_names_the_directory(
    rl: Rl, private_registry: Registry, config: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "elsewhere"
    log_in(rl, private_registry, env={"DOCKER_CONFIG": str(directory)})
    assert private_registry.host in (directory / "config.json").read_text()
    assert not config.exists()


def test_login_again_uses_what_is_kept(rl: Rl, private_registry: Registry, config: Path) -> None:
    rl.run("login", "-u", USER, "-p", PASSWORD, f"http://{private_registry.host}/v2/")
    out = rl.out("login", private_registry.host)
    assert out == "Authenticating with existing credentials... [Username: ann]\nLogin Succeeded"
    config.write_text(json.dumps({"auths": {private_registry.host: auth("ann", "old")}}))
    rl.fails("login", private_registry.host, status=1, code="RL-REGISTRY-UNAUTHORIZED")


def test_login_on_a_terminal_asks(rl: Rl, private_registry: Registry, config: Path) -> None:
    terminal = rl.pty("login", private_registry.host)
    terminal.expect("Username")
    terminal.send("ann\n")
    terminal.expect("Password")
    wait_until(lambda: not terminal.echoes(), what="no echo")
    terminal.send("secret\n")
    terminal.expect("Login Succeeded")
    assert terminal.wait() == 0
    assert private_registry.host in config.read_text()


HELPER = """#!/bin/sh
file={directory}/kept
case $1 in
store) cat > "$file" ;;
get) [ -s "$file" ] || {{ echo "credentials not found in native keychain"; exit 1; }}
    cat "$file" ;;
erase) rm "$file" ;;
esac
"""


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_helper_keeps_the_password(
    rl: Rl, private_registry: Registry, config: Path, tmp_path: Path, key: str
) -> None:
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER.format(directory=tmp_path))
    program.chmod(0o755)
    host = private_registry.host
    config.parent.mkdir(exist_ok=True)
    config.write_text(json.dumps({key: "test" if key == "credsStore" else {host: "test"}}))
    env = {"PATH": f"{tmp_path}:{rl.env['PATH']}"}
    reference = private_registry.push("secret/helped", Image([tar({"a": "c"})]))
    log_in(rl, private_registry, env=env)
    kept = json.loads((tmp_path / "kept").read_text())
    assert kept == {"ServerURL": host, "Username": "ann", "Secret": "secret"}
    assert json.loads(config.read_text())["auths"] == {host: {}}
    rl.run("pull", reference, env=env)
    rl.run("logout", host, env=env)
    assert not (tmp_path / "kept").exists()
    assert json.loads(config.read_text())["auths"] == {}
    rl.run("rmi", reference)


@pytest.mark.parametrize(
    "args",
    [
        ("--password-stdin", "127.0.0.1:1"),
        ("-u", "a", "-p", "b", "--password-stdin", "127.0.0.1:1"),
        ("127.0.0.1:1",),
        ("-u", "a:b", "-p", "c", "127.0.0.1:1"),
        ("-u", "a", "-p", "", "127.0.0.1:1"),
        ("-u", "a", "-p", "b", "no such/host"),
    ],
)
def test_wrong_command_lines(rl: Rl, args: tuple[str, ...]) -> None:
    rl.fails("login", *args, code="RL-USAGE")


def test_login_to_nowhere(rl: Rl, config: Path) -> None:
    rl.fails("login", "-u", "a", "-p", "b", "127.0.0.1:1", status=1, code="RL-REGISTRY-UNREACHABLE")
    assert not config.exists()


def test_a_damaged_file_is_not_overwritten(
    rl: Rl, private_registry: Registry, config: Path
) -> None:
    config.parent.mkdir(exist_ok=True)
    config.write_text("{")
    done = log_in(rl, private_registry, status=1)
    assert "RL-REGISTRY-CREDENTIALS" in done.stderr
    assert config.read_text() == "{"
