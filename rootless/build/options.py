"""What the command line of `rl build` says, parsed and checked.  Reads no file.

Source: docs.docker.com/reference/cli/docker/buildx/build, github.com/docker/buildx.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rootless.build import option_forms as forms
from rootless.build.option_forms import CacheStore, Output, Secret, Ssh
from rootless.errors import BadReference, UsageError
from rootless.oci import platform as platforms
from rootless.oci import reference
from rootless.oci.platform import Platform
from rootless.records import dataclass, field
from rootless.runtime.options_limits import parse_resources, parse_ulimits
from rootless.runtime.options_network import parse_add_host, parse_network
from rootless.runtime.options_text import (
    csv_fields,
    flag,
    number,
    parse_bool,
    parse_size,
    text,
    texts,
)

__all__ = ["BuildOptions", "CacheStore", "Output", "Secret", "Ssh", "parse"]

Named = TypeVar("Named", Secret, Ssh)

PROGRESS = ("auto", "plain", "quiet", "rawjson", "tty")
LIMITS = ("strict", "best-effort")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Everything that `rl build` was told.

    `context` is a directory, "-" or a URL; `dockerfile` a path, "-" for standard input, or None
    for the context's Dockerfile.  `tags` are canonical.  A build argument that is None was named
    without a value and the environment has none.  `network` is "", "none", "host" or a driver.
    Sizes are bytes, 0 where none was asked for.
    """

    context: str
    dockerfile: str | None = None
    tags: tuple[str, ...] = ()
    target: str = ""
    build_args: dict[str, str | None] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    platform: Platform | None = None  # the first of `platforms`
    platforms: tuple[Platform, ...] = ()
    secrets: tuple[Secret, ...] = ()
    ssh: tuple[Ssh, ...] = ()
    add_hosts: tuple[tuple[str, str], ...] = ()
    network: str = ""
    ulimits: tuple[dict[str, Any], ...] = ()
    resources: dict[str, Any] = field(default_factory=dict)  # as RunOptions has them
    shm_size: int = 0
    limits: str = ""
    annotations: dict[str, str] = field(default_factory=dict)
    build_contexts: dict[str, str] = field(default_factory=dict)
    cache_from: tuple[CacheStore, ...] = ()
    cache_to: tuple[CacheStore, ...] = ()
    outputs: tuple[Output, ...] = ()
    push: bool = False
    iidfile: str = ""
    metadata_file: str = ""
    progress: str = "auto"
    squash: bool = False
    check: bool = False
    jobs: int = 0
    quiet: bool = False
    shell_on_fail: bool = False
    explain_cache: bool = False
    source_date_epoch: int | None = None

    @property
    def given_args(self) -> dict[str, str]:
        """The build arguments that have a value."""
        return {name: value for name, value in self.build_args.items() if value is not None}

    @property
    def hostname(self) -> str:
        """That of the steps, if it is not BuildKit's default."""
        return self.given_args.get("BUILDKIT_SANDBOX_HOSTNAME", "")

    @property
    def cache_mount_namespace(self) -> str:
        """What keeps the cache mounts of builds apart that use the same ids."""
        return self.given_args.get("BUILDKIT_CACHE_MOUNT_NS", "")

    def context_of(self, word: str) -> str:
        """The name of the --build-context that `word` (after FROM or --from) means, or ""."""
        if word in self.build_contexts:
            return word
        try:
            name = reference.parse(word).familiar().removesuffix(":latest")
        except BadReference:
            return ""
        return name if name in self.build_contexts else ""

    @property
    def wants_image(self) -> bool:
        """Whether the image is to be kept in the store: by default, or for an output of it."""
        return not self.outputs or self.wants_push or any(o.type == "image" for o in self.outputs)

    @property
    def wants_push(self) -> bool:
        """Whether the image goes to the registry of each of its names: --push, push=true."""
        return self.push or any(o.says("push") for o in self.outputs)


