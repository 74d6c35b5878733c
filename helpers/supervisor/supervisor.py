"""The process that stays with a detached container.

    python3 -I -S supervisor.py PACKAGE-ROOT SITE STORE RUNTIME FD

PACKAGE-ROOT is the directory that holds the package rootless, SITE where its dependencies are,
with colons between (for a systemd scope, and what it starts itself).  The rest is described in
rootless.runtime.supervisor.
"""

import sys

sys.path.insert(0, sys.argv[1])
if sys.argv[2]:
    sys.path += sys.argv[2].split(":")

from rootless.runtime import supervisor  # after the path

if __name__ == "__main__":
    sys.exit(supervisor.main(sys.argv[3:]))
