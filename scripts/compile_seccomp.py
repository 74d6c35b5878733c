#!/usr/bin/env python3
"""Compile helpers/seccomp/{default,one-id}.json to the BPF programs that rl ships, per machine.

    scripts/compile_seccomp.py            writes helpers/seccomp/[one-id-]{x86_64,aarch64}.bpf
    scripts/compile_seccomp.py --check    exits with 1 when they are not current

Needs libseccomp.so.2.  helpers/seccomp/current.json names the profile's digest and libseccomp's
version: with another version, whose tables differ, only the digest is compared.
"""

import hashlib
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from rootless.linux import caps  # noqa: E402
from rootless.runtime import seccomp_compile  # noqa: E402

DIRECTORY = f"{ROOT}/helpers/seccomp"
MACHINES = ("x86_64", "aarch64")


def build() -> dict[str, bytes]:
    """The content of each file to be shipped."""
    files = {}
    for name, prefix in (("default.json", ""), ("one-id.json", "one-id-")):
        with open(f"{DIRECTORY}/{name}", "rb") as file:
            content = file.read()
        profile = seccomp_compile.parse(content, name)
        for machine in MACHINES:
            files[f"{prefix}{machine}.bpf"] = seccomp_compile.compile_profile(
                profile, caps.DEFAULT, machine=machine
            )
    with open(f"{DIRECTORY}/default.json", "rb") as file:
        content = file.read()
    current = {
        "profile": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "libseccomp": seccomp_compile.version(),
        "capabilities": list(caps.DEFAULT),
    }
    files["current.json"] = (json.dumps(current, indent=2) + "\n").encode()
    return files


def stale(files: dict[str, bytes]) -> list[str]:
    """The names of the shipped files that are not what they should be."""
    found = {}
    for name in files:
        try:
            with open(f"{DIRECTORY}/{name}", "rb") as file:
                found[name] = file.read()
        except FileNotFoundError:
            return [name]
    wanted, shipped = json.loads(files["current.json"]), json.loads(found["current.json"])
    if wanted["libseccomp"] != shipped["libseccomp"]:
        del wanted["libseccomp"], shipped["libseccomp"]
        return [] if wanted == shipped else ["current.json"]
    return [name for name in files if files[name] != found[name]]


def main(argv: list[str]) -> int:
    files = build()
    if "--check" in argv:
        for name in stale(files):
            print(f"helpers/seccomp/{name} is not current: run scripts/compile_seccomp.py")
        return 1 if stale(files) else 0
    for name, content in files.items():
        with open(f"{DIRECTORY}/{name}", "wb") as file:
            file.write(content)
        print(f"helpers/seccomp/{name}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
