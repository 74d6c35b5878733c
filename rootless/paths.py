"""Every path that rl computes in its store and runtime directory, and nowhere else.

Pure: makes nothing, checks nothing.  The layout is DESIGN.md section 5.
"""

import os


class Paths:
    """The places of one user's store (`store`) and runtime directory (`runtime`), absolute.

    `shared` are the directories of the read-only stores whose images this user may use too, in
    the order in which they are searched.  `published` says that `store` is such a one itself: what
    is written there is for everybody to read.
    """

    __slots__ = ("published", "runtime", "shared", "store")

    def __init__(
        self, store: str, runtime: str, shared: "tuple[str, ...]" = (), *, published: bool = False
    ) -> None:
        self.store = store
        self.runtime = runtime
        self.shared = tuple(one for one in shared if one != store)
        self.published = published

    @property
    def file_mode(self) -> int:
        return 0o644 if self.published else 0o600

    @property
    def directory_mode(self) -> int:
        return 0o755 if self.published else 0o700

    # The store as a whole.

    @property
    def version(self) -> str:
        return f"{self.store}/version"

    @property
    def lock(self) -> str:
        """flock: shared while the store is in use, exclusive for gc and migration."""
        return f"{self.store}/lock"

    @property
    def tmp(self) -> str:
        """Parent of half-made things; each child directory is flocked by its maker."""
        return f"{self.store}/tmp"

    @property
    def oci_layout(self) -> str:
        return f"{self.store}/oci-layout"

    @property
    def oci_index(self) -> str:
        return f"{self.store}/index.json"

    @property
    def events(self) -> str:
        """What has happened: rootless.store.events."""
        return f"{self.store}/events"

    # Blobs, layers and images.

    @property
    def blobs(self) -> str:
        return f"{self.store}/blobs/sha256"

    def blob(self, digest: str) -> str:
        """Path of the blob "sha256:<hex>"."""
        algorithm, _, value = digest.partition(":")
        return f"{self.store}/blobs/{algorithm}/{value}"

    @property
    def partials(self) -> str:
        return f"{self.store}/partial"

    def partial(self, digest: str) -> str:
        """What has arrived of the blob "sha256:<hex>"."""
        return f"{self.partials}/{digest.rpartition(':')[2]}"

    @property
    def layers(self) -> str:
        return f"{self.store}/layers"

    def layer(self, diff_id: str) -> str:
        """Directory of a layer: diff/ and meta.json.  `diff_id` is "sha256:<hex>"."""
        return f"{self.store}/layers/{diff_id.rpartition(':')[2]}"

    def layer_diff(self, diff_id: str) -> str:
        return f"{self.layer(diff_id)}/diff"

    def layer_image(self, diff_id: str, name: str = "image") -> str:
        """The layer as one squashfs file: in a shared store the file, in one's own a link to it.

        "image" has the owners of the files, "image-root" gives all of them to root.
        """
        return f"{self.layer(diff_id)}/{name}"

    @property
    def images_by_id(self) -> str:
        return f"{self.store}/images/by-id"

    @property
    def images_by_name(self) -> str:
        return f"{self.store}/images/by-name"

    def image(self, image_id: str) -> str:
        """The resolved image record (JSON) of an image ID "sha256:<hex>"."""
        return f"{self.images_by_id}/{image_id.rpartition(':')[2]}.json"

    def image_by_name(self, reference: str) -> str:
        """A symlink to the record; `reference` is canonical: docker.io/library/x:latest."""
        return f"{self.images_by_name}/{_file_name(reference)}"

    @property
    def images_by_short(self) -> str:
        return f"{self.store}/images/by-short"

    def image_by_short(self, reference: str) -> str:
        """A symlink whose text is the canonical name that a short name was pulled as."""
        return f"{self.images_by_short}/{reference.replace('%', '%25').replace('/', '%2F')}"

    @property
    def image_lock(self) -> str:
        return f"{self.store}/images/lock"

    @property
    def manifest_lists(self) -> str:
        return f"{self.store}/manifests"

    def manifest_list(self, reference: str) -> str:
        """A manifest list in the making (JSON), by its canonical name."""
        return f"{self.manifest_lists}/{_file_name(reference)}.json"

    # Containers, volumes, networks.

    @property
    def containers(self) -> str:
        return f"{self.store}/containers"

    def container(self, container_id: str) -> str:
        return f"{self.store}/containers/{container_id}"

    @property
    def containers_by_name(self) -> str:
        return f"{self.store}/containers/by-name"

    def container_by_name(self, name: str) -> str:
        """A symlink to the container's directory; making it reserves the name."""
        return f"{self.store}/containers/by-name/{name}"

    @property
    def secrets(self) -> str:
        return f"{self.store}/secrets"

    def secret(self, name: str) -> str:
        return f"{self.store}/secrets/{name}.json"

    @property
    def volumes(self) -> str:
        return f"{self.store}/volumes"

    @property
    def volume_lock(self) -> str:
        """flock, see store/volumes.py; no volume's name begins with a dot."""
        return f"{self.store}/volumes/.lock"

    def volume(self, name: str) -> str:
        return f"{self.store}/volumes/{name}"

    def volume_data(self, name: str) -> str:
        return f"{self.store}/volumes/{name}/_data"

    @property
    def networks(self) -> str:
        return f"{self.store}/networks"

    @property
    def network_lock(self) -> str:
        """flock, see store/networks.py; no network's name begins with a dot."""
        return f"{self.store}/networks/.lock"

    def network(self, name: str) -> str:
        return f"{self.store}/networks/{name}.json"

    @property
    def frozen(self) -> str:
        """What containers had written when a snapshot was taken: layers without a digest."""
        return f"{self.store}/frozen"

    @property
    def frozen_lock(self) -> str:
        """flock, see store/frozen.py."""
        return f"{self.store}/frozen/.lock"

    def frozen_diff(self, frozen_id: str) -> str:
        return f"{self.store}/frozen/{frozen_id}/diff"

    @property
    def cache(self) -> str:
        """Things that can be made again: compiled seccomp filters, subordinate ID look-ups."""
        return f"{self.store}/cache"

    # The runtime directory: sockets and what need not survive a reboot.

    @property
    def networks_runtime(self) -> str:
        """Of networks with names, while a container is on one: socket, lock, addresses.

        Another store has networks of its own, and may have the same runtime directory.
        """
        from binascii import crc32

        return f"{self.runtime}/networks-{crc32(os.fsencode(self.store)):08x}"

    def container_runtime(self, container_id: str) -> str:
        return f"{self.runtime}/{container_id[:12]}"


