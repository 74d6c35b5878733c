"""`rl bootstrap`: base images made here.  The Debian one needs a mirror: test_bootstrap_debian."""

import os
import subprocess
from pathlib import Path

import pytest
from support.stores import leftovers, make_context

from rootless.cli.actions import bootstrap as action
from rootless.context import Context
from rootless.errors import HostError, UsageError
from rootless.runtime import bootstrap, bootstrap_apt, bootstrap_debian
from rootless.runtime.bootstrap_apt import Source
from rootless.store import check, images, layers

pytestmark = pytest.mark.needs("user", "userns", "subids")


@pytest.fixture
def ctx(test_dir: str, request: pytest.FixtureRequest) -> Context:
    directory = f"{test_dir}/bootstrap-{abs(hash(request.node.nodeid))}"
    os.makedirs(directory)
    return make_context(directory)


def test_busybox_image_has_what_a_shell_needs(
    ctx: Context, capfd: pytest.CaptureFixture[str]
) -> None:
    assert action.main(ctx, {"kind": "busybox"}) == 0
    image_id = capfd.readouterr().out.strip()
    record = images.resolve(ctx.paths, "busybox")
    assert record["id"] == image_id
    config = record["config"]
    assert isinstance(config, dict)
    assert config["Cmd"] == ["sh"]
    [diff_id] = record["layers"]  # type: ignore[misc]
    root = Path(ctx.paths.layer_diff(diff_id))
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "root").stat().st_mode & 0o777 == 0o700
    assert "www-data:x:33" in (root / "etc/passwd").read_text()
    assert bootstrap.is_static(f"{root}/bin/busybox")
    done = subprocess.run(
        ["unshare", "--map-root-user", "chroot", str(root),
         "sh", "-c", "ls /bin/sh && id -u && env true"],
        capture_output=True, text=True, env={"PATH": "/bin:/usr/bin:/usr/sbin:/sbin"},
    )  # fmt: skip
    assert done.stdout == "/bin/sh\n0\n", done.stderr
    broken = [p for p in root.rglob("*") if p.is_symlink() and not p.exists() and p.name != "run"]
    assert broken == []
    assert check.check(ctx, content=True) == []


