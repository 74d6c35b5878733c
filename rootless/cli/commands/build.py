"""`rl build`: the declaration."""

from typing import Annotated

import typer

from rootless.cli import completion
from rootless.cli.commands._base import argument, call, declare, make_app, option
from rootless.cli.commands.run_options import limits as run_limits

app = make_app()

IMAGE = "The image"
DOCKERFILE = "The Dockerfile"
CACHE = "The cache"
STEPS = "The steps"
OUTPUT = "Output"
DOCKER = "For Docker's command lines"


@declare(app, "build")
def build(
    ctx: typer.Context,
    context: Annotated[
        str,
        argument(
            "PATH|URL|-",
            help="The context: a directory, a Git repository, a tar archive by http or on stdin.",
            complete=completion.files,
        ),
    ],
    *,
    tag: Annotated[
        list[str] | None,
        option(
            "--tag",
            "-t",
            help="The name of the image; may be repeated.",
            section=IMAGE,
            metavar="NAME[:TAG]",
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        option("--label", help="A label of the image.", section=IMAGE, metavar="NAME[=VALUE]"),
    ] = None,
    annotation: Annotated[
        list[str] | None,
        option(
            "--annotation",
            help="An annotation of the image's manifest.",
            section=IMAGE,
            metavar="NAME=VALUE",
        ),
    ] = None,
    platform: Annotated[
        list[str] | None,
        option("--platform", help="The platform to build for.", section=IMAGE, metavar="OS/ARCH"),
    ] = None,
    squash: Annotated[
        bool, option("--squash", help="Put what the build adds into one layer.", section=IMAGE)
    ] = False,
    file: Annotated[
        str | None,
        option(
            "--file",
            "-f",
            help="The Dockerfile, - for stdin (default: the context's).",
            section=DOCKERFILE,
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    target: Annotated[
        str | None,
        option("--target", help="The stage to build.", section=DOCKERFILE, metavar="STAGE"),
    ] = None,
    build_arg: Annotated[
        list[str] | None,
        option(
            "--build-arg",
            help="The value of an ARG; without one, that of the environment.",
            section=DOCKERFILE,
            metavar="NAME[=VALUE]",
        ),
    ] = None,
    build_context: Annotated[
        list[str] | None,
        option(
            "--build-context",
            help="A further context, for FROM and COPY --from.",
            section=DOCKERFILE,
            metavar="NAME=WHERE",
        ),
    ] = None,
    check: Annotated[
        bool,
        option(
            "--check",
            help="Print every problem of the Dockerfile and build nothing.",
            section=DOCKERFILE,
        ),
    ] = False,
    no_cache: Annotated[
        bool, option("--no-cache", help="Run every step, also what was done before.", section=CACHE)
    ] = False,
    no_cache_filter: Annotated[
        list[str] | None,
        option(
            "--no-cache-filter",
            help="Run every step of these stages.",
            section=CACHE,
            metavar="STAGE,...",
        ),
    ] = None,
    pull: Annotated[
        bool, option("--pull", help="Ask the registry for newer base images.", section=CACHE)
    ] = False,
    require_signature: Annotated[
        list[str] | None,
        option(
            "--require-signature",
            help="Refuse base images that this public key has not signed; repeatable.",
            section=CACHE,
            metavar="KEYFILE",
            complete=completion.files,
        ),
    ] = None,
    squash_ids: Annotated[
        bool,
        option(
            "--squash-ids",
            help="Files of base images of IDs that you do not have become root's.",
            section=CACHE,
        ),
    ] = False,
    cache_from: Annotated[
        list[str] | None,
        option(
            "--cache-from",
            help="Where to look for steps that were done elsewhere.",
            section=CACHE,
            metavar="SPEC",
        ),
    ] = None,
    cache_to: Annotated[
        list[str] | None,
        option(
            "--cache-to", help="Where to keep the steps for others.", section=CACHE, metavar="SPEC"
        ),
    ] = None,
    explain_cache: Annotated[
        bool,
        option(
            "--explain-cache",
            help="Say for every step why it was done again or not.",
            section=CACHE,
        ),
    ] = False,
    trace: Annotated[
        str | None,
        option(
            "--trace",
            help="Show what is done and how long it takes; also in FILE, for chrome://tracing.",
            metavar="[=FILE]",
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        option(
            "--secret",
            help="For RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE.",
            section=STEPS,
            metavar="SPEC",
        ),
    ] = None,
    ssh: Annotated[
        list[str] | None,
        option(
            "--ssh",
            help="For RUN --mount=type=ssh: default, or ID=SOCKET or ID=KEY.",
            section=STEPS,
            metavar="SPEC",
        ),
    ] = None,
    network: Annotated[
        str | None,
        option(
            "--network",
            help="The network of RUN: default, none or host.",
            section=STEPS,
            metavar="MODE",
            complete=completion.networks,
        ),
    ] = None,
    add_host: Annotated[
        list[str] | None,
        option("--add-host", help="A line of /etc/hosts.", section=STEPS, metavar="NAME:IP"),
    ] = None,
    ulimit: Annotated[
        list[str] | None,
        option(
            "--ulimit",
            help="A resource limit of each process.",
            section=STEPS,
            metavar="NAME=SOFT[:HARD]",
        ),
    ] = None,
    memory: run_limits.Memory = None,
    memory_swap: run_limits.MemorySwap = None,
    memory_reservation: run_limits.MemoryReservation = None,
    cpus: run_limits.Cpus = None,
    cpu_shares: run_limits.CpuShares = None,
    cpu_quota: run_limits.CpuQuota = None,
    cpu_period: run_limits.CpuPeriod = None,
    cpuset_cpus: run_limits.CpusetCpus = None,
    cpuset_mems: run_limits.CpusetMems = None,
    pids_limit: run_limits.PidsLimit = None,
    blkio_weight: run_limits.BlkioWeight = None,
    blkio_weight_device: run_limits.BlkioWeightDevice = None,
    device_read_bps: run_limits.DeviceReadBps = None,
    device_write_bps: run_limits.DeviceWriteBps = None,
    device_read_iops: run_limits.DeviceReadIops = None,
    device_write_iops: run_limits.DeviceWriteIops = None,
    cgroup_parent: run_limits.CgroupParent = None,
    cgroup_conf: run_limits.CgroupConf = None,
    shm_size: Annotated[
        str | None,
        option("--shm-size", help="The size of /dev/shm.", section=STEPS, metavar="SIZE"),
    ] = None,
    limits: Annotated[
        str | None,
        option(
            "--limits",
            help="strict, or best-effort: build even where a limit cannot be held.",
            section=STEPS,
            metavar="HOW",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        option(
            "--jobs",
            help="How many steps may run at once; 0 for any number.",
            section=STEPS,
            metavar="NUMBER",
        ),
    ] = None,
    shell_on_fail: Annotated[
        bool, option("--shell-on-fail", help="Open a shell where a step has failed.", section=STEPS)
    ] = False,
    output: Annotated[
        list[str] | None,
        option(
            "--output",
            "-o",
            help="A directory, -, or type=local|tar|oci|docker|image,dest=PATH.",
            section=OUTPUT,
            metavar="SPEC",
        ),
    ] = None,
    iidfile: Annotated[
        str | None,
        option(
            "--iidfile",
            help="Write the image's ID to a file.",
            section=OUTPUT,
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    metadata_file: Annotated[
        str | None,
        option(
            "--metadata-file",
            help="Write what was built to a file, in JSON.",
            section=OUTPUT,
            metavar="FILE",
            complete=completion.files,
        ),
    ] = None,
    progress: Annotated[
        str | None,
        option(
            "--progress",
            help="How to show it: auto, plain, tty, rawjson or quiet.",
            section=OUTPUT,
            metavar="KIND",
        ),
    ] = None,
    quiet: Annotated[
        bool, option("--quiet", "-q", help="Print the image's ID only.", section=OUTPUT)
    ] = False,
    load: Annotated[
        bool,
        option(
            "--load",
            help="Keep the image in the store; so it is unless --output says otherwise.",
            section=DOCKER,
        ),
    ] = False,
    push: Annotated[
        bool,
        option(
            "--push", help="Push the image to the registry of each of its names.", section=OUTPUT
        ),
    ] = False,
    rm: Annotated[
        bool,
        option("--rm", help="Remove intermediate containers; so it always is.", section=DOCKER),
    ] = False,
    force_rm: Annotated[
        bool,
        option(
            "--force-rm", help="Remove intermediate containers; so it always is.", section=DOCKER
        ),
    ] = False,
    attest: Annotated[
        list[str] | None,
        option(
            "--attest",
            help="Only with disabled=true in this version.",
            section=DOCKER,
            metavar="SPEC",
        ),
    ] = None,
    provenance: Annotated[
        str | None,
        option("--provenance", help="Only false in this version.", section=DOCKER, metavar="false"),
    ] = None,
    sbom: Annotated[
        str | None,
        option("--sbom", help="Only false in this version.", section=DOCKER, metavar="false"),
    ] = None,
    allow: Annotated[
        list[str] | None,
        option(
            "--allow", help="network.host, which every build has.", section=DOCKER, metavar="RIGHT"
        ),
    ] = None,
) -> int:
    """Make an image as a Dockerfile says."""
    return call(ctx)