def parse(values: Mapping[str, object], environ: Mapping[str, str]) -> BuildOptions:
    """The options from the command line's values.  Raises UsageError."""
    context, dockerfile = text(values, "context"), text(values, "file") or None
    if not context:
        raise UsageError("rl build needs a context", remedy="try: rl build -t NAME .")
    if context == "-" and dockerfile == "-":
        raise UsageError(
            "cannot read both the context and the Dockerfile from standard input",
            remedy="give one of the two a path",
        )
    _refuse_unsupported(values)
    arguments = _build_args(values, environ)
    options = BuildOptions(
        context=context,
        dockerfile=dockerfile,
        target=text(values, "target"),
        build_args=arguments,
        build_contexts=dict(
            forms.parse_build_context(spec) for spec in texts(values, "build_context")
        ),
        check=flag(values, "check"),
        **_of_cache(values, arguments),
        **_of_steps(values, environ),
        **_of_output(values, environ),
        **_of_image(values, arguments),
    )
    _check_together(options)
    return options


# Each of these gives the BuildOptions of one section of `rl build --help`.


def _of_image(values: Mapping[str, object], arguments: Mapping[str, str | None]) -> dict[str, Any]:
    outputs = _outputs(values)
    wanted = _platforms(texts(values, "platform"))
    epoch = arguments.get("SOURCE_DATE_EPOCH")
    return {
        "outputs": outputs,
        "tags": _tags(values, outputs),
        "labels": _labels(values),
        "annotations": _annotations(values, outputs),
        "platform": wanted[0] if wanted else None,
        "platforms": wanted,
        "squash": flag(values, "squash"),
        "source_date_epoch": None if epoch is None else forms.parse_epoch(epoch),
    }


def _of_cache(values: Mapping[str, object], arguments: Mapping[str, str | None]) -> dict[str, Any]:
    to = _caches(values, "cache_to", "--cache-to")
    # As BuildKit took it before there was --cache-to.
    if parse_bool(arguments.get("BUILDKIT_INLINE_CACHE") or "") and not any(
        one.type == "inline" for one in to
    ):
        to += (CacheStore("inline"),)
    return {
        "no_cache": flag(values, "no_cache"),
        "no_cache_filter": _words(values, "no_cache_filter"),
        "pull": flag(values, "pull"),
        "cache_from": _caches(values, "cache_from", "--cache-from"),
        "cache_to": to,
        "explain_cache": flag(values, "explain_cache"),
    }


def _of_steps(values: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, Any]:
    secrets = (forms.parse_secret(one, environ) for one in texts(values, "secret"))
    agents = (forms.parse_ssh(one, environ) for one in texts(values, "ssh"))
    network, _ = parse_network(text(values, "network"))
    if ":" in network:
        raise UsageError(
            f"cannot use the network {network}: steps of a build do not join others' networks",
            remedy="use default, none or host",
            code="RL-NOT-YET",
        )
    resources: dict[str, Any] = {}
    parse_resources(resources, values)
    return {
        "secrets": _unique(secrets, "--secret"),
        "ssh": _unique(agents, "--ssh"),
        "add_hosts": tuple((n, a) for n, a in parse_add_host(texts(values, "add_host"))),
        "network": network,
        "ulimits": tuple(parse_ulimits(texts(values, "ulimit"))),
        "resources": resources,
        "shm_size": _shm_size(text(values, "shm_size")),
        "limits": _limits(text(values, "limits")),
        "jobs": _jobs(values),
        "shell_on_fail": flag(values, "shell_on_fail"),
    }


def _of_output(values: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        "push": flag(values, "push"),
        "iidfile": text(values, "iidfile"),
        "metadata_file": text(values, "metadata_file"),
        "progress": _progress(values, environ),
        "quiet": flag(values, "quiet"),
    }


def _refuse_unsupported(values: Mapping[str, object]) -> None:
    for value in texts(values, "attest"):
        found = forms.pairs(value, "--attest", "write type=provenance,disabled=true")
        if parse_bool(found.get("disabled", "false")) is not True:
            raise UsageError(
                f"cannot make attestations (--attest {value}): not in this version",
                remedy="leave it out",
                code=forms.NOT_YET,
            )
    for name in ("provenance", "sbom"):
        value = text(values, name, "false")
        if value.lower() not in ("false", "0", ""):
            raise UsageError(
                f"cannot make attestations (--{name} {value}): not in this version",
                remedy=f"use --{name}=false, or leave it out",
                code=forms.NOT_YET,
            )
    for entitlement in texts(values, "allow"):
        if entitlement != "network.host":  # which every rl build has
            raise UsageError(
                f"cannot allow {entitlement}: a build has the rights of your user, no more",
                remedy="leave it out",
                code="RL-NEEDS-ROOT",
            )


