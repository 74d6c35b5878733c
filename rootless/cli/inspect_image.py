"""An image as `docker image inspect` describes it.  Warm."""

import os

from rootless import fastjson
from rootless.cli.output import familiar
from rootless.cli.template_functions import Map
from rootless.store import images
from rootless.store.containers import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.paths import Paths


def describe(paths: "Paths", record: "dict[str, Any]") -> "dict[str, Any]":
    """The document of one image record; comment and author come from the config's blob."""
    identifier = str(record["id"])
    original = _original(paths, identifier)
    history = original.get("history") or [{}]
    platform = record.get("platform", {})
    document: dict[str, Any] = {
        "Id": identifier,
        # An image of a shared store has its names there.
        "RepoTags": [familiar(name) for name in images.shown_names(paths, record)],
        "RepoDigests": [familiar(digest) for digest in record.get("repo_digests", ())],
        "Parent": "",
        "Comment": str(history[-1].get("comment") or original.get("comment") or ""),
        "Created": str(record.get("created", "")),
        "DockerVersion": str(original.get("docker_version") or ""),
        "Author": str(original.get("author") or ""),
        "Config": config(record.get("config") or {}),
        "Architecture": str(platform.get("architecture", "")),
        "Os": str(platform.get("os", "")),
        "Size": record.get("size", 0),
        "GraphDriver": {
            "Name": "overlay",
            "Data": Map(
                LowerDir=":".join(paths.layer_diff(layer) for layer in reversed(record["layers"]))
            ),
        },
        "RootFS": {"Type": "layers", "Layers": list(record["layers"])},
        "Metadata": {"LastTagTime": _last_tag_time(paths, identifier)},
        "Descriptor": {
            "mediaType": str(record.get("media_type", "")),
            "digest": str(record.get("digest", "")),
            "size": _size(paths, str(record.get("digest") or "")),
        },
    }
    if original.get("os.version"):
        document["OsVersion"] = str(original["os.version"])
    if platform.get("variant"):
        document["Variant"] = platform["variant"]
    return document


def _last_tag_time(paths: "Paths", identifier: str) -> str:
    """When the image got the last of its names: a link is made anew each time."""
    times = [0]
    for name in images.names_of(paths, identifier):
        try:
            times.append(os.lstat(paths.image_by_name(name)).st_mtime_ns)
        except OSError:
            continue  # untagged this moment
    return rfc3339(max(times)) if max(times) else "0001-01-01T00:00:00Z"


def _size(paths: "Paths", digest: str) -> int:
    try:
        return os.stat(paths.blob(digest)).st_size
    except OSError:
        return 0


def config(found: "dict[str, Any]") -> "dict[str, Any]":
    """The image's "Config" with every field that a template may ask for."""
    document: dict[str, Any] = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
        **found,
    }
    for field in ("Volumes", "Labels", "ExposedPorts"):
        if document.get(field):
            document[field] = Map(document[field])
    return document


def _original(paths: "Paths", identifier: str) -> "dict[str, Any]":
    try:
        with open(paths.blob(identifier), "rb") as file:
            document = fastjson.loads(file.read())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
