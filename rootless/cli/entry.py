"""`rl`: dispatch a command line, and the one place that prints errors.  Warm.

A command line that the generated table and parse.py fully understand goes straight to its
action; Typer (60 ms of import) serves help, completion and whatever is wrong.
"""

import errno
import gc
import os
import sys

from rootless import log
from rootless.cli._table import ALIASES, GROUPS, TABLE
from rootless.cli.parse import parse
from rootless.context import Context
from rootless.errors import BuildError, HostError, KernelError, RlError, StoreError, UsageError
from rootless.paths import Paths, default_store, runtime_candidates, shared_stores

TYPE_CHECKING = False
if TYPE_CHECKING:
    Environ = os._Environ[str] | dict[str, str]

# sun_path of unix(7) has 108 bytes, with a null; "/0123456789ab.attach" comes after the directory.
_RUNTIME_MAX = 107 - 20

_GARBAGE = 50_000  # objects made, and not freed at once, between two looks for cycles

# These say the same about rl itself, whoever asks.
_FOR_ROOT_TOO = frozenset(("explain", "version"))


def main(argv: "list[str] | None" = None) -> int:
    """Run `rl argv...` and return its exit status; without `argv`, be the program `rl`."""
    # Most commands end before there is garbage: looking for it among modules costs them 2 ms.
    gc.set_threshold(_GARBAGE)
    status = _run(list(sys.argv[1:] if argv is None else argv))
    if argv is None and "threading" not in sys.modules:
        # What the interpreter does at its end, for 2 ms, the kernel does as well.
        os._exit(status)
    return status


def _run(words: "list[str]") -> int:
    _open_standard_descriptors()
    debug = os.environ.get("RL_DEBUG", "") not in ("", "0", "timing")
    while words and words[0] in ("--debug", "-D"):
        debug = True
        del words[0]
    try:
        status = _dispatch(words, debug)
        _flush()
        return status
    except KeyboardInterrupt:
        _discard_output()
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; the interpreter must not try again at its exit.
        _discard_output()
        return 141
    except Exception as e:
        if debug:
            import traceback

            traceback.print_exc()
        failure = _understood(e) if isinstance(e, RlError) else _explain(e)
        log.error(failure.one_line())
        if isinstance(failure, BuildError) and failure.excerpt:
            lines = failure.excerpt.splitlines()
            os.write(2, "".join(f"{log.printable(line)}\n" for line in lines).encode())
        _discard_output()
        return _status(failure, words)


def _status(failure: RlError, words: "list[str]") -> int:
    """Docker's: 125 where no program could be run and for a wrong command line, 126 and 127 for
    the program itself, and 1 for what failed otherwise.  The 1 of a health check is its answer."""
    if failure.exit_status != RlError.exit_status or isinstance(failure, UsageError):
        return failure.exit_status
    command = find_command(words)[0] if words else ""
    return failure.exit_status if command in ("run", "healthcheck run") else 1


def _dispatch(words: "list[str]", debug: bool) -> int:
    if "_RL_COMPLETE" not in os.environ and words:
        command, rest, preset = find_command(words)
        row = TABLE.get(command)
        values = parse(row, rest) if row else None
        if values is not None:
            values.update({k: v for k, v in preset.items() if not values.get(k)})
            return act(command, values, debug)
    from rootless.cli import app

    return app.main(words, debug)


def find_command(words: "list[str]") -> "tuple[str, list[str], dict[str, str]]":
    """The command that `words` begin with, the rest, and values that its name implies.

    `container ls -a` is `ps -a`, `image inspect x` is `inspect x` with type=image.
    """
    group = GROUPS.get(words[0])
    if group is not None and len(words) > 1 and words[1] in group:
        command, preset = group[words[1]]
        return command, words[2:], preset
    return ALIASES.get(words[0], words[0]), words[1:], {}


