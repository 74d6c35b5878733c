"""The worker: root of a user namespace, in a process of its own, for work on mapped IDs.

A program, started by rootless.layer.userns as `python -I -S worker.py CONTROL-FD REQUEST PATH...`,
so that callers with threads never fork; PATH is where Python looks for modules.  It unshares, says
so on the control socket, waits for its ID maps, does what the request names (JSON) and answers with
JSON.  It dies with its caller.
"""

import errno
import os
import sys


def main() -> int:
    control = int(sys.argv[1])
    sys.path[:0] = sys.argv[3:]
    from rootless import fastjson
    from rootless.errors import DigestMismatch, KernelError, RlError

    request = fastjson.loads(sys.argv[2])
    answer: dict[str, object]
    try:
        if not _enter(control, request):
            return 1  # the parent knows why
        from rootless.layer import tasks

        answer = {"result": tasks.TASKS[request["task"]](request["arguments"])}
    except KernelError as e:
        answer = {"errno": e.errno, "call": e.call, "target": e.target, "remedy": e.remedy}
    except DigestMismatch as e:
        answer = {"what": e.what, "expected": e.expected, "actual": e.actual}
    except RlError as e:
        answer = {"error": type(e).__name__, "what": e.what, "remedy": e.remedy, "code": e.code}
    except MemoryError:
        answer = {"errno": errno.ENOMEM, "call": "worker", "target": request["task"]}
    except OSError as e:
        answer = {"errno": e.errno or 0, "call": "worker", "target": str(e.filename or "")}
    data = fastjson.dumps(answer).encode()
    while data:
        data = data[os.write(control, data) :]
    os._exit(0)  # a reading thread may wait for ever: there is nothing to wait for


def _enter(control: int, request: "dict[str, object]") -> bool:
    """Become root of new namespaces; False when the parent could not map the IDs."""
    import resource
    import signal

    from rootless.errors import KernelError
    from rootless.linux import namespaces, syscalls

    parent = os.getppid()
    # A descriptor for each directory on the way down: as deep as a path can be.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    flags = int(str(request["flags"]))
    try:
        syscalls.unshare(flags | syscalls.CLONE_NEWUSER)
    except KernelError as e:
        from rootless.linux import hostfacts

        raise hostfacts.explain_user_namespace_failure(e.errno) from e
    os.write(control, b"r")
    if os.read(control, 1) != b"m":
        return False
    namespaces.become_root()
    # Cleared by the change of IDs, so it comes after.  The caller may have died before.
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


if __name__ == "__main__":
    sys.exit(main())
