"""What a worker can be asked to do.  Each takes its arguments as JSON and returns JSON."""

import hashlib
import os
import threading
from collections.abc import Callable
from queue import Queue

from rootless.errors import BadDocument, DigestMismatch, ImageError, RlError
from rootless.layer.compression import Decompressed
from rootless.layer.extract import Extractor, write_data
from rootless.layer.tarstream import TarReader
from rootless.layer.timing import Spent
from rootless.store.removal import remove_tree

Arguments = dict[str, object]

_CHUNK = 1 << 20
_QUEUE = 8  # chunks: what inflating may be ahead of extracting


class _Source:
    """Inflates and hashes standard input in a thread of its own, while files are written.

    Both drop the interpreter's lock: on two cores an image unpacks in the time of the slower.
    """

    def __init__(
        self,
        media_type: str,
        limits: tuple[int, int],
        *,
        timing: bool,
        what: str = "the layer",
    ) -> None:
        self.hash = hashlib.sha256()
        self.spent = Spent(on=timing)
        self.error: BaseException | None = None
        self._ended = False
        self._media_type = media_type
        self._what = what
        self._limits = limits
        self._queue: Queue[bytes] = Queue(_QUEUE)
        threading.Thread(target=self._run, daemon=True).start()

    def next_chunk(self) -> bytes:
        chunk = b"" if self._ended else self._queue.get()
        if not chunk:
            self._ended = True  # nothing more will come: another get() would wait for ever
            if self.error is not None:
                raise self.error
        return chunk

    def _run(self) -> None:
        try:
            with open(0, "rb", buffering=0, closefd=False) as stdin:
                timed = self.spent.timed
                source = _Timed(timed("input", stdin.read))
                data = Decompressed(source, self._media_type, self._what, self._limits)
                inflate = timed("inflate", data.read)
                hash_chunk, hand_over = timed("hash", self.hash.update), timed("ahead", self._put)
                while chunk := inflate(_CHUNK):
                    hash_chunk(chunk)
                    hand_over(chunk)
        except BaseException as e:
            self.error = e
        self._queue.put(b"")

    def _put(self, chunk: bytes) -> None:
        self._queue.put(chunk)


class _Timed:
    """A Readable of a function."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


def _limits(arguments: Arguments) -> tuple[int, int]:
    limits: list[int] = arguments["limits"]  # type: ignore[assignment]
    return limits[0], limits[1]


def unpack(arguments: Arguments) -> object:
    """Extract the layer on standard input below `directory` (made here); see layer/unpack.py.

    On any failure the directory is removed again.
    """
    directory = str(arguments["directory"])
    wanted = str(arguments["diff_id"] or "")
    timing = bool(arguments["timing"])
    source = _Source(str(arguments["media_type"]), _limits(arguments), timing=timing)
    spent = Spent(on=timing)
    os.mkdir(directory, 0o755)
    try:
        root_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        write = spent.timed("write", write_data)
        extractor = Extractor(root_fd, squash=bool(arguments["squash"]), write_data=write)
        failure: RlError | None = None
        try:
            reader = TarReader(spent.timed("wait", source.next_chunk))
            spent.timed("metadata", extractor.extract_all)(reader)
        except (BadDocument, ImageError) as e:
            failure = e
            _drain(source)
        diff_id = f"sha256:{source.hash.hexdigest()}"
        # Damaged data is damaged data first, whatever the tar in it looks like.
        if wanted and diff_id != wanted and source.error is None:
            raise DigestMismatch("the layer's content is not what its image says", wanted, diff_id)
        if failure is not None:
            raise failure
    except BaseException:
        remove_tree(directory)
        raise
    return {
        "diff_id": diff_id,
        "size": extractor.size,
        "entries": extractor.entries,
        "skipped_devices": extractor.devices,
        "device_names": [os.fsdecode(name) for name in extractor.device_names],
        "skipped_xattrs": extractor.attributes.skipped_xattrs,
        "lost_owners": extractor.attributes.lost_owners,
        "spent": source.spent.seconds | spent.seconds,
    }


def _drain(source: _Source) -> None:
    try:
        while source.next_chunk():
            pass
    except BadDocument:
        pass


def archive(arguments: Arguments) -> object:
    """Write the tree `directory` as a tar archive on standard output; its digest and size.

    `layer` says whether it is one: see write_tree.
    """
    from rootless.layer.archive import write_tree

    digest = hashlib.sha256()
    size = 0

    def write(data: bytes) -> None:
        nonlocal size
        digest.update(data)
        size += len(data)
        stdout.write(data)

    root_fd = os.open(str(arguments["directory"]), os.O_RDONLY | os.O_DIRECTORY)
    with open(1, "wb", buffering=1 << 18, closefd=False) as stdout:
        write_tree(root_fd, write, layer=bool(arguments["layer"]))
    return {"diff_id": f"sha256:{digest.hexdigest()}", "size": size}


def fill(arguments: Arguments) -> object:
    """Put the files of the archive on standard input into `directory`; how many there were.

    `what` is what errors call the archive.
    On failure what was there before the bad place of the archive stays.
    """
    source = _Source("", _limits(arguments), timing=False, what=str(arguments["what"]))
    root_fd = os.open(str(arguments["directory"]), os.O_RDONLY | os.O_DIRECTORY)
    squash = bool(arguments["squash"])
    extractor = Extractor(root_fd, squash=squash, write_data=write_data, layer=False)
    extractor.extract_all(TarReader(source.next_chunk))
    return extractor.entries


def overlay_archive(arguments: Arguments) -> object:
    """Write the tree `directory` on standard output, for sqfstar; what squash.py says of it."""
    from rootless.layer.squash import write_overlay

    root_fd = os.open(str(arguments["directory"]), os.O_RDONLY | os.O_DIRECTORY)
    with open(1, "wb", buffering=1 << 18, closefd=False) as stdout:
        return write_overlay(root_fd, stdout.write)


def remove(arguments: Arguments) -> object:
    """Remove the trees `paths`; the ones that could not be."""
    paths: list[str] = arguments["paths"]  # type: ignore[assignment]
    return [path for path in paths if not remove_tree(path)]


def bootstrap(arguments: Arguments) -> object:
    """Run `argv` as PID 1 of the new PID namespace, in private mounts; its exit status.

    `tmpfs` puts a memory file system on `directory`.  When the worker dies, all of it ends.
    """
    import signal

    from rootless.errors import KernelError
    from rootless.linux import syscalls

    argv: list[str] = arguments["argv"]  # type: ignore[assignment]
    environ: dict[str, str] = arguments["environ"]  # type: ignore[assignment]
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    if arguments["tmpfs"]:
        syscalls.mount("tmpfs", str(arguments["directory"]), "tmpfs", 0, "mode=0755")
    worker = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            if not os.path.exists(f"/proc/{worker}"):
                os._exit(1)
            try:
                syscalls.mount("proc", "/proc", "proc", 14)  # nosuid, nodev, noexec
            except KernelError:
                pass  # a masked /proc (we are in a container): the old one serves
            os.execvpe(argv[0], argv, environ)
        except OSError as e:
            os.write(2, f"E: {argv[0]} cannot be started: {e.strerror}\n".encode())
        finally:
            os._exit(127)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


TASKS: dict[str, Callable[[Arguments], object]] = {
    "unpack": unpack,
    "remove": remove,
    "archive": archive,
    "overlay_archive": overlay_archive,
    "fill": fill,
    "bootstrap": bootstrap,
}
