"""Workers in the user namespace: started as fresh programs, safe from any thread."""

import json
import os
import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING, cast

from rootless import errors
from rootless.errors import BadDocument, DigestMismatch, KernelError, RlError
from rootless.linux import idmap
from rootless.linux.namespaces import WorkerFailed
from rootless.store import mapping

if TYPE_CHECKING:
    from rootless.context import Context

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PIPE_SIZE = 1 << 20


class Worker:
    """One task of rootless.layer.tasks in a worker process.  Use as a context manager.

    `stdin` and `stdout` are descriptors or subprocess.PIPE; leaving the block early kills it.
    """

    def __init__(
        self,
        ctx: "Context",
        task: str,
        arguments: "dict[str, object]",
        *,
        flags: int = 0,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int | None = None,
    ) -> None:
        import socket

        self._control, theirs = socket.socketpair()
        path = [_ROOT, *(p for p in sys.path if p and p != _ROOT)]
        request = {"flags": flags, "task": task, "arguments": arguments}
        argv = [sys.executable, "-I", "-S", _PROGRAM]
        argv += [str(theirs.fileno()), json.dumps(request), *path]
        with theirs:
            self.process = subprocess.Popen(
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=(theirs.fileno(),),
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                pipesize=_PIPE_SIZE if stdin == subprocess.PIPE else -1,
            )
        try:
            first = self._control.recv(1)
            if first == b"r":
                idmap.write_maps(mapping.default_map(ctx), self.process.pid, ctx.environ)
                self._control.send(b"m")
                first = b""
            # Anything else is the beginning of an answer that says what went wrong.
            self._answer = first
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def feed(self, chunk: "bytes | memoryview") -> bool:
        """Write to the worker's stdin; False when it has stopped reading (see result())."""
        assert self.process.stdin is not None
        fd = self.process.stdin.fileno()
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(fd, view) :]
        except BrokenPipeError:
            return False
        return True

    def result(self) -> object:
        """Close its stdin, wait for its answer; the errors it met are raised here."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        data = self._answer
        while chunk := self._control.recv(1 << 16):
            data += chunk
        status = self.process.wait()
        if not data:
            raise WorkerFailed(f"the worker in the user namespace ended with status {status}")
        return _unwrap(json.loads(data))

    def kill(self) -> None:
        """End it, whatever it does, and reap it."""
        self._control.close()
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def run(ctx: "Context", task: str, arguments: "dict[str, object]") -> object:
    """Do one task in a worker and return its result."""
    with Worker(ctx, task, arguments) as worker:
        return worker.result()


def _unwrap(answer: "dict[str, object]") -> object:
    if "result" in answer:
        return answer["result"]
    remedy = cast("str | None", answer.get("remedy"))
    if "errno" in answer:
        code = int(cast("int", answer["errno"]))
        raise KernelError(str(answer["call"]), code, str(answer["target"]), remedy=remedy)
    if "expected" in answer:
        what = str(answer["what"]).partition(": expected ")[0]
        raise DigestMismatch(what, str(answer["expected"]), str(answer["actual"]))
    kind = getattr(errors, str(answer["error"]), RlError)
    if not (isinstance(kind, type) and issubclass(kind, RlError)):
        raise BadDocument(str(answer["what"]))
    raise kind(str(answer["what"]), remedy=remedy, code=str(answer["code"]))
