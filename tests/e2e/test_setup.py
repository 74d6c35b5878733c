"""`rl setup`: programs of the distribution, fetched with its signatures and used."""

import os
import subprocess
from pathlib import Path

import pytest
from support.needs import SEARCH_PATH
from support.program import Rl

pytestmark = pytest.mark.needs("apt-get", "dpkg-deb", "dpkg-query", "ldd")

# A host without libslirp: ldd does not find it, and dpkg does not know it.
LDD = (
    '#!/bin/sh\n[ "$LD_LIBRARY_PATH" ] && exec /usr/bin/ldd "$@"\n'
    'echo "\tlibslirp.so.0 => not found"\n'
)
QUERY = '#!/bin/sh\nfor last; do :; done\n[ $last = libslirp0 ] || exec /usr/bin/dpkg-query "$@"\n'


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def helpers(rl: Rl) -> str:
    return f"{rl.home}/.local/share/rl/helpers"


@pytest.mark.needs("slirp4netns")
def test_programs_are_fetched_used_listed_and_removed(rl: Rl, helpers: str, tmp_path: Path) -> None:
    path = f"{tmp_path}:{SEARCH_PATH}"
    fetched = rl.out("setup", "catatonit", env={"PATH": path}, timeout=240)
    assert fetched.startswith("catatonit 0."), fetched
    assert os.path.islink(f"{helpers}/bin/catatonit"), "it needs no library"
    script(tmp_path / "ldd", LDD)
    script(tmp_path / "dpkg-query", QUERY)
    rl.run("setup", "slirp4netns", env={"PATH": path}, timeout=240)
    with open(f"{helpers}/bin/slirp4netns") as file:
        assert "LD_LIBRARY_PATH" in file.read()
    assert os.listdir(f"{helpers}/slirp4netns/root/usr/lib")
    # The host's own go first; here it has none.
    first = {"PATH": f"{helpers}/bin:{SEARCH_PATH}"}
    shown = [line.split() for line in rl.out("setup", "-l", env=first).splitlines()]
    assert shown[0] == ["PROGRAM", "PACKAGE", "VERSION", "IN", "USE"]
    assert shown[1][0] == "slirp4netns" and shown[1][3] == f"{helpers}/bin/slirp4netns"
    words = ["run", "-d", "--init", "--network", "slirp4netns", "busybox", "sleep", "1000"]
    name = rl.out(*words, env=first)
    assert rl.out("exec", name, "readlink", "/proc/1/exe") == "/dev/init"
    with open(f"{rl.store}/containers/{name}/state.json") as file:
        assert "slirp4netns" in file.read()
    assert rl.out("exec", name, "ip", "-o", "addr", "show", "tap0") != ""
    rl.run("rm", "-f", name)
    assert rl.out("setup", "--remove", "slirp4netns") == "slirp4netns"
    assert rl.out("setup", "--remove") == "catatonit"
    assert os.listdir(f"{helpers}/bin") == [] and rl.out("setup", "--remove") == ""


def test_what_cannot_be_had_is_said(rl: Rl) -> None:
    assert "set-user-ID" in rl.fails("setup", "newuidmap", status=1, code="RL-SETUP-NEEDS-ROOT")
    assert "fetches slirp4netns" in rl.fails("setup", "nginx", status=125, code="RL-USAGE")
    rl.fails("setup", "--list", "--remove", status=125, code="RL-USAGE")


def test_what_nobody_has_signed_is_refused(rl: Rl, helpers: str, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    package = tmp_path / "catatonit"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN/control").write_text(
        "Package: catatonit\nVersion: 9\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    )
    (package / "usr/bin").mkdir(parents=True)
    script(package / "usr/bin/catatonit", "#!/bin/sh\n")
    archive.mkdir()
    deb = f"{archive}/catatonit_9_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(package), deb], check=True, capture_output=True)
    listed = subprocess.run(["sha256sum", deb], check=True, capture_output=True, text=True).stdout
    (archive / "Packages").write_text(
        (package / "DEBIAN/control").read_text()
        + f"Filename: ./catatonit_9_all.deb\nSize: {os.path.getsize(deb)}\n"
        f"SHA256: {listed.split()[0]}\n\n"
    )
    (tmp_path / "sources.list").write_text(f"deb file:{archive} ./\n")
    (tmp_path / "lists/partial").mkdir(parents=True)
    # Even where the administrator lets apt take anything.
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State::Lists "{tmp_path}/lists";\nAPT::Get::AllowUnauthenticated "true";\n'
        'Acquire::AllowInsecureRepositories "true";\n'
    )
    environ = {"APT_CONFIG": f"{tmp_path}/apt.conf"}
    rl.fails("setup", "catatonit", status=1, code="RL-SETUP-FETCH", env=environ)
    assert not os.path.exists(f"{helpers}/bin/catatonit")
    assert sorted(os.listdir(helpers)) == ["bin", "lock"]
