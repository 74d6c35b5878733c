"""`rl login`: credentials asked for, tried, and kept."""

import os
import sys

from rootless import log
from rootless.context import Context
from rootless.errors import RegistryError, UsageError
from rootless.registry import login
from rootless.registry.credentials import Credentials

_PASSWORD_MAX = 1 << 16  # bytes; some tokens are documents


def main(ctx: Context, values: dict[str, object]) -> int:
    """Try the credentials with the registry `server` and keep them when it takes them."""
    target = login.server(str(values["server"] or ""))
    tls_verify = values["tls_verify"] is not False
    _check_options(values)
    known = login.stored(ctx, target) if not values["username"] else None
    if known is not None and values["password"] is None and not values["password_stdin"]:
        shown = f" [Username: {known.username}]" if known.username else ""
        print(f"Authenticating with existing credentials...{shown}", flush=True)
        try:
            login.check(ctx, target, known, tls_verify=tls_verify)
        except RegistryError as e:
            if e.code != "RL-REGISTRY-UNAUTHORIZED" or not sys.stdin.isatty():
                raise
            log.note("they are not valid any more")
        else:
            print("Login Succeeded")
            return 0
    given = _ask(values, known.username if known is not None else "")
    kept = login.check(ctx, target, given, tls_verify=tls_verify)
    path = login.save(ctx, target, kept)
    if path:
        log.warning(
            f"your credentials are stored unencrypted in {path}; a credential helper "
            "(credsStore there) keeps them better"
        )
    print("Login Succeeded")
    return 0


def _check_options(values: dict[str, object]) -> None:
    if values["password"] is not None and values["password_stdin"]:
        raise UsageError("--password and --password-stdin are mutually exclusive")
    if values["password_stdin"] and not values["username"]:
        raise UsageError("must provide --username with --password-stdin")
    if values["password"] is not None:
        log.warning("--password shows the password to others on this host; use --password-stdin")


def _ask(values: dict[str, object], usual: str) -> Credentials:
    """User and password from the options, standard input, or whoever sits at the terminal."""
    username = str(values["username"] or "")
    secret = values["password"]
    if values["password_stdin"]:
        secret = sys.stdin.buffer.read(_PASSWORD_MAX).decode(errors="surrogateescape")
        secret = secret.rstrip("\r\n")
    if (not username or secret is None) and not os.isatty(0):
        raise UsageError(
            "cannot perform an interactive login from a non TTY device",
            remedy="give --username and --password-stdin",
        )
    if not username:
        shown = f" ({usual})" if usual else ""
        sys.stderr.write(f"Username{shown}: ")
        sys.stderr.flush()
        username = sys.stdin.readline().strip() or usual
    if secret is None:
        import getpass

        secret = getpass.getpass("Password: ")
    for what, value in (("user name", username), ("password", secret)):
        if not value:
            raise UsageError(f"the {what} is empty", remedy="log in with both")
    if ":" in username:
        raise UsageError(f"the user name {username!r} has a colon", remedy="it cannot have one")
    return Credentials(username, str(secret))
