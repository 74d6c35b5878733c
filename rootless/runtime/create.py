"""Making a container: everything that can be refused is refused here, before it exists.  Warm."""

import os

from rootless import ids
from rootless.errors import ContainerError, HostError, ImageError, UsageError
from rootless.linux import mount, rlimit
from rootless.network import driver as drivers
from rootless.network import ports
from rootless.runtime import limits, names, rootfs, seccomp, spec
from rootless.store import atomic, containers, events, layout, mapping, volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rootless.context import Context
    from rootless.runtime.options import RunOptions
    from rootless.store.containers import Container, Lock

_NAME_TRIES = 20
_FILES_MIN = 32  # open files; a start with several layers, ports and a terminal has some 20


def create(
    ctx: "Context",
    options: "RunOptions",
    record: "dict[str, Any]",
    notify: "Callable[[str], None]",
    frozen: "Sequence[str]" = (),
    asked: "dict[str, object] | None" = None,
) -> "tuple[Container, Lock, dict[str, Any]]":
    """Make a container of the image `record`; it, its lock (held by us) and its config.json.

    `notify` gets a sentence when something costs more than usual.  `frozen` are layers to put upon
    the image's (runtime/snapshots.py), `asked` the values of the command line, kept for `rl system
    generate systemd --new`.  Raises RlError with nothing left.
    """
    _check_files_limit()
    layout.prepare(ctx.paths)
    if os.listdir(ctx.paths.tmp):
        atomic.sweep(ctx)  # what killed commands have left
    container_id = ids.new_container_id()
    mounted_images = [one for one in options.mounts if one["type"] == "image"]
    if mounted_images:
        from rootless.runtime import image_mounts

        image_mounts.hold(ctx, mounted_images)
    if options.userns["mode"] == "nomap":
        _leave_caller_out(ctx, options)
    config = _runtime_config(ctx, options, record, container_id, notify)
    extension = config["rl"]
    if frozen:
        extension["frozen"] = list(frozen)
    if mounted_images:
        driver = extension["rung"]["storage"]
        if driver == "directory":
            driver = rootfs.storage_driver(ctx, options.storage_driver)
        image_mounts.check(config["mounts"], driver)
    _check_layers(options.image, extension)
    if options.userns["mode"] in ("keep-id", "nomap"):
        extension["layer_directory"] = _kept_id_layers(
            ctx, options, [*extension["layers"], *extension["image_layers"]], notify
        )
    published = ports.claim_ranges(
        extension["network"]["ports"], notify if options.port_fallback else None
    )
    _check_limits(ctx, container_id, extension)
    if options.networks:
        from rootless.network.bridge import endpoints

        endpoints.check(ctx.paths, options.networks)
    for path in extension["create"]:
        _make_source(path)
    _check_sources(config)
    document = _document(container_id, options, record, config, published)
    document["asked"] = asked
    container, lock = _put(ctx, options, document, config, notify)
    events.record_container(ctx.paths, container, "create")
    return container, lock, config


def _put(
    ctx: "Context",
    options: "RunOptions",
    document: "dict[str, Any]",
    config: "dict[str, Any]",
    notify: "Callable[[str], None]",
) -> "tuple[Container, Lock]":
    """Put it into the store with its new volumes, and copy what its storage driver has copied."""
    extension = config["rl"]
    if extension["volumes"]:
        from rootless.runtime import container_volumes

        with container_volumes.NewVolumes(ctx, extension["volumes"]):
            container, lock = _add(ctx, document["id"], options.name, document, config)
    else:
        container, lock = _add(ctx, document["id"], options.name, document, config)
    if ctx.trace is not None:
        ctx.trace.lap(f"made its directory in the store: containers/{container.id}")
    if extension["rung"]["storage"] == "copy":
        _copy_image(ctx, container, lock, extension, notify)
    if document["mounted_images"]:
        from rootless.runtime import image_mounts

        suffix = extension.get("layer_directory", "diff")
        try:
            image_mounts.prepare(ctx, container, config["mounts"], suffix)
        except BaseException:
            volumes.discard(ctx, container, lock)
            raise
    return container, lock


