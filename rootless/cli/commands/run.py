"""`rl run`: the declaration, shared with `rl create`.

Each option is an alias in run_options/, by section of the help; here is its default.
"""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app
from rootless.cli.commands.run_options import (
    basics,
    files,
    life,
    limits,
    metadata,
    network,
    process,
    security,
)

app = make_app()


@declare(app, "run", interspersed=False)
def run(
    ctx: typer.Context,
    image: Annotated[
        str,
        argument("IMAGE", help="A name, an ID, or a digest.", complete=completion.images),
    ],
    args: Annotated[
        list[str] | None,
        argument("[COMMAND] [ARG...]", help="What to run instead of the image's command."),
    ] = None,
    *,
    # Basics
    detach: basics.Detach = False,
    interactive: basics.Interactive = False,
    tty: basics.Tty = False,
    rm: basics.Rm = False,
    name: basics.Name = None,
    replace: basics.Replace = False,
    publish: basics.Publish = None,
    volume: basics.Volume = None,
    env: basics.Env = None,
    pull: basics.Pull = "missing",
    platform: basics.Platform = None,
    quiet: basics.Quiet = False,
    require_signature: basics.RequireSignature = None,
    squash_ids: basics.SquashIds = False,
    # The process
    entrypoint: process.Entrypoint = None,
    workdir: process.Workdir = None,
    user: process.User = None,
    group_add: process.GroupAdd = None,
    env_file: process.EnvFile = None,
    env_host: process.EnvHost = False,
    env_merge: process.EnvMerge = None,
    unsetenv: process.Unsetenv = None,
    unsetenv_all: process.UnsetenvAll = False,
    http_proxy: process.HttpProxy = False,
    init: process.Init = False,
    init_path: process.InitPath = None,
    umask: process.Umask = None,
    tz: process.Tz = None,
    oom_score_adj: process.OomScoreAdj = None,
    attach: process.Attach = None,
    detach_keys: process.DetachKeys = None,
    sig_proxy: process.SigProxy = True,
    stop_signal: process.StopSignal = None,
    stop_timeout: process.StopTimeout = None,
    # Files
    mount: files.Mount = None,
    volumes_from: files.VolumesFrom = None,
    volume_driver: files.VolumeDriver = None,
    tmpfs: files.Tmpfs = None,
    read_only: files.ReadOnly = False,
    shm_size: files.ShmSize = None,
    device: files.Device = None,
    rootfs: files.Rootfs = False,
    gpus: files.Gpus = None,
    secret: files.Secret = None,
    storage_driver: files.StorageDriver = None,
    # Network
    network: network.Network = None,
    egress: network.Egress = None,
    network_alias: network.NetworkAlias = None,
    ip: network.Ip = None,
    ip6: network.Ip6 = None,
    mac_address: network.MacAddress = None,
    publish_all: network.PublishAll = False,
    publish_private: network.PublishPrivate = None,
    port_fallback: network.PortFallback = False,
    expose: network.Expose = None,
    hostname: network.Hostname = None,
    domainname: network.Domainname = None,
    add_host: network.AddHost = None,
    dns: network.Dns = None,
    dns_search: network.DnsSearch = None,
    dns_option: network.DnsOption = None,
    # Security
    cap_add: security.CapAdd = None,
    cap_drop: security.CapDrop = None,
    security_opt: security.SecurityOpt = None,
    landlock: security.Landlock = None,
    privileged: security.Privileged = False,
    userns: security.Userns = None,
    ipc: security.Ipc = None,
    pid: security.Pid = None,
    uts: security.Uts = None,
    cgroupns: security.Cgroupns = None,
    sysctl: security.Sysctl = None,
    # Limits
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
    cgroup_parent: limits.CgroupParent = None,
    cgroup_conf: limits.CgroupConf = None,
    ulimit: limits.Ulimit = None,
    limits: limits.Limits = None,
    # Life and health
    restart: life.Restart = None,
    timeout: life.Timeout = None,
    pidfile: life.Pidfile = None,
    health_cmd: life.HealthCmd = None,
    health_interval: life.HealthInterval = None,
    health_timeout: life.HealthTimeout = None,
    health_retries: life.HealthRetries = None,
    health_start_period: life.HealthStartPeriod = None,
    health_start_interval: life.HealthStartInterval = None,
    no_healthcheck: life.NoHealthcheck = False,
    # Metadata and the rest
    label: metadata.Label = None,
    label_file: metadata.LabelFile = None,
    annotation: metadata.Annotation = None,
    cidfile: metadata.Cidfile = None,
    log_driver: metadata.LogDriver = None,
    log_opt: metadata.LogOpt = None,
    trace: metadata.Trace = None,
) -> int:
    """Make a container of an image and run a command in it.

    The exit status is the command's: 128 + N when signal N ended it; 127 when it was not found,
    126 when it could not be executed, 125 when rl itself failed.
    """
    return call(ctx)
