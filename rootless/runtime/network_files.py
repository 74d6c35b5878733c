"""hosts, resolv.conf and hostname of a container, in its directory.  Warm."""

import os

from rootless.network import resolv
from rootless.network.pasta import host_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rootless.network.driver import Driver
    from rootless.store.containers import Container


def write(container: "Container", network: "Driver", asked: "dict[str, Any]") -> None:
    """Write the three files in place: the container has them mounted."""
    hostname = str(container.config["hostname"])
    domainname = str(container.config.get("domainname", ""))
    entries = [(str(name), str(address)) for name, address in asked["add_hosts"]]
    if any(address == "host-gateway" for _, address in entries):
        gateway = network.host or host_address() or "127.0.0.1"
        entries = [(name, gateway if ip == "host-gateway" else ip) for name, ip in entries]
    names = [f"{hostname}.{domainname}", hostname] if domainname else [hostname]
    if network.name == "none":
        names = []
    files = {
        "hosts": resolv.hosts(entries, network.addresses or [network.ip], names),
        "resolv.conf": resolv.resolv_conf(
            resolv.read_host(),
            nameserver=network.nameserver,
            shares_host=not network.new_namespace,
            # The networks' own name server asks the others: no answer of theirs comes first.
            servers=[network.nameserver]
            if network.addresses and network.nameserver
            else asked["dns"],
            search=asked["dns_search"],
            options=asked["dns_options"],
            ndots=0 if network.addresses and network.nameserver else None,
        ),
        "hostname": f"{hostname}\n",
    }
    if network.like:
        for name in ("hosts", "resolv.conf"):
            with open(f"{network.like}/{name}", encoding="utf-8") as file:
                files[name] = file.read()
    for name, text in files.items():
        with open(f"{container.directory}/{name}", "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)  # for every user of the container, and root's alone
            file.write(text)
