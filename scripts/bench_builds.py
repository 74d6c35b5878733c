"""The rows of scripts/bench about builds."""

import os
import time
from typing import Any

FILES = 13000  # of the base image of the build rows, and
SOURCES = 2000  # of their context


def make_tree(directory: str, count: int) -> None:
    """`count` files of 1 to 8 KiB, 100 in a directory; the same ones each time."""
    for number in range(count):
        if number % 100 == 0:
            os.makedirs(f"{directory}/{number // 100}")
        with open(f"{directory}/{number // 100}/{number}", "w") as f:
            f.write(f"{number}\n" * (200 + number % 1000))


class Builds:
    """The build rows: an image of five layers, COPY of many files, two RUN steps."""

    BASE = "FROM bench\nCOPY tree /usr/share/tree\n" + "".join(
        f"RUN mkdir /opt-{n} && echo {n} >/opt-{n}/file\n" for n in range(3)
    )
    APP = """FROM bench-base
WORKDIR /app
COPY src src
RUN find src -type f | wc -l >count
RUN cat count >done
CMD ["cat", "done"]
"""
    BRANCHES = """FROM bench AS one
RUN sleep 5; echo one >/one
FROM bench AS two
RUN sleep 5; echo two >/two
FROM bench
COPY --from=one /one /
COPY --from=two /two /
"""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.changes = 0
        self.ready: set[str] = set()

    def prepare(self, tool: Any) -> None:
        """The contexts, and the base image of this tool."""
        if not os.path.exists(self.directory):
            make_tree(f"{self.directory}/base/tree", FILES)
            make_tree(f"{self.directory}/app/src", SOURCES)
            os.makedirs(f"{self.directory}/branches")
            texts = (("base", self.BASE), ("app", self.APP), ("branches", self.BRANCHES))
            for name, text in texts:
                with open(f"{self.directory}/{name}/Dockerfile", "w") as f:
                    f.write(text)
        if tool.name not in self.ready:
            tool.run("build", "-t", "bench-base", f"{self.directory}/base")
            tool.run("build", "-t", "bench-app", f"{self.directory}/app")
            self.ready.add(tool.name)

    def time(self, tool: Any, row: str) -> float:
        self.prepare(tool)
        if row == "build-branches":
            return float(tool.time("build", "--no-cache", f"{self.directory}/branches"))
        if row == "build-one":
            self.changes += 1
            with open(f"{self.directory}/app/src/7/777", "w") as f:
                f.write(f"{self.changes} {time.time()}\n")
        options = ["--no-cache"] if row == "build-cold" else []
        return float(tool.time("build", "-t", "bench-app", *options, f"{self.directory}/app"))
