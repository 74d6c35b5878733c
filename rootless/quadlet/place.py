"""Installed quadlets: ~/.config/rl/quadlet/FILE/, made in one rename.

unit       the file as it was
conf/      its drop-ins, NNN-NAME in the order in which they count
origin     a symbolic link to the file that it was installed from
"""

import fcntl
import os
import shutil
import tempfile

from rootless.errors import QuadletError
from rootless.quadlet import collection, keys
from rootless.quadlet.collection import Collection, Quadlet
from rootless.records import dataclass

_STAGED = ".new-"


@dataclass(frozen=True, slots=True)
class Source:
    """A quadlet as its file has it, with what is to be kept of it."""

    quadlet: Quadlet
    path: str
    text: str
    drop_ins: list[tuple[str, str]]


def directory(config_home: str) -> str:
    """Where they are: below ~/.config, as it is known to the caller."""
    return f"{config_home}/rl/quadlet"


def find_files(given: list[str]) -> list[str]:
    """The quadlet files of arguments: files as they are, and all that is in directories."""
    found: list[str] = []
    for argument in given:
        if not os.path.isdir(argument):
            found.append(argument)
            continue
        inside = []
        for top, names, files in os.walk(argument):
            names[:] = sorted(name for name in names if not name.endswith(".d"))
            inside += [f"{top}/{name}" for name in sorted(files) if collection.is_quadlet(name)]
        if not inside:
            raise QuadletError(
                f"there is no quadlet file in {argument}",
                remedy=f"their names end with {', '.join('.' + kind for kind in keys.KINDS)}",
            )
        found += inside
    names_seen: dict[str, str] = {}
    for path in found:
        name = os.path.basename(path)
        if name in names_seen:
            raise QuadletError(
                f"{path} and {names_seen[name]} have one name", remedy="rename one of them"
            )
        names_seen[name] = path
    return found


def read_file(path: str) -> Source:
    """A quadlet file with the drop-ins beside it.  Raises QuadletError."""
    name, parent = os.path.basename(path), os.path.dirname(os.path.abspath(path))
    collection.check_name(name, path)
    text = _text(path)
    chosen: dict[str, str] = {}
    for one in collection.drop_in_directories(name):
        try:
            files = os.listdir(f"{parent}/{one}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        chosen.update({f: f"{parent}/{one}/{f}" for f in files if f.endswith(".conf")})
    drop_ins = [(chosen[f], _text(chosen[f])) for f in sorted(chosen)]
    quadlet = collection.read(name, text, drop_ins, path, parent)
    return Source(quadlet, os.path.abspath(path), text, drop_ins)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as e:
        raise QuadletError(f"{path} is not UTF-8 text", remedy="convert it: iconv -t UTF-8") from e
    except OSError as e:
        raise QuadletError(
            f"cannot read {path}: {e.strerror}",
            remedy="name a quadlet file, or a directory of them",
            code="RL-QUADLET-FILE",
        ) from e


def load(place: str) -> dict[str, Source]:
    """All installed quadlets by the names of their files."""
    try:
        names = sorted(name for name in os.listdir(place) if collection.is_quadlet(name))
    except FileNotFoundError:
        return {}
    found = {}
    for name in names:
        one = f"{place}/{name}"
        origin = os.readlink(f"{one}/origin")
        drop_ins = [
            (f"{one}/conf/{conf}", _text(f"{one}/conf/{conf}"))
            for conf in sorted(os.listdir(f"{one}/conf"))
        ]
        text = _text(f"{one}/unit")
        quadlet = collection.read(name, text, drop_ins, origin, os.path.dirname(origin))
        found[name] = Source(quadlet, origin, text, drop_ins)
    return found


def as_collection(sources: dict[str, Source]) -> Collection:
    return Collection([one.quadlet for one in sources.values()])


def keep(place: str, sources: list[Source]) -> None:
    """Put quadlets into `place`, all or, when one cannot be written, none."""
    os.makedirs(place, mode=0o700, exist_ok=True)
    # One at a time; what a killed one has left goes first.
    lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(place):
            if name.startswith(_STAGED):
                shutil.rmtree(f"{place}/{name}")
        _keep(place, sources)
    finally:
        os.close(lock)


def _keep(place: str, sources: list[Source]) -> None:
    staged = tempfile.mkdtemp(prefix=_STAGED, dir=place)
    done: list[Source] = []
    try:
        for source in sources:
            one = f"{staged}/{source.quadlet.file}"
            os.makedirs(f"{one}/conf")
            os.symlink(source.path, f"{one}/origin")
            _write(f"{one}/unit", source.text)
            for number, (path, text) in enumerate(source.drop_ins):
                _write(f"{one}/conf/{number:03}-{os.path.basename(path)}", text)
        for source in sources:
            file = source.quadlet.file
            if os.path.exists(f"{place}/{file}"):
                os.rename(f"{place}/{file}", f"{staged}/old-{file}")
            os.rename(f"{staged}/{file}", f"{place}/{file}")
            done.append(source)
    except BaseException:
        for source in done:
            file = source.quadlet.file
            shutil.rmtree(f"{place}/{file}", ignore_errors=True)
            if os.path.exists(f"{staged}/old-{file}"):
                os.rename(f"{staged}/old-{file}", f"{place}/{file}")
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def remove(place: str, file: str) -> None:
    """Forget an installed quadlet."""
    shutil.rmtree(f"{place}/{file}")
