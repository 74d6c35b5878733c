"""python stack_runner.py PID OPTIONS PORT...: the driver netstack for a process's namespaces.

A PORT is host-ip/host-port/container-port.  Says "ready", and which driver it is; goes on until
the process ends.  RL_TEST_OTHER is the driver to take, should netstack not work.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from rootless.network import driver as drivers  # after the path
from rootless.network.netstack import Netstack
from rootless.network.ports import Port
from rootless.runtime.streams import Pump

pid = int(sys.argv[1])
ports = []
for text in sys.argv[3:]:
    ip, host_port, container_port = text.split("/")
    ports.append(Port(ip, int(host_port), int(container_port), "tcp"))
other = os.environ.get("RL_TEST_OTHER", "")
driver = Netstack(
    ports, sys.argv[2].split(",") if sys.argv[2] else [], host_gateway=False,
    otherwise=lambda: drivers.replacement(
        ports, f"{os.environ['RL_TEST_DIRECTORY']}/n", os.environ, [other] if other else []
    ),
)  # fmt: skip
pump = Pump(os.pidfd_open(pid), {}, -1, None)
driver.start(pid)
driver.finish()
driver.serve(pump)
print("ready", driver.name, flush=True)
pump.run()
driver.close()
