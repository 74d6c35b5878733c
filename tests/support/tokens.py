"""A token service for docker-registry (distribution's "token" authentication), on loopback.

Tokens are JSON Web Tokens, signed by openssl with a key whose certificate the registry trusts.
"""

import base64
import json
import os
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SERVICE, ISSUER = "the-registry", "the-issuer"
REFRESH = "refresh-of-ann"  # the identity token of ann


class TokenService:
    """Knows ann (who may do all below ann/), bob (who may pull there), and anonymous users (who
    may pull below public/).  `asked` has the (user, scopes) of each request."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        self.asked: list[tuple[str, list[str]]] = []
        self.expired = 0  # so many tokens to come are of no use any more
        self.key, self.certificate = f"{directory}/key.pem", f"{directory}/cert.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key,
             "-out", self.certificate, "-days", "2", "-subj", "/CN=tokens"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        with open(self.certificate) as f:
            self._x5c = "".join(line.strip() for line in f if "-----" not in line)
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self._answer(_user(self.headers.get("Authorization", "")), query)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                form = parse_qs(self.rfile.read(length).decode())
                known = form.get("refresh_token") == [REFRESH]
                self._answer("ann" if known else None, form)

            def _answer(self, user: str | None, query: dict[str, list[str]]) -> None:
                status, answer = service.answer(user, query)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.realm = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def setting(self) -> dict[str, object]:
        """What docker-registry needs to know."""
        return {
            "token": {
                "realm": self.realm,
                "service": SERVICE,
                "issuer": ISSUER,
                "rootcertbundle": self.certificate,
            }
        }

    def answer(
        self, user: str | None, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, object]]:
        """Status and document for a request; user None has given what is wrong."""
        scopes = " ".join(query.get("scope", [])).split()
        self.asked.append((str(user), scopes))
        if user is None:
            return 401, {"details": "incorrect username or password"}
        if query.get("service") != [SERVICE]:
            return 400, {"details": "another service"}
        expired, self.expired = self.expired > 0, max(self.expired - 1, 0)
        found: dict[str, object] = {"token": self.sign(user, scopes, expired=expired)}
        if query.get("offline_token") and user:
            found["refresh_token"] = REFRESH
        return 200, found

    def sign(self, user: str, scopes: list[str], *, expired: bool = False) -> str:
        """A token for what the user may do of `scopes`."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = {
                "ann": {"pull", "push"} if name.startswith("ann/") else set(),
                "bob": {"pull"} if name.startswith("ann/") else set(),
                "root": {"pull", "push"},
            }.get(user, set())
            allowed |= {"pull"} if name.startswith("public/") else set()
            granted = [action for action in actions.split(",") if action in allowed]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time()) - (3600 if expired else 0)
        claims = {
            "iss": ISSUER, "sub": user, "aud": SERVICE, "iat": now, "nbf": now - 60,
            "exp": now + 300, "jti": os.urandom(8).hex(), "access": access,
        }  # fmt: skip
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self._x5c]}
        text = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(claims).encode())}"
        with tempfile.NamedTemporaryFile(dir=self.directory) as file:
            file.write(text.encode())
            file.flush()
            done = subprocess.run(
                ["openssl", "dgst", "-sha256", "-sign", self.key, file.name],
                check=True, capture_output=True, timeout=60,
            )  # fmt: skip
        return f"{text}.{_base64(done.stdout)}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _user(header: str) -> str | None:
    """The user of a Basic header: "" for none, None for a wrong password."""
    if not header:
        return ""
    user, _, password = base64.b64decode(header.partition(" ")[2]).decode().partition(":")
    return user if password == f"{user}-secret" else None


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