def test_image_gets_the_name_asked_for(ctx: Context, capfd: pytest.CaptureFixture[str]) -> None:
    action.main(ctx, {"kind": "busybox", "tag": "lab/base:7"})
    assert images.names(ctx.paths) == ["docker.io/lab/base:7"]


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "fedora"},
        {"kind": "busybox:1"},
        {"kind": "debian:;rm"},
        {"kind": "busybox", "include": ["curl"]},
        {"kind": "debian", "variant": "huge"},
        {"kind": "debian", "mirror": "not a url"},
        {"kind": "debian", "include": ["a;b"]},
    ],
)
def test_what_makes_no_sense_is_refused(ctx: Context, values: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        action.main(ctx, values)
    assert images.list_images(ctx.paths) == []


def test_without_subordinate_ids_debian_says_why_not(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rootless.linux.idmap.subordinate_ranges", lambda *_: ([], []))
    monkeypatch.setattr("shutil.which", lambda *_: "/usr/bin/mmdebstrap")
    with pytest.raises(HostError) as caught:
        action.main(ctx, {"kind": "debian:bookworm"})
    assert caught.value.code == "RL-BOOTSTRAP-NO-SUBIDS"


def test_without_mmdebstrap_debian_names_the_remedy(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda *_: None)
    with pytest.raises(HostError, match="mmdebstrap is missing") as caught:
        action.main(ctx, {"kind": "debian:bookworm"})
    assert caught.value.code == "RL-BOOTSTRAP-NO-MMDEBSTRAP"


@pytest.mark.needs("mmdebstrap")
@pytest.mark.parametrize(
    ("mirror", "code"),
    [
        ("http://127.0.0.1:1/debian", "RL-BOOTSTRAP-MIRROR"),
        ("file:/nonexistent/debian", "RL-BOOTSTRAP-SUITE"),
    ],
)
def test_mirror_that_fails_is_one_line_and_leaves_nothing(
    ctx: Context, mirror: str, code: str
) -> None:
    request = bootstrap_debian.Request("debian", "bookworm", mirror=mirror)
    with pytest.raises(HostError) as caught:
        bootstrap_debian.make(ctx, request, lambda _: None)
    assert caught.value.code == code
    assert "\n" not in caught.value.one_line()
    assert images.list_images(ctx.paths) == []
    assert layers.list_layers(ctx.paths) == []
    assert leftovers(ctx.paths) == []


def test_sources_in_one_line_style() -> None:
    line = "deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main contrib # x"
    expected = Source("http://m.example/debian", "bookworm", ("main", "contrib"), "/k.gpg")
    assert bootstrap_apt.parse_line(line) == [expected]
    assert bootstrap_apt.parse_line("deb-src http://m.example/debian bookworm main") == []
    assert bootstrap_apt.parse_line("# deb http://m.example/debian bookworm main") == []
    assert expected.line() == "deb [signed-by=/k.gpg] http://m.example/debian bookworm main contrib"


def test_sources_in_deb822() -> None:
    text = (
        "Types: deb deb-src\n# a comment\nURIs: http://m.example/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n\n"
        "Types: deb\nEnabled: no\nURIs: http://m.example/x\nSuites: a\nComponents: main\n\n"
        "Types: deb\nURIs: http://m.example/y\nSuites: b\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )
    assert bootstrap_apt.parse_deb822(text) == [
        Source("http://m.example/debian", "bookworm", ("main",), "/k.gpg"),
        Source("http://m.example/debian", "bookworm-updates", ("main",), "/k.gpg"),
        Source("http://m.example/y", "b", ("main",)),
    ]


def test_only_the_distributions_own_archives_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    own = [
        Source("http://m.example/debian", "bookworm", ("main",), key),
        Source("http://m.example/debian", "bookworm-backports", ("main",), key),
        Source("http://m.example/debian-security", "bookworm-security", ("main",)),
    ]
    others = [
        Source("http://other.example/linux", "bookworm", ("stable",), "/other.gpg"),
        Source("http://ppa.example/ppa", "bookworm", ("main",)),
        Source("http://node.example", "nodistro", ("main",)),
    ]
    monkeypatch.setattr(bootstrap_apt, "configured", lambda: own + others)
    monkeypatch.setattr(bootstrap_apt, "os_release", lambda: ("debian", "bookworm"))
    assert [s.suite for s in bootstrap_apt.sources_for("debian", "trixie")] == [
        "trixie",
        "trixie-security",
    ]
    assert [s.suite for s in bootstrap_apt.sources_for("debian", "sid")] == ["sid"]
    assert bootstrap_apt.sources_for("ubuntu", "noble") == []


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("E: The repository 'http://m/d x Release' does not have a Release file.", "SUITE"),
        ("Err:1\n  Could not connect to m:80 (127.0.0.1)\nE: apt-get failed", "MIRROR"),
        ("E: Unable to locate package nonsuch", "PACKAGE"),
        ("W: GPG error: NO_PUBKEY 123\nE: failed", "KEYRING"),
        ("E: something else", "FAILED"),
        ("", "FAILED"),
    ],
)
def test_what_apt_says_becomes_one_line(output: str, code: str) -> None:
    error = bootstrap_apt.explain(output)
    assert error.code == f"RL-BOOTSTRAP-{code}"
    assert "\n" not in error.one_line()


def test_dynamic_program_is_no_busybox_to_take(tmp_path: Path) -> None:
    assert not bootstrap.is_static("/usr/bin/env")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not bootstrap.is_static(str(tmp_path / "script"))
    assert not bootstrap.is_static(str(tmp_path / "missing"))
