"""What a test needs of the host, as `@pytest.mark.needs("newuidmap", "overlay")` names it.

A name without an entry in CHECKS is the name of a program.  Where something is missing the test
is skipped with the reason; with CI=true or RL_TEST_STRICT=1 it fails, so that nothing is
silently left out.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Callable

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def strict() -> bool:
    """Whether something missing is a failure instead of a skip."""
    return os.environ.get("CI") == "true" or os.environ.get("RL_TEST_STRICT") == "1"


@functools.cache
def missing(name: str) -> str | None:
    """Why the host does not have `name`; None if it does."""
    check = CHECKS.get(name)
    if check is not None:
        return check()
    if shutil.which(name, path=SEARCH_PATH) is None:
        return f"the program {name} is not installed"
    return None


def faketime() -> str:
    """The library that gives a program another calendar clock; "" without it."""
    import glob

    return next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")


def _user() -> str | None:
    return "tests of rl run as an ordinary user, not as root" if os.getuid() == 0 else None


def _unshare(*flags: str) -> str | None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", *flags],
        capture_output=True,
        text=True,
        env={"PATH": SEARCH_PATH},
    )
    return None if done.returncode == 0 else done.stderr.strip().replace("\n", "; ")


def _userns() -> str | None:
    reason = _unshare("true")
    return reason and f"no user namespaces: {reason}"


def _overlay() -> str | None:
    # On the file system that holds the tests' stores: overlay works on some and not on others.
    directory = os.environ.get("RL_TEST_DIR") or "/var/tmp"
    script = (
        'd=$(mktemp -d "$0/overlay.XXXXXX") && mkdir $d/l $d/u $d/w $d/m && '
        "mount -t overlay -o userxattr,lowerdir=$d/l,upperdir=$d/u,workdir=$d/w o $d/m; r=$?; "
        "umount $d/m 2>/dev/null; rm -rf $d; exit $r"
    )
    reason = _unshare("--mount", "sh", "-c", script, directory)
    return reason and f"no overlayfs in a user namespace: {reason}"


def _subids() -> str | None:
    for path in ("/etc/subuid", "/etc/subgid"):
        import pwd

        names = {pwd.getpwuid(os.getuid()).pw_name, str(os.getuid())}
        try:
            with open(path) as f:
                if not any(line.split(":")[0] in names for line in f):
                    return f"{path} gives this user no subordinate IDs"
        except OSError as e:
            return f"{path}: {e.strerror}"
    return missing("newuidmap") or missing("newgidmap")


def _device(path: str) -> Callable[[], str | None]:
    def check() -> str | None:
        return None if os.access(path, os.R_OK | os.W_OK) else f"{path} cannot be opened"

    return check


def _ipv6() -> str | None:
    import socket

    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
    except OSError as e:
        return f"no IPv6 loopback: {e.strerror}"
    return None


def _landlock() -> str | None:
    import ctypes

    version = ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset(2)
    return None if version >= 4 else f"the kernel's Landlock is ABI {version}, not 4 or newer"


CHECKS: dict[str, Callable[[], str | None]] = {
    "user": _user,
    "userns": _userns,
    "overlay": _overlay,
    "subids": _subids,
    "fuse": _device("/dev/fuse"),
    "tun": _device("/dev/net/tun"),
    "ipv6": _ipv6,
    "landlock": _landlock,
    "faketime": lambda: None if faketime() else "libfaketime is not installed",
}
