"""The container of a RUN, from its start to its end."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rootless import ids
from rootless.build import commit
from rootless.linux import process, pty
from rootless.runtime import launch, limits, rootfs
from rootless.runtime.streams import Pump
from rootless.store import mapping

if TYPE_CHECKING:
    from rootless.build.options import BuildOptions
    from rootless.context import Context
    from rootless.network.driver import Driver
    from rootless.runtime import stage

HOSTNAME = "buildkitsandbox"  # as with BuildKit, and the same at each build


class Sandbox:
    """What rootless.runtime wants to know of a container that is in no store."""

    def __init__(self, directory: str, hostname: str) -> None:
        self.id = ids.new_container_id()
        self.directory = directory
        self.config = {"hostname": hostname, "domainname": ""}


class Execution:
    """`note` gets sentences for the user: limits that do not hold, and what was killed."""

    def __init__(
        self,
        ctx: "Context",
        plan: "stage.Plan",
        config: dict[str, Any],
        options: "BuildOptions",
        box: Sandbox,
        network: "Driver",
        note: Callable[[str], None],
    ) -> None:
        self._ctx = ctx
        self._plan = plan
        self._config = config
        self._box = box
        self._network = network
        self._note = note
        policy = options.limits or str(ctx.config.get("limits", "strict"))
        self._cgroup = limits.prepare(ctx, box.id, config["rl"]["resources"], policy)

    def run(self, stdio: Sequence[int]) -> int:
        """Start the command, wait for it, clean up; its exit code, 128 + N for a signal.

        `stdio` are its descriptors 0, 1 and 2, of which the outputs are closed here: what it
        writes ends with the last writer, which must not be us.  Raises RlError.
        """
        started = self._start(stdio)
        recorder = self._recorder(started)
        for fd in stdio[1:]:
            os.close(fd)
        try:
            self._serve(started)
        except BaseException:
            process.signal_process(started.pidfd, launch.KILL)
            raise
        finally:
            _, status = os.waitpid(started.pid, 0)
            if recorder is not None:
                recorder.finish()
            started.network.close()
            killed = self._end_limits()
        trace = self._ctx.trace
        if trace is not None:
            trace.lap("the command ran, and its container was cleaned up", status=status)
        if killed:
            self._note(killed)
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code

    def _start(self, stdio: Sequence[int]) -> launch.Started:
        trace, cgroup = self._ctx.trace, self._cgroup
        if trace is not None:
            count = len(self._plan.operations)
            trace.lap(f"planned its container: the layers below, {count} mounts")
            trace.open("started its container", container=self._box.id)
        for sentence in cgroup.notes if cgroup is not None else ():
            self._note(sentence)
        started = launch.launch(
            self._plan,
            namespaces=rootfs.namespace_flags(self._config, self._network),
            idmap=mapping.default_map(self._ctx),
            network=self._network,
            cgroup=cgroup,
            stdio=stdio,
            environ=self._ctx.environ,
        )
        if trace is not None:
            trace.close()
        if started.user != (0, 0):
            commit.put_owner(self._box.directory, started.user)
        return started

    def _recorder(self, started: launch.Started) -> "Any":
        """Who notes the owners that the command gives to files, where one ID is mapped."""
        if started.listener_fd < 0:
            return None
        from rootless.runtime import owners

        root = self._plan.root
        links = f"{self._box.directory}/{commit.LINKS}"
        upper = f"{root.base}/{root.upper}"
        return owners.Recorder(started.listener_fd, started.pidfd, upper, links)

    def _serve(self, started: launch.Started) -> None:
        """Until the command has ended."""
        master = started.master_fd
        terminal = master >= 0
        pump = Pump(started.pidfd, {master: "stdout"} if terminal else {}, master, None)
        self._network.serve(pump)
        if self._cgroup is not None:
            self._cgroup.watch(started, pump)
        if not terminal:
            pump.run()
            return
        from rootless.runtime.exec import TerminalClient

        client = TerminalClient(pump, b"", read_input=True)
        pump.clients.append(client)
        with pty.RawMode(0):
            pump.run()
            client.finish()

    def _end_limits(self) -> str:
        """Remove the cgroup; a sentence if the command was killed for memory."""
        cgroup = self._cgroup
        if cgroup is None:
            return ""
        killed = cgroup.end_message() if cgroup.oom_killed() else ""
        cgroup.remove()
        return killed
