"""The rest of the host: kernel, limits, runtime directory, programs, kernel limits."""

import os
import resource
import stat
import sys

from rootless.context import Context
from rootless.doctor.verdict import UNAVAILABLE, Ladder, Rung
from rootless.linux import cgroup, process
from rootless.linux.hostneeds import kernel_version
from rootless.linux.hostread import HostProblem, number, read, sysctl_request
from rootless.paths import runtime_candidates
from rootless.records import replace
from rootless.runtime import host_helpers, limits

KERNEL_LEAST = (5, 8)  # setns(pidfd) with several namespaces; openat2 came with 5.6
PYTHON_LEAST = (3, 11)
INSTANCES_LEAST = 512  # Ubuntu's default is 128: a handful of containers with systemd or watchers
KEYS_LEAST = 1000
PROGRAMS = (
    # program, package (Debian), what for.  What a ladder needs is asked for there.
    ("newuidmap", "uidmap", "more than one user ID in containers"),
    ("newgidmap", "uidmap", "more than one group ID in containers"),
    ("getsubids", "uidmap", "subordinate IDs from LDAP and SSSD"),
    ("slirp4netns", "slirp4netns", "the network"),
    ("pasta", "passt", "the network, with IPv6"),
    ("fuse-overlayfs", "fuse-overlayfs", "root file systems on kernels before 5.11"),
    ("squashfuse_ll", "squashfuse", "images of shared stores"),
    ("sqfstar", "squashfs-tools", "rl image publish"),
    ("catatonit", "catatonit", "run --init; tini will do"),
    ("mmdebstrap", "mmdebstrap", "rl bootstrap debian"),
)
NO_LADDER = ("catatonit", "mmdebstrap", "squashfuse_ll", "sqfstar")


def probe_kernel(ctx: Context) -> list[Ladder]:
    """Kernel and Python are new enough."""
    release = os.uname().release
    kernel = Ladder("kernel", "Kernel", required=True)
    if kernel_version(release) >= KERNEL_LEAST:
        kernel.rungs.append(Rung(f"Linux {release}", why=os.uname().machine))
    else:
        error = HostProblem(
            f"Linux {release} is too old: rl needs {KERNEL_LEAST[0]}.{KERNEL_LEAST[1]}",
            code="RL-HOST-KERNEL",
            remedy="use a host with a newer kernel (5.11 and later need no helper for overlays)",
        )
        kernel.rungs.append(Rung.failed(f"Linux {release}", error))
    version = ".".join(str(part) for part in sys.version_info[:3])
    python = Ladder("python", "Python", required=True)
    new_enough = sys.version_info[:2] >= PYTHON_LEAST
    python.rungs.append(
        Rung(f"Python {version}", why=sys.executable)
        if new_enough
        else Rung(f"Python {version}", UNAVAILABLE, "rl needs Python 3.11", code="RL-HOST-PYTHON")
    )
    return [kernel, python]


def probe_limits(ctx: Context) -> list[Ladder]:
    """Which controllers each rung can give a container."""
    where = cgroup.hierarchy()
    wanted = frozenset(limits.CONTROLLERS)
    ladder = Ladder("limits", "Limits")
    scope = limits.scope_controllers(ctx, where)
    ladder.rungs.append(_limit_rung("systemd user scope", scope, wanted, where, ctx))
    ours = cgroup.delegated(where)
    delegated: frozenset[str] | str = (
        frozenset().union(*(cgroup.controllers(path) for path in ours))
        if ours
        else limits.delegation_problem(where, sorted(wanted))
    )
    ladder.rungs.append(_limit_rung("delegated control group", delegated, wanted, where, ctx))
    ladder.rungs.append(
        Rung("none", why="-m, --cpus, … are errors, or weaker with --limits=best-effort")
    )
    return [ladder]


def _limit_rung(
    name: str,
    found: "frozenset[str] | str",
    wanted: frozenset[str],
    where: cgroup.Hierarchy,
    ctx: Context,
) -> Rung:
    if not isinstance(found, str) and found & wanted:
        missing = sorted(wanted - found)
        text = ", ".join(sorted(found & wanted))
        return Rung(name, why=text + (f" (not: {', '.join(missing)})" if missing else ""))
    why = found if isinstance(found, str) else "no controller is delegated"
    return Rung(
        name,
        UNAVAILABLE,
        why,
        "run without limits, or with --limits=best-effort",
        limits.admin_request(where, sorted(wanted), ctx.user_name()),
        "RL-LIMIT-NOT-DELEGATED",
    )


