"""Programs of a few system calls for x86-64, in each way that its kernel takes them.

No C library makes the calls of i386 or x32 in a 64-bit program; an attacker, or a 32-bit dpkg,
does.  Source: elf(5), syscall(2), Intel's manual for the instructions.
"""

import struct

_BASE = 0x400000
_X32 = 0x40000000


def program(calls: "list[tuple[str, int, tuple[int | bytes, ...]]]") -> bytes:
    """A static ELF program that makes `calls` and exits with the number of the first that fails,
    counted from 1; 0 when none does.

    A call is ("x86_64", "i386" or "x32", its number, its arguments: numbers, or bytes whose
    address is given).
    """
    data = b""
    text = b""
    data_address = _BASE + 0x1000  # after the code: below
    for position, (way, number, arguments) in enumerate(calls, 1):
        values = []
        for argument in arguments:
            if isinstance(argument, bytes):
                values.append(data_address + len(data))
                data += argument + b"\0"
            else:
                values.append(argument & 0xFFFFFFFF)
        text += _call(way, number, values)
        # test eax, eax; jz over; mov edi, POSITION; mov eax, 60; syscall
        leave = b"\xbf" + struct.pack("<I", position) + b"\xb8\x3c\0\0\0" + b"\x0f\x05"
        text += b"\x85\xc0\x74" + bytes([len(leave)]) + leave
    text += b"\x31\xff\xb8\x3c\0\0\0\x0f\x05"  # xor edi, edi; exit
    start = 64 + 56
    assert start + len(text) <= 0x1000
    image = text.ljust(0x1000 - start, b"\0") + data
    size = start + len(image)
    header = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, _BASE + start, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 7, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + image


def _call(way: str, number: int, values: "list[int]") -> bytes:
    if way == "i386":
        registers = (b"\xbb", b"\xb9", b"\xba", b"\xbe", b"\xbf")  # ebx ecx edx esi edi
        enter = b"\xcd\x80"
    else:
        # edi esi edx r10d r8d
        registers = (b"\xbf", b"\xbe", b"\xba", b"\x41\xba", b"\x41\xb8")
        enter = b"\x0f\x05"
        number |= _X32 if way == "x32" else 0
    code = b"".join(
        register + struct.pack("<I", value)
        for register, value in zip(registers, values, strict=False)
    )
    return code + b"\xb8" + struct.pack("<I", number) + enter
