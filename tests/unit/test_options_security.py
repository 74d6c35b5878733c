"""Capabilities, --security-opt and --device."""

import pytest

from rootless.errors import UsageError
from rootless.linux import caps
from rootless.runtime import options_security as security
from rootless.runtime.options_text import parse_detach_keys


def test_capability_names():
    given = ["net_admin", "CAP_SYS_TIME", "NET_ADMIN", "all"]
    assert security.parse_capabilities(given, "--cap-add") == [
        "CAP_NET_ADMIN",
        "CAP_SYS_TIME",
        "ALL",
    ]
    assert security.parse_capabilities(["chown,kill"], "--cap-add") == ["CAP_CHOWN", "CAP_KILL"]


def test_an_unknown_capability_gets_a_suggestion():
    with pytest.raises(UsageError, match='unknown capability "sys_amdin"') as caught:
        security.parse_capabilities(["sys_amdin"], "--cap-add")
    assert caught.value.remedy == "did you mean SYS_ADMIN?"


@pytest.mark.parametrize(
    ("add", "drop", "expected"),
    [
        ([], [], set(caps.DEFAULT)),
        (["CAP_NET_ADMIN"], [], {*caps.DEFAULT, "CAP_NET_ADMIN"}),
        ([], ["CAP_KILL"], set(caps.DEFAULT) - {"CAP_KILL"}),
        ([], ["ALL"], set()),
        (["CAP_CHOWN"], ["ALL"], {"CAP_CHOWN"}),
        (["ALL"], [], set(caps.NAMES)),
        (["ALL"], ["CAP_SYS_ADMIN"], set(caps.NAMES) - {"CAP_SYS_ADMIN"}),
        (["CAP_KILL"], ["CAP_KILL"], set(caps.DEFAULT)),
    ],
)
def test_effective_capabilities(add, drop, expected):
    found = security.effective_capabilities(add, drop, False)
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_privileged_has_all():
    assert security.effective_capabilities([], ["ALL"], True) == list(caps.NAMES)


@pytest.mark.parametrize(
    ("spec", "key", "value"),
    [
        ("no-new-privileges", "no_new_privileges", True),
        ("no-new-privileges:true", "no_new_privileges", True),
        ("no-new-privileges=false", "no_new_privileges", False),
        ("seccomp=unconfined", "seccomp", "unconfined"),
        ("seccomp:unconfined", "seccomp", "unconfined"),
        ("seccomp=builtin", "seccomp", ""),
        ("seccomp=p.json", "seccomp", "/work/p.json"),
        ("seccomp=/p.json", "seccomp", "/p.json"),
        ("systempaths=unconfined", "system_paths", "unconfined"),
        ("mask=/a:/b", "mask", ["/a", "/b"]),
        ("unmask=ALL", "unmask", ["ALL"]),
        ("unmask=/proc/acpi", "unmask", ["/proc/acpi"]),
        ("proc-opts=hidepid=2,subset=pid", "proc_options", ["hidepid=2", "subset=pid"]),
        ("apparmor=unconfined", "seccomp", ""),
        ("label=disable", "seccomp", ""),
        ("label:disable", "seccomp", ""),
    ],
)
def test_security_opt(spec, key, value):
    assert security.parse_security([spec], "/work")[key] == value


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("", "invalid --security-opt"),
        ("foo=bar", "invalid --security-opt"),
        ("seccomp", "invalid --security-opt"),
        ("seccomp=", "invalid --security-opt"),
        ("no-new-privileges:maybe", "no-new-privileges=maybe"),
        ("no-new-privileges:", "invalid --security-opt"),
        ("apparmor=docker-default", "loading a profile needs root"),
        ("label=type:container_t", "without root a process keeps the label"),
        ("systempaths=x", "systempaths=x"),
        ("mask=a", "is not absolute"),
        ("unmask=/a:", "an empty path is not absolute"),
        ("proc-opts=x", "invalid option 'x'"),
    ],
)
def test_bad_security_opt(spec, match):
    with pytest.raises(UsageError, match=match):
        security.parse_security([spec], "/work")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("/dev/fuse", ("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev/fuse:r", ("/dev/fuse", "/dev/fuse", "r")),
        ("/dev/a:/dev/b", ("/dev/a", "/dev/b", "rwm")),
        ("/dev/a:/dev/b:rw", ("/dev/a", "/dev/b", "rw")),
        ("/dev/a::w", ("/dev/a", "/dev/a", "w")),
    ],
)
def test_device(spec, expected):
    (device,) = security.parse_devices([spec])
    assert (device["source"], device["target"], device["permissions"]) == expected


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("", "invalid device specification"),
        ("fuse", "invalid device specification"),
        ("/a:/b:rw:x", "invalid device specification"),
        ("/a:/b:x", "invalid device mode"),
        ("/a:/b:rr", "invalid device mode"),
        ("/a:b", "is not an absolute path"),
        ("/a:/:r", "is not an absolute path"),
    ],
)
def test_bad_device(spec, match):
    with pytest.raises(UsageError, match=match):
        security.parse_devices([spec])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a,b", b"ab"),
        ("ctrl-@,ctrl-[,ctrl-_", b"\0\x1b\x1f"),
        ("CTRL-A,X", b"\x01X"),
    ],
)
def test_detach_keys(keys, expected):
    assert parse_detach_keys(keys) == expected


@pytest.mark.parametrize("keys", ["", "ab", "ctrl-", "ctrl-1", "a,,b", "ä"])
def test_bad_detach_keys(keys):
    with pytest.raises(UsageError, match="invalid detach keys"):
        parse_detach_keys(keys)
