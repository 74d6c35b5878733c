"""RUN --mount: what becomes of each, with what has to live as long as the command."""

import hashlib
import os
import posixpath
from typing import TYPE_CHECKING, Any

from rootless.build import copied_root, run_mounts
from rootless.build.dockerfile.instructions import SCRIPT_DIRECTORY
from rootless.build.dockerfile.mounts import Mount
from rootless.errors import BuildError
from rootless.linux.from_layers import FromLayers
from rootless.runtime.launch import KILL
from rootless.store import buildcache
from rootless.store.locks import Locked

if TYPE_CHECKING:
    from rootless.build.run_step import Run
    from rootless.context import Context

SSH_DIRECTORY = "/run/buildkit"


class StepMounts:
    """`operations` are for the stage, `environment` for the command.

    `namespace` keeps cache mounts apart (BUILDKIT_CACHE_MOUNT_NS).  `overlay` is whether the root
    is one of the kernel: without it mounts of trees need a copy.
    """

    def __init__(
        self, ctx: "Context", asked: "Run", directory: str, namespace: str, *, overlay: bool
    ) -> None:
        self._ctx = ctx
        self._namespace = namespace
        self._overlay = overlay
        self._asked = asked
        self._directory = directory
        self._locks: list[Locked] = []
        self._relays: list[int] = []
        self.operations: list[Any] = []
        self.environment: list[str] = []

    def __enter__(self) -> "StepMounts":
        private = f"{self._directory}/private"
        self.operations.append(run_mounts.Private(private))
        if self._asked.script is not None:
            script = self._asked.script
            self.operations.append(
                run_mounts.MemoryFile(
                    f"{private}/script",
                    script.content.encode("utf-8", "surrogateescape"),
                    f"{SCRIPT_DIRECTORY}/{script.name}",
                    mode=0o755,
                )
            )
        try:
            for number, one in enumerate(self._asked.mounts):
                self._add(number, one, f"{private}/{number}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for lock in self._locks:
            lock.release()
        for pid in self._relays:
            os.kill(pid, KILL)
            os.waitpid(pid, 0)

    def _add(self, number: int, one: Mount, place: str) -> None:
        target = _absolute(one.target, self._asked.workdir)
        match one.type:
            case "bind":
                self.operations.append(self._bind(number, one, target, place))
            case "cache":
                self.operations.append(self._cache(number, one, target, place))
            case "tmpfs":
                self.operations.append(run_mounts.tmpfs(target, one.size))
            case "secret":
                self._secret(one, place)
            case "ssh":
                self._ssh(number, one)

    def _bind(self, number: int, one: Mount, target: str, place: str) -> FromLayers:
        store = f"{self._ctx.paths.store}/"
        missing = BuildError(
            f"--mount: {one.source} is not there",
            remedy="check the path in source=, and .dockerignore",
            code="RL-BUILD-MOUNT-SOURCE",
        )
        trees = list(self._asked.trees.get(number, ()))
        if not self._overlay:
            copied = f"{self._directory}/flat{number}"
            copied_root.flat(self._ctx, trees, copied)
            return FromLayers(
                [], one.source or "/", target, base="", scratch="", place=copied,
                read_only=one.read_only, missing=missing, copied=True,
            )  # fmt: skip
        return FromLayers(
            [tree.removeprefix(store) for tree in trees],
            one.source or "/",
            target,
            base=self._ctx.paths.store,
            scratch=f"{self._directory.removeprefix(store)}/bind{number}",
            place=place,
            read_only=one.read_only,
            missing=missing,
        )

    def _cache(self, number: int, one: Mount, target: str, place: str) -> run_mounts.CacheDirectory:
        content = self._bind(number, one, target, place) if number in self._asked.trees else None
        name = _cache_name(self._namespace, one.id or target)
        directory = f"{self._ctx.paths.store}/buildcache/mounts/{name}"
        directory = self._claim(directory, one.sharing or "shared")
        return run_mounts.CacheDirectory(
            directory,
            target,
            mode=0o755 if one.mode is None else one.mode,
            uid=one.uid or 0,
            gid=one.gid or 0,
            read_only=one.read_only,
            content=content,
        )

    def _claim(self, directory: str, sharing: str) -> str:
        """The directory of a cache, as `sharing` allows it: waited for, or another one."""
        number = 0
        while True:
            claimed = directory if number == 0 else f"{directory}-{number}"
            os.makedirs(claimed, 0o700, exist_ok=True)
            buildcache.touch_mount(claimed)
            if sharing == "shared":
                return claimed
            wait_s = None if sharing == "locked" else 0
            lock = Locked(f"{claimed}/lock", wait_s=wait_s, what="a cache mount")
            try:
                self._locks.append(lock.__enter__())
                return claimed
            except Exception as e:
                if getattr(e, "code", "") != "RL-STORE-BUSY":
                    raise
            number += 1

    def _secret(self, one: Mount, place: str) -> None:
        data = self._asked.secrets.get(one.secret_id)
        if data is None:
            return  # one that is required has been missed before
        if one.env is not None:
            self.environment.append(f"{one.env}={data.decode('utf-8', 'surrogateescape')}")
        if one.secret_target:
            target = _absolute(one.secret_target, self._asked.workdir)
            mode = 0o400 if one.mode is None else one.mode
            self.operations.append(
                run_mounts.MemoryFile(
                    place, data, target, mode=mode, uid=one.uid or 0, gid=one.gid or 0
                )
            )

    def _ssh(self, number: int, one: Mount) -> None:
        from rootless.build import ssh_relay

        agent = self._asked.agents.get(one.id or "default")
        if agent is None:
            return
        path = f"{self._directory}/agent{number}"
        mode = 0o600 if one.mode is None else one.mode
        self._relays.append(ssh_relay.start(agent, path))
        target = one.target or f"{SSH_DIRECTORY}/ssh_agent.{number}"
        target = _absolute(target, self._asked.workdir)
        self.operations.append(
            run_mounts.Socket(path, target, mode=mode, uid=one.uid or 0, gid=one.gid or 0)
        )
        if not any(entry.startswith("SSH_AUTH_SOCK=") for entry in self.environment):
            self.environment.append(f"SSH_AUTH_SOCK={target}")


def _absolute(path: str, workdir: str) -> str:
    return posixpath.normpath(posixpath.join(workdir or "/", path))


def _cache_name(namespace: str, identity: str) -> str:
    """The directory's name of a cache mount."""
    text = f"{namespace}/{identity}" if namespace else identity
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
