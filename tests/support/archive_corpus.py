"""Small archives, odd and hostile ones, each with what has to come of it.

They are kept in tests/data/archives, where fuzzers and other programs can take them; this program
writes them: `python tests/support/archive_corpus.py tests/data/archives`.  An outcome is a piece of
the error's text, or the paths that are there in the end, with a mark of ls(1)'s --classify.
"""

import json
import os
import sys
import zlib

BLOCK = 512
END = bytes(2 * BLOCK)
Outcome = str | list[str]


def header(
    name: bytes,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    link: bytes = b"",
    mode: bytes = b"0000644\0",
    uid: bytes = b"0000000\0",
    mtime: bytes = b"00000000000\0",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
    rest: bytes = b"",
) -> bytes:
    """One header block; `rest` goes where ustar has device numbers and prefix."""
    length = size if isinstance(size, bytes) else b"%011o\0" % size
    block = name.ljust(100, b"\0") + mode + uid + b"0000000\0" + length + mtime
    block += b" " * 8 + kind + link.ljust(100, b"\0") + magic
    tail = rest or (bytes(64) + b"0000000\0" * 2 + prefix)
    block = (block + tail).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def file(name: bytes, data: bytes = b"data", **more: bytes) -> bytes:
    return header(name, size=len(data), **more) + pad(data)  # type: ignore[arg-type]


def link(name: bytes, target: bytes) -> bytes:
    return header(name, b"2", link=target)


def hard(name: bytes, target: bytes) -> bytes:
    return header(name, b"1", link=target)


def directory(name: bytes) -> bytes:
    return header(name, b"5", mode=b"0000755\0")


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return b"%d" % length + rest


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    data = b"".join(records)
    return header(b"pax", kind, size=len(data)) + pad(data)


def gnu_long(kind: bytes, name: bytes) -> bytes:
    return header(b"././@LongLink", kind, size=len(name) + 1) + pad(name + b"\0")


def old_sparse(pieces: list[tuple[int, int]], length: int, data: bytes) -> bytes:
    """A file of GNU's old sparse format: the map at 386, the real size at 483."""
    table = b"".join(b"%011o\0%011o\0" % piece for piece in pieces).ljust(96, b"\0")
    rest = bytes(41 + 80) + table + b"\0" + b"%011o\0" % length
    head = header(b"s", b"S", size=len(data), magic=b"ustar  \0", rest=bytes(0) + rest)
    return head + pad(data)


def sparse_1(text: bytes, length: bytes, data: bytes = b"") -> bytes:
    """A file of the PAX sparse format 1.0: `text` is its map."""
    body = pad(text) + data
    records = [record(b"GNU.sparse.major", b"1"), record(b"GNU.sparse.minor", b"0")]
    records += [record(b"GNU.sparse.name", b"s"), record(b"GNU.sparse.realsize", length)]
    return pax(*records) + header(b"GNUSparseFile.0/s", size=len(body)) + pad(body)


def zstd_frame(data: bytes) -> bytes:
    """RFC 8878: a frame of one raw block, with the size of its content."""
    head = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    return head + (1 | len(data) << 3).to_bytes(3, "little") + data


def packed(data: bytes) -> bytes:
    """RFC 1952 and 1951: a gzip member of one stored block."""
    length = len(data).to_bytes(2, "little")
    block = b"\x01" + length + bytes(255 - byte for byte in length) + data
    sums = zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + block + sums


SKIPPABLE = b"\x53\x2a\x4d\x18\x04\0\0\0skip"
TEN_GIB = b"\x80\0\0\0" + (10 << 30).to_bytes(8, "big")  # GNU's base 256
ESCAPE = b"\x1b[31mred\x07"
LONG = b"n" * 200
ONE = file(b"a") + END

