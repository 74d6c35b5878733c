"""COPY and ADD without a build around them: a context, a base image, and layers on top."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rootless.build import checksum
from rootless.build.copying import Transfer, Tree, from_instruction, perform
from rootless.build.dockerfile import parse
from rootless.build.dockerfile.ignore import Matcher
from rootless.build.dockerfile.instructions import Add, Copy
from rootless.context import Context
from rootless.layer.view import View
from rootless.store import mapping
from rootless.store.removal import remove_mapped_tree
from support.stores import make_context

PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n"


class Bench:
    """A context `src`, a base image of one layer `base`, and steps on top of it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.ctx: Context = make_context(directory)
        self.src = Path(directory, "src")
        self.base = Path(directory, "base")
        self.matcher: Matcher | None = None
        self.steps = 0
        self.src.mkdir()
        (self.base / "etc").mkdir(parents=True)
        (self.base / "etc/passwd").write_text(PASSWD)
        (self.base / "etc/group").write_text("root:x:0:\nweb:x:50:\n")

    def write(self, *paths: str, below: Path | None = None) -> None:
        for path in paths:
            place = (below or self.src) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                place.mkdir(exist_ok=True)
            else:
                place.write_text(path)

    def transfer(self, line: str, workdir: str = "/", **changes: Any) -> Transfer:
        dockerfile = parse.parse(f"FROM scratch\n{line}\n".encode())
        [instruction] = dockerfile.stages[0].instructions
        assert isinstance(instruction, (Copy, Add))
        source = changes.pop("source", None) or Tree(str(self.src), self.matcher)
        return from_instruction(instruction, source=source, workdir=workdir, **changes)

    def run(self, line: str, workdir: str = "/", **changes: Any) -> "Layer":
        below = changes.pop("below", [str(self.base)])
        return self.perform(self.transfer(line, workdir, **changes), below)

    def perform(self, transfer: Transfer, below: list[str]) -> "Layer":
        self.steps += 1
        directory = f"{self.directory}/step{self.steps}"
        os.mkdir(directory)
        perform(self.ctx, transfer, below, directory)
        return Layer(self, f"{directory}/upper", below)

    def digest(self, line: str, **changes: Any) -> str:
        return checksum.transfer_digest(self.ctx, self.transfer(line, **changes))


class Layer:
    """What a step has written, and the image as it is then."""

    def __init__(self, bench: Bench, upper: str, below: list[str]) -> None:
        self.bench = bench
        self.upper = upper
        self.directories = [upper, *below]

    def written(self) -> list[str]:
        """The paths in the layer itself."""
        found = []
        for place, directories, files in os.walk(self.upper):
            relative = os.path.relpath(place, self.upper)
            found += [os.path.normpath(f"{relative}/{n}") for n in directories + files]
        return sorted(found)

    def files(self) -> list[str]:
        return [p for p in self.written() if not stat.S_ISDIR(self.status(p).st_mode)]

    def read(self, path: str) -> str:
        node, _ = View(self.directories).resolve(path)
        assert node is not None, f"{path} is not there: {self.written()}"
        return Path(node.places[0]).read_text()

    def status(self, path: str) -> os.stat_result:
        return os.lstat(f"{self.upper}/{path}")

    def mode(self, path: str) -> str:
        return f"{stat.S_IMODE(self.status(path).st_mode):o}"

    def is_owned_by(self, path: str, uid: int, gid: int) -> bool:
        ids = mapping.default_map(self.bench.ctx)
        status = self.status(path)
        [host_gid] = [o + gid - i for i, o, n in ids.gids if i <= gid < i + n]
        return (status.st_uid, status.st_gid) == (ids.host_uid(uid), host_gid)


@pytest.fixture(name="bench")
def bench_fixture(test_dir: str, request: pytest.FixtureRequest) -> Iterator[Bench]:
    directory = f"{test_dir}/copy-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    bench = Bench(directory)
    yield bench
    remove_mapped_tree(bench.ctx, directory)
