"""One ID: what is answered for it, in every way that this kernel takes a system call.

The families: chown, set*id, setgroups, mknod of devices; in their 16-bit forms, too.
"""

import os
import platform
import subprocess

import pytest
from support.machine_code import program
from support.owners import exported
from support.program import Rl

CHR, BLK = 0o020666, 0o060666
AT_FDCWD = -100
# name -> number on x86_64 (x32: the same), and on i386, 16-bit IDs first.
NUMBERS = {
    "chown": (92, [182, 212]), "lchown": (94, [16, 198]),
    "setuid": (105, [23, 213]), "setgid": (106, [46, 214]),
    "setreuid": (113, [70, 203]), "setregid": (114, [71, 204]),
    "setgroups": (116, [81, 206]), "setresuid": (117, [164, 208]),
    "setresgid": (119, [170, 210]), "setfsuid": (122, [138, 215]), "setfsgid": (123, [139, 216]),
}  # fmt: skip
ARGUMENTS = {
    "setuid": (33,), "setgid": (34,), "setreuid": (33, 33), "setregid": (34, 34),
    "setresuid": (33, 33, 33), "setresgid": (34, 34, 34), "setfsuid": (33,), "setfsgid": (34,),
    "setgroups": (2, b"\1\0\0\0\2\0\0\0"),
}  # fmt: skip
MKNOD = {"x86_64": (133, 259), "x32": (133, 259), "i386": (14, 297)}
FCHOWNAT = {"x86_64": 260, "x32": 260, "i386": 298}


def calls_of(way: str, directory: str) -> "list[tuple[str, int, tuple[int | bytes, ...]]]":
    """All that is pretended, by `way`; owners are changed of /f and /g."""
    calls: list[tuple[str, int, tuple[int | bytes, ...]]] = []
    for name, (number, compat) in NUMBERS.items():
        for one in compat if way == "i386" else [number]:
            if name.endswith("chown"):
                arguments: tuple[int | bytes, ...] = (f"{directory}/f".encode(), 33, 34)
            else:
                arguments = ARGUMENTS[name]
            calls.append((way, one, arguments))
    mknod, mknodat = MKNOD[way]
    for mode in (CHR, BLK):
        calls.append((way, mknod, (f"{directory}/dev".encode(), mode, 0x103)))
        calls.append((way, mknodat, (AT_FDCWD, f"{directory}/dev".encode(), mode, 0x103)))
    calls.append((way, FCHOWNAT[way], (AT_FDCWD, f"{directory}/g".encode(), 5, 6, 0)))
    return calls


@pytest.mark.parametrize("way", ["x86_64", "i386", "x32"])
def test_every_way_of_calling_is_answered(one_id_rl: Rl, tmp_path: object, way: str) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("these are x86-64's")
    rl, name = one_id_rl, one_id_rl.name()
    path = f"{tmp_path}/calls"
    with open(path, "wb") as file:
        file.write(program(calls_of(way, "/d")))
    os.chmod(path, 0o755)
    outside = subprocess.run([path], check=False).returncode
    assert outside != 0, "a host lets nobody do this"
    script = "mkdir /d; touch /d/f /d/g; /calls"
    options = ["--name", name, "--network", "none", "-v", f"{path}:/calls:ro"]
    done = rl.run("run", *options, "busybox", "sh", "-c", script, check=False)
    if outside == -11:
        pytest.skip("this kernel takes no calls of i386")
    assert done.returncode == 0, f"call {calls_of(way, '/d')[done.returncode - 1]}"
    found = exported(rl, name, f"{tmp_path}/out.tar")
    assert found["d/f"] == (33, 34) and found["d/g"] == (5, 6)
    assert "d/dev" not in found
