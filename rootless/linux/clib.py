"""Calling the C library on the warm path: ctypes' own C module, without ctypes' import.

`import ctypes` brings struct and types and makes types for callbacks and both byte orders: 1.8 ms
of each command.  `_ctypes` is what it is made of; where a Python lacks it, or has it otherwise,
ctypes does the work.  The names are ctypes'.  tests/unit/test_clib.py holds both to the same.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ctypes import (
        CDLL,
        PyDLL,
        Structure,
        addressof,
        byref,
        c_char,
        c_char_p,
        c_int,
        c_long,
        c_size_t,
        c_uint,
        c_uint32,
        c_uint64,
        c_ulong,
        c_ushort,
        c_void_p,
        get_errno,
        sizeof,
    )
else:
    try:
        import _ctypes
        from _ctypes import Structure, addressof, byref, get_errno, sizeof

        def _simple(code):
            return type(_ctypes._SimpleCData)(
                f"c_{code}", (_ctypes._SimpleCData,), {"_type_": code}
            )

        # The letters of struct(3): ctypes' types of these names have the same.
        c_char, c_ushort, c_int, c_uint = map(_simple, "cHiI")
        c_long, c_ulong, c_char_p, c_void_p = map(_simple, "lLzP")
        c_uint32 = c_uint
        c_uint64 = c_ulong if sizeof(c_ulong) == 8 else _simple("Q")
        c_size_t = c_ulong if sizeof(c_ulong) == sizeof(c_void_p) else c_uint

        class CDLL:
            """The functions of a library, by name; None is what this process has loaded."""

            _flags = _ctypes.FUNCFLAG_CDECL

            def __init__(self, name, use_errno=False):
                flags = self._flags | (_ctypes.FUNCFLAG_USE_ERRNO if use_errno else 0)
                self._handle = _ctypes.dlopen(name, os.RTLD_NOW)

                class Function(_ctypes.CFuncPtr):
                    _flags_ = flags
                    _restype_ = c_int

                self._function = Function

            def __getattr__(self, name):
                function = self._function((name, self))
                setattr(self, name, function)
                return function

        class PyDLL(CDLL):
            """The same for functions that are called with the interpreter's lock."""

            _flags = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI

        CDLL(None).getpid  # noqa: B018 - whether all of this works with this Python
    except (ImportError, AttributeError, TypeError, ValueError):  # pragma: no cover
        from ctypes import (
            CDLL,
            PyDLL,
            Structure,
            addressof,
            byref,
            c_char,
            c_char_p,
            c_int,
            c_long,
            c_size_t,
            c_uint,
            c_uint32,
            c_uint64,
            c_ulong,
            c_ushort,
            c_void_p,
            get_errno,
            sizeof,
        )

__all__ = [
    "CDLL", "PyDLL", "Structure", "addressof", "byref", "c_char", "c_char_p", "c_int", "c_long",
    "c_size_t", "c_uint", "c_uint32", "c_uint64", "c_ulong", "c_ushort", "c_void_p", "get_errno",
    "sizeof",
]  # fmt: skip