def _runtime_config(
    ctx: "Context",
    options: "RunOptions",
    record: "dict[str, Any]",
    container_id: str,
    notify: "Callable[[str], None]",
) -> "dict[str, Any]":
    """config.json, with the rungs that are taken and what else this host decides."""
    directory = ctx.paths.container(container_id)
    if options.network.startswith("container:"):
        _find_joined(ctx, options)
    network = drivers.choose(options.network or str(ctx.config.get("network", "")), ctx.environ)
    if network == "bridge" and not options.networks:  # the configured one
        options.networks = {"bridge": {"aliases": [], "ip": "", "ip6": "", "mac": ""}}
    inherited: list[dict[str, Any]] = []
    if options.volumes_from:
        from rootless.runtime import container_volumes

        inherited = container_volumes.inherited(ctx, options.volumes_from)
    _known_volumes(ctx, [*options.mounts, *inherited])
    resolved = options
    if options.devices or options.cdi:
        from rootless.runtime import devices

        resolved = devices.resolve(ctx, options, notify)
    config = spec.build(
        resolved,
        record,
        container_id=container_id,
        directory=directory,
        volume_path=ctx.paths.volume_data,
        inherited=inherited,
        rootfs=f"{directory}/rootfs",
        seccomp=seccomp.program_for(ctx, options),
        driver=network,
        host_hostname=os.uname().nodename,
        host_limits=rlimit.host_limits(),
        host_devices=_host_devices() if options.privileged else (),
        tty_group=mapping.default_map(ctx).has_gid(5),
    )
    if ctx.trace is not None:
        ctx.trace.lap("put image and options together: config.json, as the OCI runtime-spec has it")
    if options.secrets:
        from rootless.store import secrets

        for one in options.secrets:
            secrets.find(ctx.paths, one["name"])
    extension: dict[str, Any] = config["rl"]
    extension["resources"] = limits.resources(options)
    extension["rung"]["storage"] = (
        "directory"
        if options.rootfs and not options.rootfs_overlay
        else rootfs.storage_driver(ctx, options.storage_driver)
    )
    if options.init:
        extension["init_program"] = rootfs.init_program(ctx, options.init_path)
    return config


def _find_joined(ctx: "Context", options: "RunOptions") -> None:
    """The container whose network the new one shares: its ID and host name are taken down."""
    other = containers.find(ctx, options.network.partition(":")[2])
    if other.config["network"] in ("host", "none"):
        options.network = str(other.config["network"])
        return
    if (other.config["options"].get("userns") or {}).get("mode"):
        raise ContainerError(
            f"cannot join the network of {other.name}: it has other IDs (--userns keep-id)",
            remedy="publish its ports, or put both on a network with a name",
            code="RL-NETWORK-JOIN",
        )
    options.network = f"container:{other.id}"
    if options.uts != "host":
        options.hostname = str(other.config["hostname"])


def record_of_directory(path: str) -> "dict[str, Any]":
    """What stands for an image's record with --rootfs.  Raises ContainerError RL-ROOTFS."""
    if not os.path.isdir(path) or not os.access(path, os.R_OK | os.X_OK):
        raise ContainerError(
            f"cannot use {path} as root file system: it is no directory that you can read",
            remedy="unpack one there: tar -xf rootfs.tar -C DIRECTORY",
            code="RL-ROOTFS",
        )
    return {"id": "", "names": [], "config": {}, "layers": []}


def _known_volumes(ctx: "Context", mounts: "list[dict[str, Any]]") -> None:
    """A volume that is there is what it was made as, whatever --mount says of a new one."""
    for one in mounts:
        if one["type"] == "volume" and one["source"]:
            there = volumes.read(ctx.paths, one["source"])
            if there is not None:
                one["driver_options"] = there["options"]


