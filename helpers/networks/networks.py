"""The process that keeps a user's networks with names, while a container is on one.

    python3 -I -S networks.py PACKAGE-ROOT SITE STORE RUNTIME FD [USER-NS-FD NETWORK-NS-FD]

PACKAGE-ROOT is the directory that holds the package rootless, SITE where its dependencies are,
with colons between.  The rest is described in rootless.network.bridge.helper.
"""

import os
import sys

if os.fork():
    os._exit(0)  # nobody's child: it stays when who needed it first has gone

sys.path.insert(0, sys.argv[1])
if sys.argv[2]:
    sys.path += sys.argv[2].split(":")

from rootless.network.bridge import helper  # after the path

if __name__ == "__main__":
    sys.exit(helper.main(sys.argv[3:]))
