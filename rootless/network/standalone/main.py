"""rl-netstack: gives a network namespace its connection to the world.

Command line, lines of output, signals and exit statuses are those of slirpnetstack
(https://github.com/cloudflare/slirpnetstack): it listens to SIGINT and SIGTERM, and sends SIGWINCH
to its parent when it is ready.
"""

import os
import sys
import time

import rootless
from rootless.linux import syscalls
from rootless.network.standalone import flags
from rootless.network.standalone.options import Options, table

# What slirpnetstack returns, -2 and so on, as a process has it.
(
    BAD_METRICS, BAD_DEVICE, BAD_CHOICE, _BAD_LINK, BAD_CAPTURE, _BAD_SNIFFER, _BAD_NIC,
    BAD_LISTEN, BAD_NAME,
) = range(254, 245, -1)  # fmt: skip
BAD_USAGE = 2
_SIGTERM = 15


def main() -> int:
    """The program; its exit status."""
    argv = sys.argv
    options = Options()
    known = table(options)
    try:
        flags.parse(known, argv[1:])
    except flags.BadFlag as e:
        say(f"{e}\n{flags.usage(argv[0], known)}".strip())
        return BAD_USAGE
    if options.version:
        built = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(os.stat(__file__).st_mtime))
        text = f"slirpnetstack version {rootless.__version__} (rl-netstack)\nbuild time {built}\n"
        os.write(1, text.encode())
        return 0
    options.finish()
    from rootless.network.standalone.program import Program

    return Program(options).run()


def say(line: str) -> None:
    """A line on standard error."""
    os.write(2, os.fsencode(line) + b"\n")


def die_with_parent() -> None:
    """Get SIGTERM when the parent ends."""
    parent = os.getppid()
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), _SIGTERM)
