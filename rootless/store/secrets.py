"""Secrets: secrets/<name>.json in the store, readable by its owner alone.

    {"id" (25 hex), "name", "labels", "created", "updated" (RFC 3339), "data" (base64)}

The data are in these files and in the memory of containers that are given them, nowhere else.
"""

import binascii
import os

from rootless import ids
from rootless.errors import RlError, StoreError
from rootless.store import atomic, layout
from rootless.store.containers import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.paths import Paths

DATA_MAX = 512000  # bytes; podman's limit


class SecretError(StoreError):
    """A secret does not exist, exists already, or cannot be one."""

    code = "RL-SECRET"


def create(
    ctx: "Context", name: str, data: bytes, labels: "dict[str, str]", *, replace: bool
) -> str:
    """Keep `data` as the secret `name`; its ID.  Raises SecretError."""
    if not ids.is_name(name):
        raise SecretError(
            f"invalid secret name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            remedy="2 to 128 of these characters",
        )
    if not 0 < len(data) <= DATA_MAX:
        raise SecretError(
            f"a secret has 1 to {DATA_MAX} bytes, and this one {len(data)}",
            remedy="mount a larger file with --volume FILE:/run/secrets/NAME:ro",
        )
    layout.prepare(ctx.paths)
    os.makedirs(ctx.paths.secrets, 0o700, exist_ok=True)
    moment = now()
    document = {
        "id": os.urandom(13).hex()[:25],
        "name": name,
        "labels": labels,
        "created": moment,
        "updated": moment,
        "data": binascii.b2a_base64(data, newline=False).decode(),
    }
    path = ctx.paths.secret(name)
    if replace:
        try:
            document["created"] = find(ctx.paths, name)["created"]
        except SecretError:
            pass
        atomic.write_json(path, document)
        return str(document["id"])
    # A link(2) fails where there is one already, a rename would not.
    beside = f"{ctx.paths.secrets}/.{document['id']}"
    atomic.write_json(beside, document)
    try:
        os.link(beside, path)
    except FileExistsError:
        raise SecretError(
            f"the secret {name} exists already",
            remedy="choose another name, or give --replace",
            code="RL-SECRET-EXISTS",
        ) from None
    finally:
        os.unlink(beside)
    return str(document["id"])


def list_all(paths: "Paths") -> "list[dict[str, Any]]":
    """All secrets, by name."""
    try:
        names = sorted(os.listdir(paths.secrets))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        if name.endswith(".json") and not name.startswith("."):
            try:
                found.append(atomic.read_json(f"{paths.secrets}/{name}"))
            except (FileNotFoundError, RlError):
                continue
    return found


def find(paths: "Paths", text: str) -> "dict[str, Any]":
    """The secret of that name, ID or beginning of an ID.  Raises SecretError."""
    if ids.is_name(text):
        try:
            return atomic.read_json(paths.secret(text))
        except FileNotFoundError:
            pass
    matches = [one for one in list_all(paths) if str(one["id"]).startswith(text or "-")]
    if len(matches) != 1:
        raise SecretError(
            f"no such secret: {text}",
            remedy="list them with: rl secret ls",
            code="RL-SECRET-NOT-FOUND",
        )
    return matches[0]


def remove(paths: "Paths", text: str) -> str:
    """Remove a secret; its ID.  Containers that have it keep it until they end."""
    found = find(paths, text)
    try:
        os.unlink(paths.secret(str(found["name"])))
    except FileNotFoundError:
        pass
    return str(found["id"])


def data(secret: "dict[str, Any]") -> bytes:
    """What is secret about it."""
    return binascii.a2b_base64(str(secret["data"]))