def act(command: str, values: "dict[str, object]", debug: bool) -> int:
    """Import the action of `command` and run it."""
    action = f"rootless.cli.actions.{TABLE[command][0]}"
    __import__(action)
    ctx = make_context(debug, needs_user=command not in _FOR_ROOT_TOO)
    if values.get("squash_ids"):
        ctx.config = {**ctx.config, "squash-ids": True}
    if values.get("require_signature"):
        ctx.config = {**ctx.config, "require-signatures": _keys(ctx, values["require_signature"])}
    if values.get("trace") is not None:
        from rootless.cli import trace_output

        status = trace_output.follow(
            ctx, str(values["trace"]), lambda: sys.modules[action].main(ctx, values)
        )
    else:
        status = sys.modules[action].main(ctx, values)
    tell_unpacked(ctx)
    assert isinstance(status, int)
    return status


def _keys(ctx: Context, given: object) -> list[object]:
    """The keys of --require-signature, with those that are configured."""
    configured = ctx.config.get("require-signatures")
    listed = configured if isinstance(configured, list) else []
    assert isinstance(given, list)
    return [*listed, *given]


def tell_unpacked(ctx: Context) -> None:
    """Say what became of the layers that were brought, if there is something to say."""
    if ctx.unpacked:
        from rootless.layer import unpacked

        for text in unpacked.words(ctx):
            log.note(text)


def make_context(debug: bool = False, *, needs_user: bool = True) -> Context:
    """Who runs rl, where, with which configuration.  Makes the runtime directory.

    Raises UsageError for root, HostError without a runtime directory.
    """
    environ = os.environ
    uid = os.geteuid()
    if uid == 0 and needs_user:
        _refuse_root(environ)
    home = environ.get("HOME") or _home_of(uid)
    config = _read_config(environ, home)
    store = default_store(environ, home)
    if "RL_STORE" not in environ and isinstance(config.get("store"), str):
        store = os.path.abspath(os.path.expanduser(str(config["store"])))
    elif "RL_STORE" not in environ and not os.path.exists(f"{store}/version"):
        store = _first_store(store, uid)
    runtime = _runtime_directory(environ, uid) if needs_user else ""
    return Context(
        paths=Paths(store, runtime, shared_stores(environ, config.get("image-stores"), home)),
        uid=uid,
        gid=os.getegid(),
        home=home,
        environ=environ,
        config=config,
        debug=debug,
    )


def _first_store(usual: str, uid: int) -> str:
    """Where the first command makes the store; said aloud when it is not the usual place."""
    from rootless.store import place

    store, problem = place.choose(usual, uid)
    if problem is not None:
        log.note(f"{problem.what}; using {store} instead [{problem.code}]")
    return store


def _refuse_root(environ: "Environ") -> None:
    """Real root gets an error; root of a user namespace is an ordinary user in disguise."""
    if environ.get("RL_ALLOW_ROOT") == "1":
        return
    try:
        with open("/proc/self/uid_map") as uid_map:
            real = uid_map.read().split() == ["0", "0", "4294967295"]
    except OSError:
        real = True
    if real:
        raise UsageError(
            "rl is for ordinary users, and you are root",
            remedy="run it as the user who is to own the containers, or set RL_ALLOW_ROOT=1",
            code="RL-ROOT",
        )


def _home_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


def _read_config(environ: "Environ", home: str) -> "dict[str, object]":
    """config.toml; {} where there is none.  tomllib is imported only for a file that exists."""
    config_home = environ.get("XDG_CONFIG_HOME", "")
    if not config_home.startswith("/"):
        config_home = f"{home}/.config"
    path = environ.get("RL_CONFIG") or f"{config_home}/rl/config.toml"
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as e:
        raise UsageError(
            f"cannot read {path}: {e.strerror}",
            remedy="make it readable for you, or remove it",
            code="RL-CONFIG",
        ) from e
    import tomllib

    try:
        return tomllib.loads(data.decode())
    except ValueError as e:  # TOMLDecodeError, UnicodeDecodeError
        raise UsageError(
            f"{path} is not TOML: {e}", remedy="correct that line", code="RL-CONFIG"
        ) from e


