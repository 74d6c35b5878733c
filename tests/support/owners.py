"""Who files belong to, as archives say."""

import tarfile

from support.program import Rl


def exported(rl: Rl, name: str, path: str) -> dict[str, tuple[int, int]]:
    """name -> (UID, GID) of what is in the container, as `rl export` says."""
    rl.run("export", "-o", path, name)
    return owners_in(path)


def owners_in(path: str) -> dict[str, tuple[int, int]]:
    with tarfile.open(path) as archive:
        return {m.name.removeprefix("./"): (m.uid, m.gid) for m in archive}