NAMES: dict[str, tuple[bytes, Outcome]] = {
    "name-empty": (file(b"") + END, "root directory as something else"),
    "name-dots": (
        directory(b"./") + file(b"./a") + file(b".//b//c") + file(b"x/../d") + END,
        ["a", "b/", "b/c", "d"],
    ),
    "name-absolute": (file(b"/a") + file(b"/../../b") + END, ["a", "b"]),
    "name-leads-out": (file(b"a/../../b") + END, "leads out"),
    "name-slash-behind": (file(b"d/", b"", mode=b"0000755\0") + file(b"d/a") + END, ["d/", "d/a"]),
    "name-gnu-long": (gnu_long(b"L", LONG) + file(b"cut") + END, [LONG.decode()]),
    "name-gnu-long-link": (gnu_long(b"K", LONG) + link(b"l", b"cut") + END, ["l@"]),
    "name-pax": (pax(record(b"path", LONG)) + file(b"cut") + END, [LONG.decode()]),
    "name-ustar-prefix": (file(b"b", prefix=b"a/" * 40 + b"z") + END, [
        *("a/" * n for n in range(1, 41)), "a/" * 40 + "z/", "a/" * 40 + "z/b",
    ]),
    "name-255": (pax(record(b"path", b"n" * 255)) + file(b"") + END, ["n" * 255]),
    "name-256": (pax(record(b"path", b"n" * 256)) + file(b"") + END, "too long"),
    "name-too-deep": (pax(record(b"path", b"d/" * 2100 + b"f")) + file(b"") + END, "too long"),
    "name-nul": (pax(record(b"path", b"a\0b")) + file(b"") + END, "NUL byte"),
    "name-control": (file(ESCAPE) + END, [ESCAPE.decode()]),
    "name-control-in-error": (file(b"../" + ESCAPE) + END, "'../\\x1b[31mred\\x07' leads out"),
    "name-latin-1": (file(b"\xe9") + END, ["\udce9"]),
}  # fmt: skip
NUMBERS: dict[str, tuple[bytes, Outcome]] = {
    "owner-base-256": (file(b"a", uid=b"\x80\0\0\0\0\0\0\x05") + END, ["a"]),
    "owner-not-mapped": (file(b"a", uid=b"\x80\0\0\0\x7f\0\0\0") + END, "user 2130706432"),
    "owner-too-large": (file(b"a", uid=b"\x80\0\0\x01\0\0\0\0") + END, "no user or group ID"),
    "owner-negative": (file(b"a", uid=b"\xff" * 8) + END, "no user or group ID"),
    "time-negative": (file(b"a", mtime=b"\xff" * 12) + END, ["a"]),
    "time-far": (file(b"a", mtime=b"\x80\0\0\x7f" + b"\xff" * 8) + END, ["a"]),
    "time-pax": (pax(record(b"mtime", b"-1.999999999999")) + file(b"a") + END, ["a"]),
    "time-nonsense": (pax(record(b"mtime", b"soon")) + file(b"a") + END, "not a number"),
    "size-huge": (header(b"a", size=b"7" * 11 + b"\0") + END, "cut off"),
    "size-negative": (header(b"a", size=b"\xff" * 12) + END, "negative size"),
    "size-no-number": (header(b"a", size=b"1234567890z\0") + END, "not an octal number"),
    "size-pax-huge": (pax(record(b"size", b"9" * 20)) + header(b"a") + END, "is said to have"),
    "size-of-link": (header(b"l", b"2", link=b"a", size=1 << 30) + file(b"a") + END, ["a", "l@"]),
    "checksum-wrong": (b"x" + ONE[1:], "wrong checksum"),
    "checksum-missing": (ONE[:148] + b"zzzzzzzz" + ONE[156:], "without a checksum"),
    "type-unknown": (header(b"a", b"Z") + END, "unknown type"),
    "type-volume": (header(b"a", b"V") + END, "unknown type"),
    "type-contiguous": (header(b"a", b"7") + END, ["a"]),
    "type-devices": (header(b"n", b"3") + header(b"s", b"4") + header(b"p", b"6") + END, ["p|"]),
}  # fmt: skip
PAX: dict[str, tuple[bytes, Outcome]] = {
    "pax-global": (pax(record(b"comment", b"x"), kind=b"g") + ONE, ["a"]),
    "pax-huge": (header(b"p", b"x", size=TEN_GIB) + END, "extended header"),
    "pax-2-mib": (header(b"p", b"x", size=2 << 20) + bytes(1024) + END, "extended header"),
    "pax-at-the-end": (pax(record(b"path", b"a")), "cut off"),
    "pax-length-wrong": (pax(b"9 a=b\n") + ONE, "makes no sense"),
    "pax-length-zero": (pax(b"0 a=b\n") + ONE, "makes no sense"),
    "pax-length-huge": (pax(b"99999999999999999999 a=b\n") + ONE, "makes no sense"),
    "pax-no-newline": (pax(b"6 a=bc") + ONE, "makes no sense"),
    "pax-no-key": (pax(record(b"", b"x")) + ONE, "makes no sense"),
    "pax-nul-in-key": (pax(record(b"SCHILY.xattr.user.a\0b", b"x")) + ONE, "makes no sense"),
    "pax-owner-negative": (pax(record(b"uid", b"-1")) + ONE, "not a number"),
    "pax-twice": (pax(record(b"path", b"b")) + pax(record(b"path", b"c")) + ONE, ["c"]),
    "xattr-of-overlayfs": (pax(record(b"SCHILY.xattr.user.overlay.redirect", b"/")) + ONE, ["a"]),
    "xattr-long": (pax(record(b"SCHILY.xattr.user.a", b"x" * 70_000)) + ONE, ["a"]),
    "xattr-long-name": (pax(record(b"SCHILY.xattr.user." + LONG * 2, b"x")) + ONE, ["a"]),
}  # fmt: skip
SPARSE: dict[str, tuple[bytes, Outcome]] = {
    "sparse-old": (old_sparse([(0, 4), (4096, 4)], 8192, b"datadata") + END, ["s"]),
    "sparse-old-overlaps": (old_sparse([(4, 4), (0, 4)], 8192, b"datadata") + END, "sparse"),
    "sparse-old-beyond": (old_sparse([(0, 4), (9000, 4)], 8192, b"datadata") + END, "sparse"),
    "sparse-0.1": (
        pax(record(b"GNU.sparse.size", b"8192"), record(b"GNU.sparse.map", b"0,4,4096,4"))
        + file(b"s", b"datadata") + END, ["s"],
    ),
    "sparse-0.0": (
        pax(record(b"GNU.sparse.size", b"100"), record(b"GNU.sparse.offset", b"96"),
            record(b"GNU.sparse.numbytes", b"4")) + file(b"s") + END, ["s"],
    ),
    "sparse-0.1-odd": (
        pax(record(b"GNU.sparse.size", b"8"), record(b"GNU.sparse.map", b"0,4,4"))
        + file(b"s") + END, "sparse",
    ),
    "sparse-1.0": (sparse_1(b"1\n4096\n4\n", b"8192", b"data") + END, ["s"]),
    "sparse-1.0-no-map": (sparse_1(b"", b"8192") + END, "sparse"),
    "sparse-1.0-cut": (sparse_1(b"9\n1\n", b"8192") + END, "sparse"),
    "sparse-1.0-many": (sparse_1(b"99999999\n0\n", b"8192") + END, "too many pieces"),
    "sparse-1.0-no-lines": (sparse_1(b"1" * 2000, b"8192") + END, "sparse"),
    "sparse-bomb": (sparse_1(b"0\n", b"9" * 18) + END, "sparse"),
    "sparse-bomb-larger": (sparse_1(b"0\n", b"9" * 20) + END, "sparse"),
    "sparse-of-a-link": (
        pax(record(b"GNU.sparse.size", b"8"), record(b"GNU.sparse.map", b"0,4"))
        + link(b"l", b"x") + END, ["l@"],
    ),
}  # fmt: skip
LINKS: dict[str, tuple[bytes, Outcome]] = {
    "link-across": (file(b"a/b") + hard(b"c/d", b"./a/b") + END, ["a/", "a/b", "c/", "c/d"]),
    "link-to-replaced": (
        file(b"a") + hard(b"b", b"a") + file(b"a", b"new") + hard(b"c", b"b") + END,
        ["a", "b", "c"],
    ),
    "link-to-link": (link(b"a", b"nowhere") + hard(b"b", b"a") + END, ["a@", "b@"]),
    "link-through-link": (
        file(b"d/a") + link(b"l", b"d") + hard(b"b", b"l/a") + END, ["b", "d/", "d/a", "l@"],
    ),
    "link-to-itself": (file(b"a") + hard(b"a", b"a") + END, ["a"]),
    "link-forward": (hard(b"b", b"a") + file(b"a") + END, "which the layer does not have"),
    "link-to-directory": (directory(b"a") + hard(b"b", b"a") + END, "no file"),
    "link-to-whiteout": (file(b".wh.a", b"") + hard(b"b", b"a") + END, "no file"),
    "link-to-nothing": (hard(b"b", b"") + END, "no file"),
    "link-leads-out": (hard(b"b", b"../../etc/passwd") + END, "leads out"),
    "link-out-by-symlink": (
        link(b"l", b"/etc") + hard(b"b", b"l/passwd") + END, "which the layer does not have",
    ),
    "link-takes-its-target": (file(b"d/a") + hard(b"d", b"d/a") + END, "does not have"),
    "symlink-to-nothing": (link(b"l", b"") + END, "symlink to nothing"),
    "symlink-loop": (link(b"a", b"b") + link(b"b", b"a") + file(b"a/f") + END, "cannot be made"),
    "symlink-out": (
        link(b"l", b"../../../..") + link(b"m", b"/") + file(b"l/a") + file(b"m/b") + END,
        ["a", "b", "l@", "m@"],
    ),
    "symlink-magic": (
        link(b"l", b"/proc/self/root") + file(b"l/a") + END,
        ["l@", "proc/", "proc/self/", "proc/self/root/", "proc/self/root/a"],
    ),
    "symlink-for-directory": (
        file(b"d/a") + link(b"d", b"e") + file(b"d/b") + END, ["d@", "e/", "e/b"],
    ),
    "directory-for-symlink": (
        link(b"d", b"e") + directory(b"d") + file(b"d/b") + END, ["d/", "d/b"],
    ),
    "file-as-parent": (file(b"a") + file(b"a/b") + END, "Not a directory"),
    "same-twice": (file(b"a", b"1") + file(b"a") + directory(b"d") * 2 + END, ["a", "d/"]),
}  # fmt: skip
WHITEOUTS: dict[str, tuple[bytes, Outcome]] = {
    "whiteout": (file(b"d/.wh.a", b"") + END, ["d/", "d/a!"]),
    "whiteout-behind": (file(b"d/a") + file(b".wh.d", b"") + END, ["d/", "d/a"]),
    "whiteout-as-parent": (file(b".wh.d", b"") + file(b"d/a/b") + END, ["d/", "d/a/", "d/a/b"]),
    "whiteout-of-no-name": (file(b"d/.wh.", b"") + END, "hides no name"),
    "whiteout-of-parent": (file(b"d/.wh...", b"") + END, "hides no name"),
    "whiteout-of-aufs": (file(b".wh..wh.plnk", b"") + END, []),
    "whiteout-in-opaque": (file(b".wh.a", b"") + file(b".wh..wh..opq", b"") + END, []),
    "whiteout-with-data": (file(b".wh.a", b"x" * 600) + file(b"b") + END, ["a!", "b"]),
}
STREAMS: dict[str, tuple[bytes, Outcome]] = {
    "stream-empty": (b"", "is empty"),
    "stream-zeros": (END, []),
    "stream-no-end": (ONE[:1024], ["a"]),
    "stream-cut": (ONE[:700], "cut off"),
    "stream-rubbish-behind": (ONE + b"rubbish" * 100, ["a"]),
    "stream-text": (b"<html>" * 200, "neither a tar archive"),
    "gzip-members": (packed(ONE[:300]) + packed(b"") + packed(ONE[300:]), ["a"]),
    "gzip-rubbish-behind": (packed(ONE) + b"rubbish", ["a"]),
    "gzip-zeros-behind": (packed(ONE) + bytes(700), ["a"]),
    "gzip-cut": (packed(ONE)[:-9], "cut off"),
    "gzip-checksum": (packed(ONE)[:-8] + bytes(8), "damaged"),
    "zstd-frames": (zstd_frame(ONE[:300]) + zstd_frame(ONE[300:]), ["a"]),
    "zstd-skippable": (SKIPPABLE + zstd_frame(ONE) + SKIPPABLE, ["a"]),
    "zstd-cut": (zstd_frame(ONE)[:-9], "cut off"),
    "zstd-rubbish-behind": (zstd_frame(ONE) + b"rubbish", "damaged"),
}

CORPUS = NAMES | NUMBERS | PAX | SPARSE | LINKS | WHITEOUTS | STREAMS


def main() -> None:
    directory = sys.argv[1]
    os.makedirs(directory, exist_ok=True)
    for name, (data, _) in CORPUS.items():
        with open(f"{directory}/{name}", "wb") as out:
            out.write(data)
    outcomes = {name: outcome for name, (_, outcome) in CORPUS.items()}
    with open(f"{directory}/outcomes.json", "w") as text:
        json.dump(outcomes, text, indent=1)
        text.write("\n")


if __name__ == "__main__":
    main()