def _runtime_directory(environ: "Environ", uid: int) -> str:
    """The first candidate that exists, or can be made, and that is ours alone."""
    reasons = []
    for path in runtime_candidates(environ, uid):
        reason = _unfit(path, uid)
        if not reason:
            return path
        reasons.append(f"{path}: {reason}")
    raise HostError(
        f"there is no safe runtime directory ({', '.join(reasons)})",
        remedy="set XDG_RUNTIME_DIR to a directory that only you can write",
        code="RL-HOST-RUNTIME-DIR",
    )


def _unfit(path: str, uid: int) -> str:
    """Why `path` cannot be the runtime directory; "" when it can.  Makes it when it is missing."""
    if len(os.fsencode(path)) > _RUNTIME_MAX:
        return "too long for the path of a socket"
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as e:
        return e.strerror or "cannot be made"
    # lstat: in /tmp another user could have put a symbolic link here.
    status = os.lstat(path)
    if status.st_mode & 0o170000 != 0o040000:
        return "not a directory"
    if status.st_uid != uid:
        return f"belongs to user {status.st_uid}"
    if status.st_mode & 0o077:
        return f"has mode {status.st_mode & 0o777:o}, not 700"
    if not os.access(path, os.W_OK | os.X_OK):
        return "not writable"
    return ""


def _understood(e: RlError) -> RlError:
    """`e`, but what the kernel refused as _explain() has it, where the call itself says nothing:
    for want of descriptors or memory, and what a worker met with files."""
    if not isinstance(e, KernelError) or e.code != KernelError.code:
        return e
    short = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
    files = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
    if e.errno in short or (e.call == "worker" and e.errno in files):
        return _explain(OSError(e.errno, os.strerror(e.errno), e.target or None))
    return e


def _explain(e: Exception) -> RlError:
    """An error for what escaped from below: the disk's and the host's, else a bug."""
    if isinstance(e, OSError) and e.errno is not None:
        where = f" ({os.fsdecode(e.filename)})" if isinstance(e.filename, str | bytes) else ""
        what = f"{os.strerror(e.errno)}{where}"
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = "free some space, or remove images and containers: rl rmi, rl rm"
            return StoreError(what, remedy=remedy, code="RL-STORE-FULL")
        if e.errno == errno.EROFS:
            remedy = "put the store elsewhere: set RL_STORE, or store in config.toml"
            return StoreError(what, remedy=remedy, code="RL-STORE-READ-ONLY")
        if e.errno in (errno.EACCES, errno.EPERM):
            remedy = "check the owner and mode of that path"
            return HostError(what, remedy=remedy, code="RL-HOST-PERMISSION")
        if e.errno == errno.ENOTDIR:
            remedy = "a file is where a directory should be: move it away, or set RL_STORE"
            return StoreError(what, remedy=remedy, code="RL-STORE-UNWRITABLE")
        if e.errno in (errno.EMFILE, errno.ENFILE):
            remedy = "raise the limit of open files: ulimit -n"
            return HostError(what, remedy=remedy, code="RL-HOST-FILES")
        if e.errno in (errno.EAGAIN, errno.ENOMEM):
            remedy = "end some processes, or raise their limit: ulimit -u"
            return HostError(what, remedy=remedy, code="RL-HOST-RESOURCES")
    if isinstance(e, MemoryError):
        return HostError("out of memory", remedy="end something", code="RL-HOST-RESOURCES")
    text = f"{type(e).__name__}: {e}" if str(e) else type(e).__name__
    return RlError(
        f"rl has a bug: {text}", remedy="run again with RL_DEBUG=1 and report it", code="RL-BUG"
    )


def _flush() -> None:
    """Write out what is buffered, so that a full disk or a closed pipe is noticed here."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as e:
        from rootless.cli.output import cannot_write

        raise cannot_write(e) from e


def _discard_output() -> None:
    """Let what is still buffered go nowhere: no second failure at the interpreter's exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open("/dev/null", os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def _open_standard_descriptors() -> None:
    """A closed stdin, stdout or stderr becomes /dev/null: else the next file opened would get its
    number, and messages would be written into the store."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # open(2) takes the lowest free number: this one.
            os.open("/dev/null", os.O_RDWR)


if __name__ == "__main__":
    sys.exit(main())