def _check_files_limit() -> None:
    """With too few descriptors a start would fail half-way, and its clean-up with it."""
    soft = rlimit.get("nofile")[0]
    if rlimit.within(soft, _FILES_MIN - 1):
        raise HostError(
            f"a process here may open {soft} files, and a container's start needs {_FILES_MIN}",
            remedy="raise the limit: ulimit -n 1024",
            code="RL-HOST-FILES",
        )


def _check_layers(image: str, extension: "dict[str, Any]") -> None:
    if extension["rung"]["storage"] == "overlay" and len(extension["layers"]) > mount.LAYERS_MAX:
        raise ImageError(
            f"{image} has {len(extension['layers'])} layers, and overlayfs takes "
            f"{mount.LAYERS_MAX}",
            remedy="use --storage-driver fuse-overlayfs or copy",
            code="RL-IMAGE-TOO-MANY-LAYERS",
        )


def _leave_caller_out(ctx: "Context", options: "RunOptions") -> None:
    """--userns=nomap: outside of the program's namespace the caller comes after everybody."""
    uid, gid = mapping.first_beyond(ctx)
    if not uid:
        raise HostError(
            "--userns nomap leaves nobody in the container: you have no subordinate IDs",
            remedy="leave it out; `rl doctor` tells how to get some",
            code="RL-HOST-NO-SUBIDS",
        )
    options.userns.update(uid=uid, gid=gid)
    if options.network not in ("host", "none"):
        # The network namespace is not the program's: no capability of its binds low ports.
        options.sysctls.setdefault("net.ipv4.ip_unprivileged_port_start", "0")


def _kept_id_layers(
    ctx: "Context", options: "RunOptions", layers: "list[str]", notify: "Callable[[str], None]"
) -> str:
    from rootless.runtime import layer_copies

    asked = options.userns
    uid = ctx.uid if asked["uid"] is None else int(asked["uid"])
    gid = ctx.gid if asked["gid"] is None else int(asked["gid"])
    return layer_copies.with_kept_id(ctx, layers, uid, gid, notify)


def _copy_image(
    ctx: "Context",
    container: "Container",
    lock: "Lock",
    extension: "dict[str, Any]",
    notify: "Callable[[str], None]",
) -> None:
    """The storage driver "copy": the whole image in the container's directory."""
    from rootless.runtime import layer_copies

    name = extension.get("layer_directory", "diff")
    layers = [f"{ctx.paths.layer(one)}/{name}" for one in extension["layers"]]
    if extension["rootfs"]["path"]:
        layers = [extension["rootfs"]["path"]]
    if name != "diff" and any(os.path.islink(ctx.paths.layer_image(one)) for one in
                              extension["layers"]):  # fmt: skip
        containers.remove(ctx, container, lock)
        raise UsageError(
            "--userns=keep-id and the storage driver copy do not go together for an image of a "
            "shared store",
            remedy="pull it into your own store, or use overlayfs or fuse-overlayfs",
        )
    try:
        copied = layer_copies.flatten(ctx, layers, f"{container.directory}/rootfs")
    except BaseException:
        volumes.discard(ctx, container, lock)
        raise
    if copied:
        notify(
            f"the image was copied for this container ({copied / 10**6:.0f} MB): neither overlayfs "
            "nor fuse-overlayfs is in use, and the file system has no reflinks"
        )


