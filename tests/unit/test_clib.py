"""rootless.linux.clib is ctypes, as far as it goes."""

import ctypes
import errno
import os

import pytest

from rootless.linux import clib

TYPES = [name for name in clib.__all__ if name.startswith("c_")]


def test_it_does_without_ctypes() -> None:
    """This Python has all that it needs; where one has not, it is ctypes itself."""
    assert clib.CDLL is not ctypes.CDLL


@pytest.mark.parametrize("name", TYPES)
def test_types_are_as_large_and_as_signed(name: str) -> None:
    ours, theirs = getattr(clib, name), getattr(ctypes, name)
    assert clib.sizeof(ours) == ctypes.sizeof(theirs)
    if name not in ("c_char", "c_char_p"):
        assert ours(-1).value == theirs(-1).value


def test_a_failed_call_leaves_its_error() -> None:
    libc = clib.CDLL(None, use_errno=True)
    libc.umount2.argtypes = (clib.c_char_p, clib.c_int)
    assert libc.umount2(b"/nowhere/at/all", 0) == -1
    assert clib.get_errno() in (errno.ENOENT, errno.EPERM)


def test_long_results_and_structures() -> None:
    class Pair(clib.Structure):
        _fields_ = (("one", clib.c_uint32), ("two", clib.c_uint64))

    libc = clib.CDLL(None)
    libc.labs.argtypes, libc.labs.restype = (clib.c_long,), clib.c_long
    assert libc.labs(-(2**40)) == 2**40
    assert libc.getpid() == os.getpid()
    pair = Pair(1, 2**63)
    assert (pair.one, pair.two, clib.sizeof(pair)) == (1, 2**63, 16)
    array = (clib.c_uint32 * 2)(1, 2)
    assert bytes(array) == (1).to_bytes(4, "little") + (2).to_bytes(4, "little")


def test_a_function_that_is_not_there() -> None:
    with pytest.raises(AttributeError):
        _ = clib.CDLL(None).no_such_function_in_any_libc
