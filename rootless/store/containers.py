"""Containers on disk: containers/<id>/ and what the files in it say.  Warm.

    container.json   as asked; written once
    config.json      the OCI runtime config that it is started with
    state.json       status, PID, times, exit code; written by whoever holds the lock
    lock             flocked by the supervisor from before the start until after the clean-up;
                     holds the exit code, for those who wait while the directory goes away
    layers.lock      flocked while one command reads or changes the layers: runtime/still.py
    root.lock        flocked, shared, by who is on the way into a running container, and while it
                     gets another root: runtime/live_layers.py
    upper/ work/     the writable layer;  rootfs/  where the root is mounted, in the container's
                     own mount namespace;  log

A process is known by PID, start time, boot and machine: several may share the store, as with a
home on NFS, and none touches what runs on another.  A container whose supervisor was killed is
recorded as exited by the next command that looks (rootless.store.reconciliation).  These files
are not synced: after a power failure no container runs, and a lost state says no less.
"""

import fcntl
import os

from rootless import ids
from rootless.errors import ContainerError, RlError
from rootless.linux import process
from rootless.store import atomic
from rootless.store.removal import remove_mapped_tree, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.paths import Paths

KILLED = 137  # 128 + SIGKILL: the exit code of a container whose supervisor was killed

_LOCK_SIZE = 8  # bytes


class Container:
    """One container: its directory and the documents in it, as of when it was read.

    `notice` is a sentence for the user when reading it has changed something (reconciliation).
    """

    __slots__ = ("config", "directory", "id", "notice", "state")

    def __init__(self, container_id: str, directory: str, config: "dict[str, Any]") -> None:
        self.id = container_id
        self.directory = directory
        self.config = config
        self.state: dict[str, Any] = {}
        self.notice: str | None = None

    @property
    def name(self) -> str:
        return str(self.config["name"])

    @property
    def running(self) -> bool:
        return self.state.get("status") in ("running", "starting", "restarting")

    @property
    def lock_path(self) -> str:
        return f"{self.directory}/lock"

    @property
    def snapshots_path(self) -> str:
        """What is known of snapshots; there when the container has frozen layers."""
        return f"{self.directory}/snapshots.json"

    @property
    def layers_lock_path(self) -> str:
        return f"{self.directory}/layers.lock"

    @property
    def root_lock_path(self) -> str:
        return f"{self.directory}/root.lock"

    @property
    def pending_path(self) -> str:
        """A change of layers that has begun: see runtime/pending.py."""
        return f"{self.directory}/pending.json"

    @property
    def link_owners_path(self) -> str:
        """A list of layer/link_owners.py: where one ID is mapped."""
        return f"{self.directory}/link-owners"

    @property
    def log_path(self) -> str:
        return f"{self.directory}/log"

    def read_state(self) -> None:
        """Read state.json again; a damaged or missing one counts as never started."""
        try:
            self.state = atomic.read_json(f"{self.directory}/state.json")
        except (FileNotFoundError, RlError):
            self.state = {"status": "created"}

    def write_state(self, **changes: object) -> None:
        """Change some fields of state.json.  The caller holds the container's lock."""
        self.state.update(changes)
        atomic.write_json(f"{self.directory}/state.json", self.state, sync=False)

    def runtime_config(self) -> "dict[str, Any]":
        """config.json."""
        return atomic.read_json(f"{self.directory}/config.json")

    def pidfd(self) -> int:
        """A pidfd of the container's init, -1 when it does not run (in this boot)."""
        pid, started = int(self.state.get("pid", 0)), int(self.state.get("start_time", 0))
        if pid <= 0 or self.state.get("boot_id") != process.boot_id():
            return -1
        return process.open_pidfd(pid, started)

    def read_config(self) -> None:
        """Read container.json again: another command may have changed it (rename, update)."""
        try:
            self.config = atomic.read_json(f"{self.directory}/container.json")
        except (FileNotFoundError, RlError):
            pass

    @property
    def restarts(self) -> bool:
        """Whether it has a restart policy."""
        return bool((self.config.get("restart") or {}).get("name", "no") != "no")

    @property
    def stop_mark(self) -> str:
        """A file that says that somebody has stopped it: no policy starts it again.  Its next
        start removes it."""
        return f"{self.directory}/stopped"

    @property
    def elsewhere(self) -> str:
        """The name of the other machine that it runs on, as far as that is known; "" for none."""
        machine = self.state.get("machine")
        if not machine or self.state.get("status") in ("created", "exited"):
            return ""
        return "" if machine["id"] == process.machine_id() else str(machine["host"])

    def need_here(self, purpose: str) -> None:
        """Raise ContainerError RL-CONTAINER-ELSEWHERE for one that runs on another machine."""
        host = self.elsewhere
        if host:
            raise ContainerError(
                f"cannot {purpose} {self.name} from here: it runs on the machine {host}",
                remedy=f"log in there; if it is gone for good: rl unshare rm -r {self.directory}",
                code="RL-CONTAINER-ELSEWHERE",
            )

    def need_running(self, purpose: str) -> int:
        """pidfd() of a running container.  Raises ContainerError RL-CONTAINER-NOT-RUNNING."""
        self.need_here(purpose)
        pidfd = self.pidfd()
        if pidfd < 0 and self.state.get("status") == "restarting":
            raise ContainerError(
                f"cannot {purpose} {self.name}: the container is restarting",
                remedy=f"wait until it runs: rl ps; or stop it with: rl stop {self.name}",
                code="RL-CONTAINER-NOT-RUNNING",
            )
        if pidfd < 0:
            raise ContainerError(
                f"cannot {purpose} {self.name}: the container is not running",
                remedy=f"start it with: rl start {self.name}",
                code="RL-CONTAINER-NOT-RUNNING",
            )
        return pidfd


