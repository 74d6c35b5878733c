"""`rl cp`: files into a container, out of it, and from one to another."""

import io
import os
import posixpath
import sys
from typing import TYPE_CHECKING, cast

from rootless import log
from rootless.cli.actions import several
from rootless.cli.archive_output import archive_output
from rootless.cli.output import human_size
from rootless.errors import UsageError
from rootless.layer.compression import Readable
from rootless.layer.whiteout import OWNER_XATTR
from rootless.linux.copytree import Copy
from rootless.runtime import container_root, copying
from rootless.runtime.copying import Place
from rootless.runtime.supervise import id_map
from rootless.store import events

if TYPE_CHECKING:
    from rootless.context import Context
    from rootless.linux import mount
    from rootless.linux.idmap import IdMap
    from rootless.store.containers import Container

_NOTES = ("user.rl.",)  # what rl itself notes in files is nothing to the host


def main(ctx: "Context", values: dict[str, object]) -> int:
    """Copy `source` to `target`; either may be a container's, or - for a tar archive."""
    source, target = _split(str(values["source"])), _split(str(values["target"]))
    if source[0] is None and target[0] is None:
        raise UsageError(
            "neither of the two is a path in a container",
            remedy="write CONTAINER:PATH for one of them",
        )
    found: dict[str, Container] = {}
    for name, _ in (source, target):
        if name is not None and name not in found:
            found[name] = several.find(ctx, name)
    refuse_terminals(source[1], target[1])
    idmap = id_map(ctx, next(iter(found.values())).runtime_config()["rl"])
    job = _Job(ctx, idmap, list(found), source, target, values)
    copied, devices = cast(
        "tuple[int, int]",
        container_root.work(ctx, list(found.values()), job.run, keep_groups=True),
    )
    for name, path in (source, target):
        if name is not None:
            events.record_container(ctx.paths, found[name], "copy", path=path)
    if devices:
        log.note(f"{devices} device(s) were left out: making one needs root")
    if not values["quiet"] and "-" not in (source[1], target[1]):
        said = f"Successfully copied {human_size(copied)} to {values['target']}"
        sys.stderr.write(f"{log.printable(said)}\n")
    return 0


def _split(text: str) -> tuple[str | None, str]:
    """(container or None, path), as docker cp reads CONTAINER:PATH."""
    container, colon, path = text.partition(":")
    if not colon or text.startswith(("/", ".")):
        return None, text
    if not container:
        raise UsageError(f"{text} names no container", remedy="write CONTAINER:PATH, or ./:PATH")
    keep = "/." if path.endswith("/.") else "/" if path.endswith("/") else ""
    return container, posixpath.normpath(f"/{path.lstrip('/')}").rstrip("/") + keep or "/"


class _Job:
    """The copy itself, in the child."""

    def __init__(
        self,
        ctx: "Context",
        idmap: "IdMap",
        names: list[str],
        source: tuple[str | None, str],
        target: tuple[str | None, str],
        values: dict[str, object],
    ) -> None:
        self._ctx = ctx
        self._idmap = idmap
        self._names = names
        self._source = source
        self._target = target
        self._values = values
        self._follow = bool(values["follow_link"])

    def run(self, roots: "list[mount.Root]") -> object:
        if self._source == (None, "-"):
            stream = cast(Readable, io.FileIO(0, closefd=False))
            copying.read_archive(self._place(self._target, "target", roots), stream)
            return 0, 0
        source = self._place(self._source, "source", roots)
        if self._target == (None, "-"):
            with archive_output("-", "copy") as write:
                copying.write_archive(source, write, follow=self._follow)
            return 0, 0
        copier = self._copier()
        copying.copy(
            source, self._place(self._target, "target", roots), copier, follow=self._follow
        )
        return copier.copied + copier.shared, copier.skipped_devices

    def _place(self, end: tuple[str | None, str], which: str, roots: "list[mount.Root]") -> Place:
        container, path = end
        root = None if container is None else roots[self._names.index(container)]
        return Place(str(self._values[which]), path, root)

    def _copier(self) -> Copy:
        """Without -a files are root's in a container, and the caller's on the host."""
        keep = bool(self._values["archive"])
        single = self._idmap.single
        if self._target[0] is None:
            caller = self._idmap.inside(self._ctx.uid, self._ctx.gid)
            owner = None if keep and not single else lambda *_: caller
            return Copy(merge=True, owner=owner, strip=(*_NOTES, "security."))
        if self._source[0] is not None:
            return Copy(merge=True)
        return Copy(
            merge=True,
            owner=self._as_on_host if keep else lambda *_: (0, 0),
            strip=_NOTES,
            record=OWNER_XATTR.decode() if single and keep else "",
        )

    def _as_on_host(self, uid: int, gid: int) -> tuple[int, int]:
        """What a file's owner is in the container: the caller's number, as docker cp -a has it.

        A subordinate ID stays who it is in containers.
        """
        mine = self._idmap.inside(self._ctx.uid, self._ctx.gid)
        caller = self._ctx.uid, self._ctx.gid
        found = [
            own if one == me and outside(own) is not None else one
            for one, me, own, outside in zip(
                (uid, gid), mine, caller, (self._idmap.host_uid, self._idmap.host_gid), strict=True
            )
        ]
        return found[0], found[1]


def refuse_terminals(source: str, target: str) -> None:
    """An archive is nothing to read from, or write to, a terminal."""
    if source == "-" and os.isatty(0):
        raise UsageError("standard input is a terminal", remedy="redirect a tar archive to it")
    if target == "-" and os.isatty(1):
        raise UsageError("refusing to write an archive to a terminal", remedy="redirect it")
