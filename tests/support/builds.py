"""Contexts for `rl build`, and builds of them."""

import os
import re
import subprocess
import textwrap
import uuid
from typing import Any

from support.program import Rl

BASE = "busybox:latest"


class Project:
    """A directory with a Dockerfile; `build` gives the image's ID, `script` what it prints."""

    def __init__(self, rl: Rl, directory: str) -> None:
        self.rl = rl
        self.directory = directory
        self.network: list[str] = ["--network", "none"]  # a quarter faster; tests may empty it
        os.makedirs(directory, exist_ok=True)

    def write(self, files: dict[str, str | bytes | None]) -> "Project":
        """Write files: None is a directory, "-> x" a symbolic link, "#!…" executable."""
        for name, content in files.items():
            path = f"{self.directory}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if content is None:
                os.makedirs(path, exist_ok=True)
                continue
            if isinstance(content, str) and content.startswith("-> "):
                os.symlink(content[3:], path)
                continue
            data = os.fsencode(content) if isinstance(content, str) else content
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, 0o755 if data.startswith(b"#!") else 0o644)
        return self

    def dockerfile(self, text: str) -> "Project":
        """Set the Dockerfile; FROM busybox is put in front of one without any FROM."""
        text = textwrap.dedent(text).lstrip("\n")
        if not re.search(r"(?im)^FROM ", text):
            text = f"FROM {BASE}\n{text}"
        return self.write({"Dockerfile": text})

    def run(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`rl build --progress plain ARGS… DIRECTORY`."""
        words = ["build", "--progress", "plain", *self.network, *args]
        return self.rl.run(*words, self.directory, **options)

    def build(self, text: str = "", *args: str, **options: Any) -> str:
        """Build (this Dockerfile); the image's ID."""
        if text:
            self.dockerfile(text)
        file = f"{self.directory}-iid-{uuid.uuid4().hex}"
        self.run("--iidfile", file, *args, **options)
        with open(file) as iid:
            image = iid.read()
        os.unlink(file)
        assert re.fullmatch("sha256:[0-9a-f]{64}", image), image
        return image

    def fails(self, text: str, *args: str, code: str = "RL-", **options: Any) -> str:
        """Build what must fail: all that is on standard error."""
        if text:
            self.dockerfile(text)
        done = self.run(*args, status=1, **options)
        assert "Traceback" not in done.stderr, done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1 and f"[{code}" in errors[0], done.stderr
        return done.stderr

    def script(self, text: str, script: str, *args: str) -> str:
        """Build, and run a shell script in the image; what it prints."""
        return self.inside(self.build(text, *args), script)

    def inside(self, image: str, script: str) -> str:
        """What a shell script prints in a container of `image`."""
        return self.rl.out(
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            "/bin/sh",
            image,
            "-c",
            f"{script}\n:",
        )

    def config(self, image: str) -> dict[str, Any]:
        """The image's Config, as inspect shows it."""
        return dict(self.rl.inspect(image)["Config"])


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Step -> "CACHED", "DONE", "ERROR" or "CANCELED", by the end of its name.

    Steps are named as BuildKit names them: "[build 2/5] RUN make"; the key is "RUN make".  Images
    that are fetched ("[internal] ...") are left out.
    """
    names: dict[str, str] = {}
    found: dict[str, str] = {}
    for line in done.stderr.splitlines():
        match = re.match(r"#(\d+) (\[[^\]]*\] )?(.*)", line)
        if not match:
            continue
        number, bracket, rest = match.groups()
        if bracket is not None and bracket != "[internal] ":
            names.setdefault(number, rest)
        word = rest.split(" ")[0].rstrip(":")
        if word in ("CACHED", "DONE", "ERROR", "CANCELED") and number in names:
            found[names[number]] = word
    return found