def probe_runtime_directory(ctx: Context) -> list[Ladder]:
    """Which of the runtime directories is ours, private, and can be written."""
    rungs = []
    for path in runtime_candidates(dict(ctx.environ), ctx.uid):
        problem = _runtime_problem(path, ctx.uid)
        if problem:
            remedy = "log in through PAM (ssh, machinectl shell) rather than su or sudo"
            rungs.append(Rung(path, UNAVAILABLE, problem, remedy, code="RL-HOST-RUNTIME-DIR"))
        else:
            rungs.append(Rung(path))
    if all(rung.state == UNAVAILABLE for rung in rungs[:-1]):
        user = ctx.user_name()
        rungs[0] = Rung(
            rungs[0].name, UNAVAILABLE, rungs[0].why, rungs[0].remedy,
            f"sudo loginctl enable-linger {user}      # makes /run/user/{ctx.uid} at boot",
            rungs[0].code,
        )  # fmt: skip
    return [Ladder("runtime-dir", "Runtime directory", rungs, required=True)]


def _runtime_problem(path: str, uid: int) -> str:
    """Why rl cannot keep its sockets at `path`, "" when it can."""
    try:
        entry = os.lstat(path)
    except FileNotFoundError:
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            return f"{parent} does not exist"
        return "" if os.access(parent, os.W_OK | os.X_OK) else f"{parent} cannot be written"
    except OSError as e:
        return str(e.strerror)
    if not stat.S_ISDIR(entry.st_mode):
        return "it is not a directory"
    if entry.st_uid != uid:
        return f"it belongs to user ID {entry.st_uid}"
    if entry.st_mode & 0o022:
        return f"others may write in it (mode {stat.S_IMODE(entry.st_mode):04o})"
    return ""


def probe_programs(ctx: Context) -> list[Ladder]:
    """Programs that rl calls where they are installed."""
    ladders = []
    for name, package, use in PROGRAMS:
        path = process.find_program(name, ctx.environ)
        if path is None and name == "catatonit":
            path = process.find_program("tini", ctx.environ)
        if path:
            rung = Rung(name, why=f"{path}, for {use}")
        else:
            rung = Rung(name, UNAVAILABLE, f"not installed, for {use}", code="RL-HOST-PROGRAM")
            if name in NO_LADDER:
                admin = f"sudo apt-get install {package}      # or: sudo dnf install {package}"
                remedy = f"install the package {package}"
                if name in host_helpers.PACKAGES:
                    remedy = f"fetch it with rl setup {name}, or {remedy}"
                rung = replace(rung, remedy=remedy, admin=admin)
        ladders.append(Ladder(f"program-{name}", "Programs", [rung]))
    return ladders


def probe_kernel_limits(ctx: Context) -> list[Ladder]:
    """Counters that run out with many containers."""
    ladders = []
    for need, title, path, least in (
        ("inotify", "Inotify instances", "fs/inotify/max_user_instances", INSTANCES_LEAST),
        ("keyrings", "Kernel keys", "kernel/keys/maxkeys", KEYS_LEAST),
    ):
        value = number(f"/proc/sys/{path}")
        if value is None:
            continue
        sysctl = path.replace("/", ".")
        if value >= least:
            rung = Rung(f"{sysctl} = {value}")
        else:
            rung = Rung.failed(
                f"{sysctl} = {value}",
                HostProblem(
                    "enough for a few containers only",
                    code="RL-HOST-KERNEL-LIMIT",
                    remedy=f"with many containers ask an administrator for: sysctl -w "
                    f"{sysctl}={least}",
                    admin=sysctl_request(sysctl, str(least)),
                ),
            )
        ladders.append(Ladder(need, title, [rung]))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    ladders.append(Ladder("nofile", "Open files", [Rung(f"ulimit -Hn = {shown}")]))
    return ladders


def describe(ctx: Context) -> dict[str, str]:
    """The first line of the report."""
    system = ""
    for line in read("/etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            system = value.strip('"')
    return {
        "system": system or "Linux",
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "user": ctx.user_name(),
        "uid": str(ctx.uid),
        "store": ctx.paths.store,
        "runtime": ctx.paths.runtime,
    }
