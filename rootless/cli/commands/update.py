"""`rl update`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands.run_options import limits

app = make_app()


@declare(app, "update")
def update(
    ctx: typer.Context,
    containers: Annotated[
        list[str],
        argument("CONTAINER [CONTAINER...]", help="Names or IDs.", complete=completion.containers),
    ],
    *,
    memory: limits.Memory = None,
    memory_swap: limits.MemorySwap = None,
    cpus: limits.Cpus = None,
    cpuset_cpus: limits.CpusetCpus = None,
    pids_limit: limits.PidsLimit = None,
    memory_reservation: limits.MemoryReservation = None,
    cpu_shares: limits.CpuShares = None,
    cpu_quota: limits.CpuQuota = None,
    cpu_period: limits.CpuPeriod = None,
    cpuset_mems: limits.CpusetMems = None,
    blkio_weight: limits.BlkioWeight = None,
    blkio_weight_device: limits.BlkioWeightDevice = None,
    device_read_bps: limits.DeviceReadBps = None,
    device_write_bps: limits.DeviceWriteBps = None,
    device_read_iops: limits.DeviceReadIops = None,
    device_write_iops: limits.DeviceWriteIops = None,
    restart: Annotated[
        str | None,
        option(
            "--restart",
            help="no, on-failure[:N], always or unless-stopped.",
            section=limits.SECTION,
            metavar="POLICY",
        ),
    ] = None,
) -> int:
    """Change the limits and the restart policy of containers.

    Of a running container the limits change at once, if it was started with a control group.
    """
    return call(ctx)
