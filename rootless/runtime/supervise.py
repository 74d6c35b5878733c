"""A container from its start to its clean-up, as its parent sees it.  Warm.

The parent is rl itself in the foreground, or the supervisor (rootless.runtime.supervisor).  It
holds the container's lock all the while, so that the kernel tells everybody when it is gone.
"""

import os
import time

from rootless.errors import ContainerError, StoreError
from rootless.linux import process
from rootless.network import driver as drivers
from rootless.network import ports
from rootless.runtime import launch, limits, log_writer, rootfs, streams
from rootless.runtime.streams import Pump
from rootless.store import containers, events, mapping, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.context import Context
    from rootless.linux.idmap import IdMap
    from rootless.runtime import health, owners
    from rootless.runtime.limit_groups import Cgroup
    from rootless.store.containers import Container, Lock


KILL = 9


class Supervision:
    """One run of one container.  start(), then `pump.run()`, then finish()."""

    def __init__(self, ctx: "Context", container: "Container", lock: "Lock") -> None:
        self._ctx = ctx
        self._container = container
        self._lock = lock
        self._started: launch.Started | None = None
        self._pump: Pump | None = None
        self._log: log_writer.Log | None = None
        self._udp: list[tuple[ports.Port, Any]] = []
        self._forwarders: list[Any] = []
        self._began_ns = 0  # monotonic
        self._monitor: health.Monitor | None = None
        self._recorder: owners.Recorder | None = None
        self._pidfile = ""
        self.why_ended = ""  # where the program did not end by itself
        self.oom_killed = False
        self.ran_ns = 0  # how long it ran, after finish()
        self.restarting = False
        self.notes: list[str] = []

    @property
    def pump(self) -> Pump:
        assert self._pump is not None
        return self._pump

    @property
    def pidfd(self) -> int:
        assert self._started is not None
        return self._started.pidfd

    def start(self, config: "dict[str, Any]") -> None:
        """Start the program of `config` (config.json).  Raises RlError with nothing left."""
        container, extension, trace = self._container, config["rl"], self._ctx.trace
        if trace is not None:
            trace.open(f"started {container.name}", container=container.id)
        network, cgroup = self._prepare(config)
        self._write_network_files(network, extension)
        if trace is not None:
            trace.lap("wrote the container's /etc/hosts, /etc/resolv.conf and /etc/hostname")
        idmap = id_map(self._ctx, extension)
        if idmap.single:
            self.notes.append(
                f"one ID is mapped, because {idmap.reason}: files have one owner, and changes of "
                "owner or user are pretended; `rl doctor --admin` says what to ask for"
            )
        if cgroup is not None and cgroup.kind != "best-effort":
            config = limits.with_own_groups(config)
        if _shares_pids(container):
            from rootless.runtime import host_pids

            host_pids.adopt_orphans()
        self._clear_image_mounts()  # of a run whose supervisor was killed
        plan = rootfs.plan(self._ctx, container, config, idmap, network)
        rootfs.note_owners(self._ctx, plan.process)
        plan.process.nests = True
        terminal, interactive = container.config["tty"], container.config["interactive"]
        if trace is not None:
            trace.lap(f"planned {len(plan.operations)} mounts from config.json (runtime-spec)")
        theirs, ours = ([], {}) if terminal else streams.pipes(interactive)
        try:
            self._started = launch.launch(
                plan,
                namespaces=rootfs.namespace_flags(config, network),
                idmap=idmap,
                network=network,
                cgroup=cgroup,
                stdio=theirs,
                environ=self._ctx.environ,
            )
        except BaseException:
            for fd in ours:
                os.close(fd)
            for _, listener in self._udp:
                listener.close()
            if self._log is not None:
                self._log.close()
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self._make_pump(ours)
        if self._started.borrowed:
            self.notes.append(
                f"shared with the container around us: {', '.join(self._started.borrowed)} "
                "(processes have its numbers there); it has them otherwise with --cap-add "
                "SYS_ADMIN --security-opt unmask=ALL (Docker: systempaths=unconfined)"
            )
        if self._started.listener_fd >= 0:
            self.pump.watch(self._started.listener_fd, self._on_owner, self._started.listener_fd)
        network.serve(self.pump)
        if self._udp and not network.publish_udp(self._udp):
            self._forward_udp(network.ip)
        self._record_start(network, config, one_id=bool(plan.process.one_id))
        self._watch_over(extension)
        if trace is not None:
            trace.lap("recorded it as running (state.json)")
            trace.close()

    def _prepare(self, config: "dict[str, Any]") -> "tuple[drivers.Driver, Cgroup | None]":
        """What can be refused is refused before there is a process."""
        container, extension = self._container, config["rl"]
        self._pidfile = extension.get("pidfile", "")
        if self._pidfile:
            _check_pidfile(self._pidfile)
        ulimits = container.config.get("options", {}).get("ulimits")
        if ulimits:
            from rootless.linux import rlimit
            from rootless.runtime import options_limits  # rarely needed

            options_limits.check_ulimits(ulimits, rlimit.host_limits())
        self._log = log_writer.make(container, extension.get("log") or {})
        published = ports.claim(ports.from_dicts(container.config["ports"]))
        self._udp = ports.bind_udp(published)
        runtime_directory = self._ctx.paths.container_runtime(container.id)
        if container.config["network"] == "bridge":
            from rootless.network.bridge.driver import Bridge

            network: drivers.Driver = Bridge(
                self._ctx, container, published, extension["network"]["dns"]
            )
        elif container.config["network"].startswith(("container:", "ns:")):
            from rootless.network import joined

            network = joined.join(self._ctx, container.config["network"])
        else:
            network = drivers.make(
                container.config["network"],
                published,
                runtime_directory,
                self._ctx.environ,
                extension["network"],
            )
        cgroup = limits.prepare(
            self._ctx, container.id, extension["resources"], extension.get("limits") or "strict"
        )
        if cgroup is not None:
            self.notes += cgroup.notes
        if self._ctx.trace is not None:
            from rootless.runtime import trace_words as words

            self._ctx.trace.lap(words.prepared(network, cgroup, extension["resources"]))
        return network, cgroup

    def _write_network_files(self, network: drivers.Driver, extension: "dict[str, Any]") -> None:
        """hosts and resolv.conf, made at each start: the host's resolvers may have changed."""
        from rootless.runtime import network_files

        network_files.write(self._container, network, extension["network"])

    def _make_pump(self, ours: "dict[int, str]") -> None:
        assert self._started is not None
        outputs, input_fd = streams.split(ours)
        if self._started.master_fd >= 0:
            outputs = {self._started.master_fd: "stdout"}
            input_fd = self._started.master_fd
        self._pump = Pump(self._started.pidfd, outputs, input_fd, self._log)

    def _on_owner(self, listener_fd: int) -> None:
        """Somebody in the container changes an owner: only then there is a recorder."""
        from rootless.runtime import owners

        assert self._started is not None
        self.pump.forget(listener_fd)
        self._started.listener_fd = -1
        if owners.has_call(listener_fd):
            directory = self._container.directory
            self._recorder = owners.Recorder(
                listener_fd, self.pidfd, f"{directory}/upper", self._container.link_owners_path
            )
        else:
            os.close(listener_fd)

    def _end_recorder(self) -> None:
        assert self._started is not None
        if self._started.listener_fd >= 0:
            os.close(self._started.listener_fd)
        if self._recorder is not None:
            self._recorder.finish()
        if os.path.exists(self._container.link_owners_path):
            from rootless.runtime import owners

            owners.settle(self._ctx, self._container)
            os.unlink(self._container.link_owners_path)

    def _watch_over(self, extension: "dict[str, Any]") -> None:
        """What is done while it runs, where that was asked for."""
        timeout_s = extension.get("timeout", 0)
        if timeout_s:
            self.pump.call_after(timeout_s, lambda: self._end_for_time(timeout_s))
        if self._started is not None and self._started.cgroup is not None:
            self._started.cgroup.watch(self._started, self.pump)
        test = (extension.get("health") or {}).get("Test") or ["NONE"]
        if test[0] not in ("NONE", ""):
            from rootless.runtime import health  # rarely needed

            self._monitor = health.Monitor(
                self._ctx, self._container, extension["health"], self.pump
            )

    def _end_for_time(self, timeout_s: int) -> None:
        self.why_ended = f"it was killed after its --timeout of {timeout_s} s"
        process.signal_process(self.pidfd, KILL)

    def _clear_image_mounts(self) -> None:
        """What was written into images that are mounted with rw is lost."""
        if self._container.config.get("mounted_images"):
            from rootless.runtime import image_mounts

            mounts = self._container.runtime_config()["mounts"]
            image_mounts.clear(self._ctx, self._container, mounts)

    def _forward_udp(self, address: str) -> None:
        from rootless.network.udp_forward import UdpForwarder

        self._forwarders = [
            UdpForwarder(self.pump, listener, port, address, self.pidfd)
            for port, listener in self._udp
        ]

    def _record_start(
        self, network: drivers.Driver, config: "dict[str, Any]", *, one_id: bool
    ) -> None:
        assert self._started is not None
        started = self._started
        me = os.getpid()
        self._container.write_state(
            status="running",
            pid=started.pid,
            start_time=started.start_time,
            boot_id=process.boot_id(),
            machine=containers.here(),
            started_at=containers.now(),
            finished_at="",
            exit_code=0,
            error="",
            oom_killed=False,
            supervisor={"pid": me, "start_time": process.start_time(me)},
            helpers=started.helpers,
            namespaces=rootfs.namespace_flags(config, network),
            ports=[port.to_dict() for port in network.ports],
            ip=network.ip,
            gateway=network.gateway,
            one_id=one_id,
            cgroup=started.cgroup.to_dict() if started.cgroup is not None else None,
        )
        self._began_ns = time.monotonic_ns()
        self._lock.clear_exit_code()
        if self._pidfile:
            _write_pidfile(self._pidfile, started.pid)
        self._record_volumes("mount")
        events.record_container(self._ctx.paths, self._container, "start")

    def _record_volumes(self, action: str) -> None:
        container = self._container
        for mount in container.config.get("mounts", ()):
            if mount["Type"] == "volume":
                attributes = {"container": container.id, "driver": "local"}
                if action == "mount":
                    attributes["destination"] = mount["Destination"]
                    attributes["read/write"] = "true" if mount["RW"] else "false"
                events.record(self._ctx.paths, "volume", action, mount["Name"], attributes)

    def finish(self) -> int:
        """Reap the init, clean up, record the end; the exit code (signals as 128 + number).

        With `restarting` set afterwards the lock is kept, and the state says so: the caller is to
        start the container again, or to record_stopped().
        """
        assert self._started is not None
        started = self._started
        _, status = os.waitpid(started.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        exit_code = 128 - code if code < 0 else code
        self.ran_ns = time.monotonic_ns() - self._began_ns
        trace = self._ctx.trace
        if trace is not None:
            trace.lap(f"the program ran, and ended with {exit_code}", exit_code=exit_code)
            trace.open("cleaned up")
            trace.lap(
                "with its last process the kernel took the namespaces away: the mounts, the "
                "network, the ID maps"
            )
        if self._monitor is not None:
            self._monitor.close()
        self._end_recorder()
        if _shares_pids(self._container):
            from rootless.runtime import host_pids

            host_pids.end_orphans(int(str(one["pid"])) for one in started.helpers)
        started.network.close()
        for forwarder in self._forwarders:
            forwarder.close()
        if trace is not None and started.helpers:
            names = ", ".join(dict.fromkeys(str(one["name"]) for one in started.helpers))
            trace.lap(f"ended its helpers: {names}")
        if started.cgroup is not None:
            self.oom_killed = started.cgroup.oom_killed()
            if self.oom_killed:
                self.why_ended = started.cgroup.end_message()
            started.cgroup.remove()
            if trace is not None:
                trace.lap(f"ended its limits: {started.cgroup.describe()}")
        self._clear_image_mounts()
        # Another command may have renamed or updated it.
        self._container.read_config()
        self._record_end(exit_code)
        _reap()
        if trace is not None:
            trace.lap(
                "removed the container, what it wrote and its anonymous volumes (--rm)"
                if self._container.config["auto_remove"] and not self.restarting
                else "recorded its end (state.json); what it wrote stays in upper/"
            )
            trace.close()
        return exit_code

    def close(self) -> None:
        """Close what is left open of a run that is over, when another one follows."""
        self.pump.close()
        os.close(self.pidfd)

    def _record_end(self, exit_code: int) -> None:
        container, seconds = self._container, self.ran_ns // 10**9
        if self.oom_killed:
            events.record_container(self._ctx.paths, container, "oom")
        events.record_container(
            self._ctx.paths, container, "die", exitCode=str(exit_code), execDuration=str(seconds)
        )
        self._record_volumes("unmount")
        if self._pidfile:
            _remove_pidfile(self._pidfile)
        if container.config["auto_remove"] and not containers.is_kept(container.directory):
            self._lock.put_exit_code(exit_code)
            volumes.discard(self._ctx, container, self._lock)
            self._lock.close()
            return
        count = int(container.state.get("restart_count", 0))
        if container.restarts:
            from rootless.runtime import restart

            self.restarting = restart.is_wanted(container, exit_code, count)
        # First of all, since it needs no space on the disk: who looks finds it in any case.
        self._lock.put_exit_code(exit_code)
        self._write_state(
            status="restarting" if self.restarting else "exited",
            pid=0,
            exit_code=exit_code,
            oom_killed=self.oom_killed,
            error=self.why_ended,
            finished_at=containers.now(),
            restart_count=count + self.restarting,
            helpers=[],
            ports=[],
            cgroup=None,
        )
        if not self.restarting:
            self._lock.close()

    def _write_state(self, **changes: object) -> None:
        """As Container.write_state; on a full disk the next command that looks completes it."""
        try:
            self._container.write_state(**changes)
        except StoreError:
            self._container.state.update(changes)


def record_stopped(container: "Container", lock: "Lock", error: str = "") -> None:
    """The container of a supervisor that was to start it again stays down."""
    changes = {"error": error, "exit_code": 125} if error else {}
    container.write_state(status="exited", **changes)
    if error:
        lock.put_exit_code(125)
    lock.close()


def _check_pidfile(path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as e:
        raise ContainerError(
            f"cannot write the PID file {path}: {e.strerror}",
            remedy="name a file in a directory of yours",
            code="RL-PIDFILE",
        ) from e


def _write_pidfile(path: str, pid: int) -> None:
    try:
        with open(path, "w") as file:
            file.write(str(pid))
    except OSError:
        pass  # it could be written a moment ago, and the container runs


def _remove_pidfile(path: str) -> None:
    """A PID of a process that has ended would soon be another's."""
    try:
        os.unlink(path)
    except OSError:
        pass


def _shares_pids(container: "Container") -> bool:
    """Whether it was started with --pid host."""
    return bool(container.config.get("options", {}).get("pid") == "host")


def id_map(ctx: "Context", extension: "dict[str, Any]") -> "IdMap":
    """The mapping that the container of this "rl" extension has."""
    userns = extension.get("userns") or {}
    if userns.get("mode") in ("keep-id", "nomap"):
        uid = ctx.uid if userns.get("uid") is None else int(userns["uid"])
        gid = ctx.gid if userns.get("gid") is None else int(userns["gid"])
        return mapping.keep_id_map(ctx, uid, gid)
    return mapping.default_map(ctx)


def _reap() -> None:
    """Helpers that have ended already; the others become the init's children with our end."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
