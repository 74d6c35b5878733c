"""What user-mode Linux lacks: nftables' ip family, which netstack redirects by."""

import http.server
import os
import threading

import pytest
from support.program import Rl


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"from the host\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.host("qemu", "systemd")
def test_network_takes_its_way_by_the_kernel(rl: Rl) -> None:
    """Nothing stands in for netstack where the host's loopback is asked for."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = (
        "run", "--rm", "--network", "netstack:allow_host_loopback=true", "busybox",
        "wget", "-T", "60", "-qO-", f"http://10.0.2.2:{server.server_port}/",
    )  # fmt: skip
    try:
        if os.environ["RL_LAB_HOST"] == "qemu":
            assert rl.out(*command) == "from the host"
        else:
            assert "nft" in rl.fails(*command, code="RL-NETWORK")
    finally:
        server.shutdown()
        server.server_close()
