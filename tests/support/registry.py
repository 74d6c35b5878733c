"""Debian's docker-registry on loopback, and a push of a few lines."""

import base64
import http.client
import json
import os
import subprocess
import time

from support.images import DOCKER_LIST, OCI_INDEX, Image, digest

USER, PASSWORD = "ann", "secret"  # of a private registry
HTPASSWD = "ann:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"


class Registry:
    """A running registry; `host` is what goes before the first slash of a reference."""

    def __init__(
        self,
        directory: str,
        port: int,
        *,
        private: bool = False,
        auth: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """`auth` is docker-registry's setting of that name, `headers` go with our requests."""
        self.headers: dict[str, str] = dict(headers or {})
        self.host = f"127.0.0.1:{port}"
        self.port = port
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        configuration = f"{directory}/config.json"  # JSON is YAML
        settings: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": f"{directory}/data"},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.host},
            # Layers that are elsewhere; it takes none by itself.
            "validation": {"manifests": {"urls": {"allow": ["^http://"]}}},
        }
        if auth is not None:
            settings["auth"] = auth
        if private:
            with open(f"{directory}/htpasswd", "w") as f:
                f.write(HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "test", "path": f"{directory}/htpasswd"}}
            pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            self.headers["Authorization"] = f"Basic {pair}"
        with open(configuration, "w") as f:
            json.dump(settings, f)
        with open(f"{directory}/log", "wb") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin", "HOME": directory, "OTEL_TRACES_EXPORTER": "none"},
            )
        self._wait_ready()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self.request("GET", "/v2/")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        with open(f"{self.directory}/log") as f:
            raise AssertionError(f"docker-registry does not answer: {f.read()}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """One HTTP request: status, headers (lower case) and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            head = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, head, answer.read()
        finally:
            connection.close()

    def put_blob(self, repository: str, data: bytes) -> None:
        """Upload a blob, unless it is there."""
        if self.request("HEAD", f"/v2/{repository}/blobs/{digest(data)}")[0] == 200:
            return
        status, head, body = self.request("POST", f"/v2/{repository}/blobs/uploads/")
        assert status == 202, body
        place = head["location"].partition(self.host)[2] or head["location"]
        join = "&" if "?" in place else "?"
        status, _, body = self.request(
            "PUT",
            f"{place}{join}digest={digest(data)}",
            data,
            {"Content-Type": "application/octet-stream"},
        )
        assert status == 201, body

    def put_manifest(self, repository: str, tag: str, media_type: str, data: bytes) -> str:
        """Store a manifest as it is; returns its digest."""
        status, _, body = self.request(
            "PUT", f"/v2/{repository}/manifests/{tag}", data, {"Content-Type": media_type}
        )
        assert status == 201, body
        return digest(data)

    def push(self, repository: str, image: Image, tag: str = "latest") -> str:
        """Upload an image; returns its reference, HOST/REPOSITORY:TAG."""
        for _, blob in image.layer_blobs():
            self.put_blob(repository, blob)
        self.put_blob(repository, image.config_blob())
        self.put_manifest(repository, tag, image.media_type, image.manifest())
        return f"{self.host}/{repository}:{tag}"

    def push_index(
        self, repository: str, images: list[Image], tag: str = "latest", *, docker: bool = False
    ) -> str:
        """Upload images of several platforms and the index that names them."""
        entries = []
        for image in images:
            manifest = image.manifest()
            self.push(repository, image, digest(manifest))
            entries.append(
                {
                    "mediaType": image.media_type,
                    "digest": digest(manifest),
                    "size": len(manifest),
                    "platform": {"os": "linux", "architecture": image.architecture},
                }
            )
        kind = DOCKER_LIST if docker else OCI_INDEX
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
        self.put_manifest(repository, tag, kind, json.dumps(index).encode())
        return f"{self.host}/{repository}:{tag}"

    def blob_file(self, blob_digest: str) -> str:
        """Where the registry keeps a blob: tests damage it."""
        value = blob_digest.partition(":")[2]
        return f"{self.directory}/data/docker/registry/v2/blobs/sha256/{value[:2]}/{value}/data"
