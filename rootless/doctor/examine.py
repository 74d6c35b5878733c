"""All probes of this host, and their report."""

import time
from functools import partial

from rootless.context import Context
from rootless.doctor import host, isolate, namespaces, network, storage
from rootless.doctor.verdict import Ladder, Report
from rootless.linux.idmap import IdMap


def examine(ctx: Context) -> Report:
    """Try everything that a container needs.  The caller has one thread."""
    started = time.monotonic()
    # First: what the other probes stand on.
    first = isolate.run([("user namespaces", partial(namespaces.probe, ctx))])[0]
    possible = all(ladder.chosen for ladder in first)
    maps = _maps(ctx, first) if possible else None
    probes = [
        ("kernel", partial(host.probe_kernel, ctx)),
        ("proc", partial(namespaces.probe_proc, ctx, maps)),
        ("overlay", partial(storage.probe_overlay, ctx, maps)),
        ("fuse-overlayfs", partial(storage.probe_fuse_overlayfs, ctx, maps)),
        ("copy", partial(storage.probe_copy, ctx)),
        ("slirp4netns", partial(network.probe_helper, ctx, maps, "slirp4netns")),
        ("pasta", partial(network.probe_helper, ctx, maps, "pasta")),
        ("netstack", partial(network.probe_helper, ctx, maps, "netstack")),
        ("limits", partial(host.probe_limits, ctx)),
        ("runtime directory", partial(host.probe_runtime_directory, ctx)),
        ("store", partial(storage.probe_store, ctx)),
        ("devices", partial(network.probe_devices, ctx)),
        ("ports", partial(network.probe_ports, ctx)),
        ("programs", partial(host.probe_programs, ctx)),
        ("kernel limits", partial(host.probe_kernel_limits, ctx)),
    ]
    answers = dict(zip((name for name, _ in probes), isolate.run(probes), strict=True))

    def together(*names: str) -> list[Ladder]:
        return [ladder for name in names for ladder in answers[name]]

    ladders = [
        *answers["kernel"],
        *first,
        *answers["proc"],
        storage.merge(
            together("overlay", "fuse-overlayfs", "copy"), _configured(ctx, "storage-driver")
        ),
        network.merge(
            together("slirp4netns", "pasta", "netstack"), _configured(ctx, "network"), possible
        ),
        *together(
            "limits", "runtime directory", "store", "devices", "ports", "programs", "kernel limits"
        ),
    ]
    return Report(host.describe(ctx), ladders, time.monotonic() - started)


def _maps(ctx: Context, ladders: list[Ladder]) -> IdMap:
    """The map that the ID ladder chose."""
    ids = next(ladder for ladder in ladders if ladder.need == "ids")
    many = ids.chosen is ids.rungs[0]
    return namespaces.full_map(ctx) if many else namespaces.single_map(ctx)


def _configured(ctx: Context, key: str) -> str:
    value = ctx.config.get(key, "")
    return value if isinstance(value, str) and value not in ("default", "bridge") else ""
