"""What `rl setup` makes of packages."""

import subprocess
from pathlib import Path

from rootless.runtime import host_helpers


def test_libraries_among_the_dependencies() -> None:
    text = "libfuse3-3 (>= 3.12), fuse3, libc6 (>= 2.34), liba | libb, libglib2.0-0:any (>= 2)"
    assert host_helpers.dependencies(text) == ["libfuse3-3", "liba", "libglib2.0-0"]
    assert host_helpers.dependencies("") == []


def test_a_wrapper_starts_the_program_with_its_libraries(tmp_path: Path) -> None:
    root = tmp_path / "it's here"
    (root / "usr/bin").mkdir(parents=True)
    program = root / "usr/bin/pasta"
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH" "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "pasta"
    script.write_text(host_helpers.wrapper(str(root), "pasta", ["usr/lib/x", "lib/y"]))
    done = subprocess.run(["sh", script, "a b"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{root}/usr/lib/x:{root}/lib/y a b\n"


def test_packages_are_as_good_as_programs() -> None:
    assert host_helpers.chosen(["passt", "pasta", "squashfuse"]) == ["pasta", "squashfuse_ll"]
