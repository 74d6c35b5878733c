"""The options of a volume that is no plain directory: --opt of `volume create`, volume-opt of
--mount.  The local driver's: type, device, o (docs: docker volume create).
"""

import os

from rootless.errors import UsageError
from rootless.runtime.options_mounts import tmpfs_words

_BIND_WORDS = ("bind", "rbind", "ro", "rw", "nodev", "noexec", "nosuid")


def parse_options(given: list[str]) -> dict[str, str]:
    """What volume.json keeps of KEY=VALUE…, {} for a plain directory (store/volumes.py).

    Raises UsageError for what only root can mount.
    """
    options: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if key not in ("type", "device", "o", "size") or not equals:
            raise UsageError(
                f'invalid option "{text}": the local driver knows type, device, o and size',
                remedy="as --opt type=tmpfs --opt device=tmpfs --opt o=size=100m",
            )
        options[key] = value
    if not options:
        return {}
    kind = options.get("type", "none")
    words = [word for word in options.get("o", "").split(",") if word]
    if kind == "tmpfs":
        return _tmpfs(options, words)
    if kind in ("", "none", "bind") and ("bind" in words or "rbind" in words or kind == "bind"):
        return _bind(options, words)
    if "size" in options:
        raise UsageError(
            "cannot hold a volume to a size: quotas of a file system are root's to set",
            remedy="use a tmpfs volume (type=tmpfs, o=size=…), which has one",
        )
    what = f"a volume of type {kind}" if kind not in ("", "none") else "a volume with these options"
    raise UsageError(
        f"cannot make {what}: mounting other file systems needs root",
        remedy="have it mounted by the admin, and use --opt type=none --opt o=bind "
        "--opt device=/DIRECTORY",
    )


def _tmpfs(options: dict[str, str], words: list[str]) -> dict[str, str]:
    if "size" in options:
        words.append(f"size={options['size']}")
    checked = tmpfs_words(",".join(words), "a volume's o=")
    return {"type": "tmpfs", "device": "tmpfs", "o": ",".join(checked)}


def _bind(options: dict[str, str], words: list[str]) -> dict[str, str]:
    device = options.get("device", "")
    if not device.startswith("/"):
        raise UsageError(
            f"invalid device={device}: an absolute path is wanted",
            remedy="as --opt device=/srv/data",
        )
    for word in words:
        if word not in _BIND_WORDS:
            raise UsageError(
                f'invalid word "{word}" in o=', remedy=f"known are {', '.join(_BIND_WORDS)}"
            )
    return {"type": "none", "device": os.path.normpath(device), "o": ",".join(words)}
