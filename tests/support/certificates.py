"""Certificates of servers in tests, made with openssl."""

import subprocess


def make(directory: str, names: str = "IP:127.0.0.1") -> tuple[str, str]:
    """Files with a certificate that signs itself, for `names` (as in subjectAltName), and its
    key."""
    certificate, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "2", "-subj", "/CN=t", "-addext", f"subjectAltName={names}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return certificate, key
