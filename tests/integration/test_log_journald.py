"""The log driver journald, on a datagram socket of our own: the native protocol, field by field."""

import socket
from typing import Any

import pytest

from rootless.errors import HostError
from rootless.runtime.log_journald import Writer
from rootless.store.containers import Container


def container(directory: str) -> Container:
    config: dict[str, Any] = {
        "name": "web", "labels": {"com.example.app": "shop", "note": "two\nlines"},
        "image": {"reference": "busybox:latest", "id": "sha256:" + "c" * 64},
    }  # fmt: skip
    with open(f"{directory}/config.json", "w") as file:
        file.write('{"process":{"env":["V=x"]}}')
    return Container("a" * 64, directory, config)


def test_lines_arrive_with_dockers_fields(tmp_path: Any) -> None:
    path = f"{tmp_path}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        journal.settimeout(10)
        options = {"labels": "com.example.app,note", "env": "V", "tag": "{{.Name}}-x"}
        writer = Writer(container(str(tmp_path)), options, path)
        writer.write("stdout", b"one\ntwo")
        writer.write("stderr", b"bad\r\n")
        writer.close()
        common = (
            b"CONTAINER_ID=aaaaaaaaaaaa\nCONTAINER_ID_FULL=" + b"a" * 64 + b"\n"
            b"CONTAINER_NAME=web\nCONTAINER_TAG=web-x\nSYSLOG_IDENTIFIER=web-x\n"
            b"IMAGE_NAME=busybox:latest\nV=x\nCOM_EXAMPLE_APP=shop\n"
            b"NOTE\n\x09\0\0\0\0\0\0\0two\nlines\n"
        )
        assert journal.recv(4096) == b"MESSAGE=one\nPRIORITY=6\n" + common
        assert journal.recv(4096) == b"MESSAGE=bad\r\nPRIORITY=3\n" + common
        partial = b"CONTAINER_PARTIAL_MESSAGE=true\n"
        assert journal.recv(4096) == b"MESSAGE=two\nPRIORITY=6\n" + common + partial


def test_a_journal_that_is_stuck_does_not_hold_the_container(tmp_path: Any) -> None:
    path = f"{tmp_path}/socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(path)
        writer = Writer(container(str(tmp_path)), {}, path)
        for _ in range(5000):
            writer.write("stdout", b"x" * 1000 + b"\n")
        writer.close()


def test_no_journal_is_an_error(tmp_path: Any) -> None:
    with pytest.raises(HostError, match="journal"):
        Writer(container(str(tmp_path)), {}, f"{tmp_path}/nothing")
