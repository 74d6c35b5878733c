"""What happens to containers, images, volumes and networks: a line each in the store.  Warm.

    {"timeNano":…,"Type":"container","Action":"start","ID":"…","Attributes":{"name":"web"}}

Whoever does something appends its line with one write(2) on O_APPEND, so that lines of several
processes never mix; `rl events` reads and follows the file.  Names and attributes are Docker's.
A line that cannot be written (a full disk) is lost: no command fails for it.
"""

import fcntl
import os
import time

from rootless import fastjson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rootless.paths import Paths
    from rootless.store.containers import Container

SIZE_MAX = 4 << 20  # bytes of the file; the one before it is kept as events.1


def record(
    paths: "Paths", kind: str, action: str, identifier: str, attributes: "Mapping[str, str]"
) -> None:
    """Note that `action` ("start") has happened to the `identifier` of a `kind` ("container")."""
    line = fastjson.dumps(
        {
            "timeNano": time.time_ns(),
            "Type": kind,
            "Action": action,
            "ID": identifier,
            "Attributes": dict(attributes),
        }
    )
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(paths.events, flags, 0o600)
    except OSError:
        return
    try:
        data = f"{line}\n".encode()
        if os.write(fd, data) < len(data):
            os.write(fd, b"\n")  # the disk is full: what comes later begins a line of its own
        if os.fstat(fd).st_size > SIZE_MAX:
            _rotate(paths.events, fd)
    except OSError:
        pass
    finally:
        os.close(fd)


def _rotate(path: str, fd: int) -> None:
    """Begin a new file, once: of several that see it full, the lock's first holder renames."""
    fcntl.flock(fd, fcntl.LOCK_EX)
    if os.stat(path).st_ino == os.fstat(fd).st_ino:
        os.rename(path, f"{path}.1")


def record_container(
    paths: "Paths", container: "Container", action: str, **attributes: str
) -> None:
    """record() for a container, with its image, name and labels as Docker's attributes."""
    config: dict[str, Any] = container.config
    record(
        paths,
        "container",
        action,
        container.id,
        {
            **config.get("labels", {}),
            "image": str(config.get("image", {}).get("reference", "")),
            "name": container.name,
            **attributes,
        },
    )


def record_image(paths: "Paths", action: str, identifier: str, name: str = "") -> None:
    """record() for an image: its ID, or the name that it was asked for by, and its name."""
    record(paths, "image", action, identifier, {"name": name or identifier})