def here() -> "dict[str, str]":
    """What a state says of the machine that the container runs on."""
    return {"id": process.machine_id(), "host": os.uname().nodename}


def now() -> str:
    """The time in RFC 3339 with nanoseconds, UTC."""
    import time

    return rfc3339(time.time_ns())


def rfc3339(time_ns: int) -> str:
    import time

    seconds, rest = divmod(time_ns, 10**9)
    t = time.gmtime(seconds)
    return (
        f"{t.tm_year:04}-{t.tm_mon:02}-{t.tm_mday:02}T"
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}.{rest:09}Z"
    )


class Lock:
    """The lock of a container.  Released by close(), or when its last holder ends."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> "Lock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def exit_code(self) -> int:
        """What put_exit_code() has left, -1 for nothing."""
        left = os.pread(self.fd, _LOCK_SIZE, 0).strip()
        return int(left) if left.isdigit() else -1

    def put_exit_code(self, exit_code: int) -> None:
        """Leave the exit code for those who wait for the lock."""
        os.pwrite(self.fd, f"{exit_code}\n".ljust(_LOCK_SIZE).encode(), 0)

    def clear_exit_code(self) -> None:
        """A new run begins.  The file keeps its size: a full disk has place for the next code."""
        os.pwrite(self.fd, b"\n".ljust(_LOCK_SIZE), 0)


def try_lock(directory: str) -> "Lock | None":
    """The container's lock, or None while a supervisor, or another command, holds it.

    Raises ContainerError when the container is gone.
    """
    lock = open_lock(directory)
    try:
        fcntl.flock(lock.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    if not os.path.exists(f"{directory}/lock"):
        lock.close()
        raise gone(directory)
    return lock


def wait_for_lock(directory: str) -> Lock:
    """Block until the supervisor has ended and cleaned up; a shared lock, for waiting only."""
    lock = open_lock(directory)
    fcntl.flock(lock.fd, fcntl.LOCK_SH)
    return lock


def is_unlocked(directory: str) -> bool:
    """Whether nobody holds the container's lock.  Raises ContainerError when it is gone."""
    with open_lock(directory) as lock:
        try:
            fcntl.flock(lock.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def keep(directory: str) -> Lock:
    """Keep a container of --rm through the stop of its restart, until the lock is closed.

    Raises ContainerError when it is gone.
    """
    path = f"{directory}/kept"
    try:
        lock = Lock(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except FileNotFoundError as e:
        raise gone(directory) from e
    except OSError as e:
        raise atomic.store_error(e, f"write {path}") from e
    fcntl.flock(lock.fd, fcntl.LOCK_SH)
    return lock


def is_kept(directory: str) -> bool:
    """Whether somebody has it from keep()."""
    try:
        lock = Lock(os.open(f"{directory}/kept", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    with lock:
        try:
            fcntl.flock(lock.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def open_lock(directory: str) -> Lock:
    """The lock file, not locked."""
    try:
        return Lock(os.open(f"{directory}/lock", os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError as e:
        raise gone(directory) from e


def gone(directory: str) -> ContainerError:
    """The error for a container whose directory is not there any more."""
    return ContainerError(
        f"no such container: {os.path.basename(directory)[:12]}",
        remedy="it was removed by another command",
        code="RL-CONTAINER-NOT-FOUND",
    )


def add(
    ctx: "Context",
    container_id: str,
    documents: "dict[str, dict[str, Any]]",
    state: "dict[str, Any]",
) -> "tuple[Container, Lock]":
    """Put a new container into the store and reserve its name; the caller holds its lock.

    `documents` are container.json and config.json by file name.  Built in tmp/ and renamed: a
    command that is killed leaves nothing, or a directory whose name was never reserved, which
    list_all() removes.  Raises ContainerError RL-CONTAINER-NAME-TAKEN, RL-CONTAINER-NAME.
    """
    paths = ctx.paths
    name = str(documents["container.json"]["name"])
    need_name(name)
    directory = paths.container(container_id)
    with atomic.TemporaryDirectory(paths, ctx) as temporary:
        made = f"{temporary}/c"
        try:
            os.mkdir(made, 0o700)
            for child in ("upper", "work", "rootfs", "links"):
                # 0755: with --userns=keep-id upper/ becomes the root directory of another ID.
                os.mkdir(f"{made}/{child}")
                # Whatever the umask: upper/ is the root directory of the container.
                os.chmod(f"{made}/{child}", 0o755)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            # Now: `rl exec` needs it, and later the disk may be full.
            os.close(os.open(f"{made}/root.lock", flags, 0o600))
            lock = Lock(os.open(f"{made}/lock", flags, 0o600))
            fcntl.flock(lock.fd, fcntl.LOCK_EX)
        except OSError as e:
            raise atomic.store_error(e, "make a container") from e
        try:
            for file_name, document in documents.items():
                atomic.write_json(f"{made}/{file_name}", document, sync=False)
            atomic.write_json(f"{made}/state.json", state, sync=False)
            os.rename(made, directory)
            try:
                os.symlink(f"../{container_id}", paths.container_by_name(name))
            except FileExistsError:
                remove_tree(directory)
                raise _name_taken(paths, name) from None
        except BaseException:
            lock.close()
            raise
    container = Container(container_id, directory, documents["container.json"])
    container.state = state
    return container, lock


def _name_taken(paths: "Paths", name: str) -> ContainerError:
    owner = os.path.basename(os.path.realpath(paths.container_by_name(name)))
    return ContainerError(
        f"the container name {name} is in use by {owner[:12]}",
        remedy=f"choose another name, or remove that container with: rl rm -f {name}",
        code="RL-CONTAINER-NAME-TAKEN",
    )


def need_name(name: str) -> None:
    """Raises ContainerError RL-CONTAINER-NAME for what is no name: it becomes a path."""
    if not ids.is_name(name):
        raise ContainerError(
            f"invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            remedy="2 to 128 of these characters",
            code="RL-CONTAINER-NAME",
        )


def rename(ctx: "Context", container: Container, name: str) -> None:
    """Give the container another name; both names are its own for an instant, never none.

    Raises ContainerError RL-CONTAINER-NAME-TAKEN, RL-CONTAINER-NAME.
    """
    paths = ctx.paths
    name = name.removeprefix("/")
    need_name(name)
    try:
        os.symlink(f"../{container.id}", paths.container_by_name(name))
    except FileExistsError:
        raise _name_taken(paths, name) from None
    old = container.name
    container.config["name"] = name
    _record(paths, container, "rename", oldName=f"/{old}")
    atomic.write_json(f"{container.directory}/container.json", container.config, sync=False)
    try:
        os.unlink(paths.container_by_name(old))
    except FileNotFoundError:
        pass


def remove(ctx: "Context", container: Container, lock: Lock) -> None:
    """Take a container out of the store; its name is free first.  The caller holds `lock`.

    Files of subordinate IDs are removed in a user namespace.  The directory leaves its place at
    once, by a rename into tmp/, so that a kill in between leaves nothing that looks alive.
    """
    paths = ctx.paths
    link = paths.container_by_name(container.name)
    if os.path.basename(_readlink(link)) == container.id:
        os.unlink(link)
    with atomic.TemporaryDirectory(paths, ctx) as temporary:
        try:
            os.rename(container.directory, f"{temporary}/c")
        except FileNotFoundError:
            return
        _record(paths, container, "destroy")
        # Before the slow part: whoever waits for the lock sees that the container is gone.
        lock.close()
        if os.path.exists(f"{temporary}/c/snapshots.json"):
            from rootless.store import frozen

            frozen.collect(ctx)
        if not remove_mapped_tree(ctx, f"{temporary}/c"):
            raise ContainerError(
                f"cannot remove all files of the container {container.name}",
                remedy="they belong to IDs that are not yours any more: see rl doctor",
                code="RL-CONTAINER-FILES",
            )


def _record(paths: "Paths", container: Container, action: str, **attributes: str) -> None:
    from rootless.store import events  # not for those who only look

    events.record_container(paths, container, action, **attributes)


def _readlink(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def find(ctx: "Context", text: str) -> Container:
    """The container whose name, ID or unambiguous beginning of an ID is `text`.

    Raises ContainerError RL-CONTAINER-NOT-FOUND, RL-CONTAINER-AMBIGUOUS.
    """
    paths = ctx.paths
    found: Container | None = None
    # Both make a path below: neither may hold a slash or be a dot.
    wanted = text.lstrip("/")
    if ids.is_name(wanted):
        container_id = os.path.basename(_readlink(paths.container_by_name(wanted)))
        if container_id:
            found = _read(ctx, container_id)
    if found is None and ids.is_hex(text):
        matches = [one for one in all_ids(paths) if one.startswith(text)]
        if len(matches) > 1:
            raise ContainerError(
                f"{text} is the beginning of {len(matches)} container IDs",
                remedy="give more digits: rl ps -a",
                code="RL-CONTAINER-AMBIGUOUS",
            )
        if matches:
            found = _read(ctx, matches[0])
    if found is None:
        raise ContainerError(
            f"no such container: {text}",
            remedy="list the containers with: rl ps -a",
            code="RL-CONTAINER-NOT-FOUND",
        )
    return found


def list_all(ctx: "Context") -> "list[Container]":
    """All containers, the newest first."""
    containers = []
    for container_id in all_ids(ctx.paths):
        container = _read(ctx, container_id)
        if container is not None:
            containers.append(container)
    containers.sort(key=lambda one: str(one.config.get("created", "")), reverse=True)
    return containers


def all_ids(paths: "Paths") -> "list[str]":
    """The IDs of all containers, in no order."""
    try:
        return [name for name in os.listdir(paths.containers) if len(name) == 64]
    except FileNotFoundError:
        return []


def _read(ctx: "Context", container_id: str) -> "Container | None":
    directory = ctx.paths.container(container_id)
    try:
        config = atomic.read_json(f"{directory}/container.json")
    except (FileNotFoundError, NotADirectoryError):
        return None  # removed since we saw its name
    except RlError:
        # One damaged file must not hide the other containers; `rl rm` can still remove it.
        config = {"id": container_id, "name": container_id[:12], "created": "", "damaged": True}
    container = Container(container_id, directory, config)
    container.read_state()
    if container.state.get("status") == "created" or _init_lives(container):
        return container
    if container.elsewhere:
        return container
    if container.running or container.state.get("status") == "removing":
        from rootless.store import reconciliation

        return reconciliation.reconcile(ctx, container)
    return container


def _init_lives(container: Container) -> bool:
    state = container.state
    return (
        state.get("status") == "running"
        and process.is_alive(int(state.get("pid", 0)), int(state.get("start_time", 0)))
        and state.get("boot_id") == process.boot_id()
    )
