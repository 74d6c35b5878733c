"""The one frozen object that says who runs rl and where; made in cli/entry.py, passed down."""

import os

from rootless.paths import Paths

TYPE_CHECKING = False  # typing costs 12 ms of import; type checkers take this name for true
if TYPE_CHECKING:
    from collections.abc import Mapping

    from rootless.trace import Trace


class Context:
    """Who runs rl, where, and how it is configured.

    `config` is the parsed ~/.config/rl/config.toml ({} without one): storage-driver, network,
    limits, store, and others named in docs/configuration.md.  `unpacked` collects what became of
    the layers that this command brings (layer/unpack.py), for the user to be told; `trace` what is
    done when, if that was asked for (rootless/trace.py).
    """

    __slots__ = ("config", "debug", "environ", "gid", "home", "paths", "trace", "uid", "unpacked")

    def __init__(
        self,
        *,
        paths: Paths,
        uid: int,
        gid: int,
        home: str,
        environ: "Mapping[str, str]",
        config: "Mapping[str, object]",
        debug: bool,
    ) -> None:
        self.paths = paths
        self.uid = uid
        self.gid = gid
        self.home = home
        self.environ = environ
        self.config = config
        self.debug = debug
        self.unpacked: list[object] = []
        self.trace: Trace | None = None

    def with_paths(self, paths: Paths) -> "Context":
        """The same caller on another store."""
        return Context(
            paths=paths,
            uid=self.uid,
            gid=self.gid,
            home=self.home,
            environ=self.environ,
            config=self.config,
            debug=self.debug,
        )

    def user_name(self) -> str:
        """The login name of the caller, or the UID where the host knows none."""
        return login_name(self.uid)

    def helper(self, relative: str) -> str:
        """Absolute path of a file of helpers/, from the wheel or from a checkout."""
        package = os.path.dirname(os.path.abspath(__file__))
        installed = f"{package}/_helpers/{relative}"
        if os.path.exists(installed):
            return installed
        return f"{os.path.dirname(package)}/helpers/{relative}"


def login_name(uid: int) -> str:
    """The login name of `uid`, or the number where the host knows none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