def _file_name(reference: str) -> str:
    """A reference as the name of a file."""
    return reference.replace("%", "%25").replace("/", "%2F")


def current_directory() -> str:
    """The directory that relative paths begin at; "" when it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def shared_stores(
    environ: "os._Environ[str] | dict[str, str]", configured: object, home: str
) -> "tuple[str, ...]":
    """The read-only stores: $RL_IMAGE_STORES (with colons between), else the configured list."""
    text = environ.get("RL_IMAGE_STORES")
    if text is not None:
        listed: list[object] = list(text.split(":"))
    else:
        listed = configured if isinstance(configured, list) else []
    found = []
    for one in listed:
        path = str(one)
        if path == "~" or path.startswith("~/"):
            path = home + path[1:]
        if path.startswith("/"):
            found.append(os.path.normpath(path))
    return tuple(found)


def default_store(environ: "os._Environ[str] | dict[str, str]", home: str) -> str:
    """$RL_STORE, else $XDG_DATA_HOME/rl, else ~/.local/share/rl."""
    if environ.get("RL_STORE"):
        return os.path.abspath(environ["RL_STORE"])
    data_home = environ.get("XDG_DATA_HOME", "")
    # The XDG specification tells to ignore a relative path.
    return f"{data_home if data_home.startswith('/') else home + '/.local/share'}/rl"


def runtime_candidates(environ: "os._Environ[str] | dict[str, str]", uid: int) -> list[str]:
    """The ladder of runtime directories, best first (DESIGN.md section 4)."""
    rungs = [f"/run/user/{uid}/rl", f"/tmp/rl-{uid}"]
    xdg = environ.get("XDG_RUNTIME_DIR", "")
    if xdg.startswith("/"):
        rungs.insert(0, f"{xdg}/rl")
    return rungs
