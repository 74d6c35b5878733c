"""python stack_runner.py PID OPTIONS PORT...: the driver netstack for a process's namespaces.

A PORT is host-ip/host-port/container-port.  Says "ready"; goes on until the process ends.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from rootless.network.netstack import Netstack  # after the path
from rootless.network.ports import Port
from rootless.runtime.streams import Pump

pid = int(sys.argv[1])
ports = []
for text in sys.argv[3:]:
    ip, host_port, container_port = text.split("/")
    ports.append(Port(ip, int(host_port), int(container_port), "tcp"))
driver = Netstack(ports, sys.argv[2].split(",") if sys.argv[2] else [], host_gateway=False)
pump = Pump(os.pidfd_open(pid), {}, -1, None)
driver.start(pid)
driver.finish()
driver.serve(pump)
print("ready", flush=True)
pump.run()
driver.close()