def _build_args(values: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    if environ.get("SOURCE_DATE_EPOCH"):
        found["SOURCE_DATE_EPOCH"] = environ["SOURCE_DATE_EPOCH"]
    for spec in texts(values, "build_arg"):
        name, value = forms.parse_assignment(spec, "--build-arg")
        found[name] = environ.get(name) if value is None else value
    return found


def _labels(values: Mapping[str, object]) -> dict[str, str]:
    found = {}
    for spec in texts(values, "label"):
        name, value = forms.parse_assignment(spec, "--label")
        found[name] = value or ""
    return found


def _limits(value: str) -> str:
    if value not in ("", *LIMITS):
        raise UsageError(f"invalid --limits {value}", remedy=" or ".join(LIMITS))
    return value


def _annotations(values: Mapping[str, object], outputs: tuple[Output, ...]) -> dict[str, str]:
    found = dict(forms.parse_annotation(spec) for spec in texts(values, "annotation"))
    for output in outputs:
        found |= output.annotations
    return found


def _words(values: Mapping[str, object], key: str) -> tuple[str, ...]:
    option = "--" + key.replace("_", "-")
    words = (word for value in texts(values, key) for word in csv_fields(value, option))
    return tuple(word for word in words if word)


def _platforms(given: list[str]) -> tuple[Platform, ...]:
    words = [word for value in given for word in csv_fields(value, "--platform") if word]
    try:
        found = [platforms.host() if word == "local" else platforms.parse(word) for word in words]
    except BadReference as e:
        raise UsageError(f"invalid --platform: {e.what}", remedy=e.remedy) from e
    return tuple(dict.fromkeys(found))


def _unique(found: Iterable[Named], option: str) -> tuple[Named, ...]:
    listed: dict[str, Named] = {}
    for one in found:
        if one.id in listed:
            raise UsageError(f"{option} {one.id} is there twice", remedy="give each its own id")
        listed[one.id] = one
    return tuple(listed.values())


def _shm_size(value: str) -> int:
    return parse_size(value, "--shm-size") if value else 0


def _caches(values: Mapping[str, object], key: str, option: str) -> tuple[CacheStore, ...]:
    return tuple(forms.parse_cache(value, option) for value in texts(values, key))


def _outputs(values: Mapping[str, object]) -> tuple[Output, ...]:
    found = [forms.parse_output(value) for value in texts(values, "output")]
    if flag(values, "load") and not any(output.type == "image" for output in found):
        found.append(Output("image"))
    return tuple(found)


def _tags(values: Mapping[str, object], outputs: tuple[Output, ...]) -> tuple[str, ...]:
    """Those of --tag, and the names that --output gives an image in the store."""
    names = texts(values, "tag")
    for output in outputs:
        if output.type == "image" and output.attrs.get("name"):
            names += [name for name in output.attrs["name"].split(",") if name]
    return tuple(dict.fromkeys(forms.parse_tag(name) for name in names))


def _progress(values: Mapping[str, object], environ: Mapping[str, str]) -> str:
    progress = text(values, "progress") or environ.get("BUILDKIT_PROGRESS") or "auto"
    progress = "quiet" if progress == "none" else progress
    if progress not in PROGRESS:
        raise UsageError(f"invalid --progress {progress}", remedy=f"one of {', '.join(PROGRESS)}")
    return progress


def _jobs(values: Mapping[str, object]) -> int:
    jobs = number(values, "jobs")
    if jobs is not None and jobs < 0:
        raise UsageError(f"invalid --jobs {jobs}", remedy="a number from 1 on, or 0 for no limit")
    if jobs == 0:
        return 1 << 16
    # Steps wait for the network and the disk as much as they compute.
    return jobs or max(4, os.cpu_count() or 1)


def _check_together(options: BuildOptions) -> None:
    if options.wants_push and not options.tags:
        raise UsageError(
            "there is no name to push the image to", remedy="name it: -t REGISTRY/NAME:TAG"
        )
    to_stdout = [o for o in options.outputs if o.dest == "-" and o.type != "local"]
    if len(to_stdout) > 1:
        raise UsageError(
            "several outputs to standard output", remedy="give all but one of them a dest=FILE"
        )
    if to_stdout and options.quiet:
        raise UsageError(
            "cannot print the image ID and an archive to standard output",
            remedy="use --iidfile instead of -q",
        )
    if options.shell_on_fail and options.context == "-":
        raise UsageError(
            "--shell-on-fail needs standard input, which is the context",
            remedy="unpack the context and give its directory",
        )