def _document(
    container_id: str,
    options: "RunOptions",
    record: "dict[str, Any]",
    config: "dict[str, Any]",
    published: "list[dict[str, Any]]",
) -> "dict[str, Any]":
    """container.json."""
    extension = config["rl"]
    return {
        "id": container_id,
        "name": options.name,
        "created": containers.now(),
        "image": {
            "reference": options.image,
            "id": record["id"],
            "name": (record.get("names") or [""])[0],
        },
        "options": options.to_dict(),
        "entrypoint": extension["entrypoint"],
        "command": extension["command"],
        "labels": extension["labels"],
        "network": extension["network"]["driver"],
        "networks": options.networks,
        "egress": options.egress,
        "ports": published,
        "mounts": extension["mounts"],
        "mounted_images": [one["image"] for one in options.mounts if one["type"] == "image"],
        "hostname": config["hostname"],
        "domainname": config.get("domainname", ""),
        "auto_remove": options.rm,
        "restart": options.restart,
        "tty": options.tty,
        "interactive": options.interactive,
        "stop_signal": extension["stop_signal"],
        "stop_timeout": extension["stop_timeout"],
        "anonymous_volumes": [one["name"] for one in extension["volumes"] if one["anonymous"]],
    }


def _add(
    ctx: "Context",
    container_id: str,
    name: str,
    document: "dict[str, Any]",
    config: "dict[str, Any]",
) -> "tuple[Container, Lock]":
    """Into the store, under the asked name or a free random one."""
    tries = _NAME_TRIES
    while True:
        document["name"] = name or names.random_name()
        if tries == 0:
            document["name"] = container_id[:12]
        try:
            return containers.add(
                ctx,
                container_id,
                {"container.json": document, "config.json": config},
                {"status": "created"},
            )
        except ContainerError as e:
            if name or e.code != "RL-CONTAINER-NAME-TAKEN" or tries == 0:
                raise
            tries -= 1


def _check_limits(ctx: "Context", container_id: str, extension: "dict[str, Any]") -> None:
    """A limit that cannot be enforced is refused before there is a container."""
    if any(extension["resources"].values()):
        policy = extension["limits"] or str(ctx.config.get("limits", "strict"))
        extension["limits"] = policy
        cgroup = limits.prepare(ctx, container_id, extension["resources"], policy)
        if cgroup is not None:
            cgroup.remove()


def _make_source(path: str) -> None:
    """The host directory of a --volume that is not there, as Docker makes it."""
    try:
        os.makedirs(path, exist_ok=True)
    except FileExistsError:
        pass  # a file
    except OSError as e:
        raise ContainerError(
            f"cannot make {path} for --volume: {e.strerror}",
            remedy="make it yourself, or mount a directory of your own",
            code="RL-MOUNT-SOURCE",
        ) from e


def _check_sources(config: "dict[str, Any]") -> None:
    volumes_made = {one["path"] for one in config["rl"]["volumes"]}
    etc = {
        f"{os.path.dirname(config['root']['path'])}/{name}"
        for name in ("hosts", "resolv.conf", "hostname")
    }
    for entry in config["mounts"]:
        source = entry["source"]
        if entry["type"] != "bind" or source in volumes_made or source in etc:
            continue
        try:
            os.stat(source)
        except OSError as e:
            raise ContainerError(
                f"cannot mount {source} on {entry['destination']}: {e.strerror}",
                remedy="check the path, or make it first",
                code="RL-MOUNT-SOURCE",
            ) from e


def _host_devices() -> list[str]:
    """Nodes of the host's /dev that the caller may open, for --privileged."""
    found = []
    for name in ("fuse", "net/tun", "kvm", "dri", "snd"):
        path = f"/dev/{name}"
        if os.access(path, os.R_OK | os.W_OK):
            found.append(path)
    return found


def write_cidfile(path: str, container_id: str) -> None:
    """--cidfile: Docker refuses one that is there."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        os.write(fd, container_id.encode())
        os.close(fd)
    except FileExistsError as e:
        raise ContainerError(
            f"the container ID file {path} exists",
            remedy="another container may use it: remove it, or name another file",
            code="RL-CIDFILE",
        ) from e
    except OSError as e:
        raise ContainerError(
            f"cannot write the container ID file {path}: {e.strerror}",
            remedy="name a file in a directory of yours",
            code="RL-CIDFILE",
        ) from e
