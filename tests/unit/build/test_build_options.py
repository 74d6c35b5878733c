"""The options of `rl build`: every grammar, and what is refused."""

import pytest

from rootless.build.option_forms import CacheStore, Output, Secret, Ssh
from rootless.build.options import BuildOptions, parse
from rootless.errors import UsageError
from rootless.layer.export import Packing


def options(environ: dict[str, str] | None = None, **values: object) -> BuildOptions:
    return parse({"context": ".", **values}, environ or {})


def refused(environ: dict[str, str] | None = None, **values: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        options(environ, **values)
    assert caught.value.remedy
    return caught.value


def test_nothing_but_a_context() -> None:
    found = options()
    assert found.context == "." and found.dockerfile is None
    assert found.wants_image and found.jobs >= 2 and found.progress == "auto"


def test_tags_are_canonical_and_once() -> None:
    found = options(tag=["app", "app:latest", "127.0.0.1:5000/x/y:1"])
    assert found.tags == ("docker.io/library/app:latest", "127.0.0.1:5000/x/y:1")


@pytest.mark.parametrize("tag", ["App", "a b", "", "x:" + "y" * 129, "x@sha256:" + "0" * 64])
def test_bad_tag_is_refused(tag: str) -> None:
    assert f'invalid tag "{tag}"' in refused(tag=[tag]).what


def test_build_arguments_come_from_the_environment_too() -> None:
    found = options({"B": "env"}, build_arg=["A=1=2", "B", "C", "D="])
    assert found.build_args == {"A": "1=2", "B": "env", "C": None, "D": ""}
    assert found.given_args == {"A": "1=2", "B": "env", "D": ""}
    assert "invalid value" in refused(build_arg=["=x"]).what


def test_source_date_epoch_from_environment_and_argument() -> None:
    assert options({"SOURCE_DATE_EPOCH": "7"}).source_date_epoch == 7
    assert options({"SOURCE_DATE_EPOCH": "7"}).build_args == {"SOURCE_DATE_EPOCH": "7"}
    assert options({"SOURCE_DATE_EPOCH": "7"}, build_arg=["SOURCE_DATE_EPOCH=8"]) == options(
        build_arg=["SOURCE_DATE_EPOCH=8"]
    )
    refused({"SOURCE_DATE_EPOCH": "yesterday"})


def test_labels() -> None:
    assert options(label=["a=b=c", "d"]).labels == {"a": "b=c", "d": ""}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("id=a,src=/x", Secret("a", "/x")),
        ("id=a,source=/x", Secret("a", "/x")),
        ("type=file,id=a,src=/x", Secret("a", "/x")),
        ("id=a,env=B", Secret("a", env="B")),
        ("type=env,id=a,src=B", Secret("a", env="B")),
        ("id=TOKEN", Secret("TOKEN", env="TOKEN")),
        ("id=plain", Secret("plain", "plain")),
        ('id=a,"src=/with,comma"', Secret("a", "/with,comma")),
    ],
)
def test_secret(text: str, secret: Secret) -> None:
    assert options({"TOKEN": "x"}, secret=[text]).secrets == (secret,)


@pytest.mark.parametrize(
    "text", ["", "a", "src=/x", "id=a,src=/x,env=B", "id=a,type=vault", "id=a,sorce=/x"]
)
def test_bad_secret_is_refused(text: str) -> None:
    refused(secret=[text])


def test_secret_twice_is_refused() -> None:
    assert "twice" in refused(secret=["id=a,src=b", "id=a,src=c"]).what


def test_ssh() -> None:
    found = options({"SSH_AUTH_SOCK": "/s"}, ssh=["default", "k=/a,/b"])
    assert found.ssh == (Ssh("default", ("/s",)), Ssh("k", ("/a", "/b")))
    assert "SSH_AUTH_SOCK" in refused(ssh=["default"]).what
    refused(ssh=["a="])


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("out", Output("local", {"dest": "out"})),
        ("-", Output("tar", {"dest": "-"})),
        ("type=local,dest=out", Output("local", {"dest": "out"})),
        ("type=tar", Output("tar", {"dest": "-"})),
        ("type=tar,dest=x.tar", Output("tar", {"dest": "x.tar"})),
        ("type=oci,dest=x,tar=false", Output("oci", {"dest": "x", "tar": "false"})),
        ("type=docker", Output("image")),
        ("type=docker,dest=x.tar", Output("docker", {"dest": "x.tar"})),
        ("type=image,name=a:1", Output("image", {"name": "a:1"})),
        ("type=image,push=false", Output("image", {"push": "false"})),
    ],
)
def test_output(text: str, output: Output) -> None:
    found = options(output=[text])
    assert found.outputs == (output,)
    assert found.wants_image == (output.type == "image")


@pytest.mark.parametrize(
    "text",
    ["", "dest=x", "type=loca,dest=x", "type=local", "type=tar,name=x", "type=oci,compression=lz4"],
)
def test_bad_output_is_refused(text: str) -> None:
    assert refused(output=[text]).code == "RL-USAGE"


@pytest.mark.parametrize(
    "values",
    [
        {"output": ["type=oci,dest=x,annotation-index.a=b"]},
        {"output": ["type=oci,dest=x,rewrite-timestamp=false"]},
        {"annotation": ["index:a=b"]},
        {"attest": ["type=sbom"]},
        {"output": ["type=image,store=false"]},
        {"output": ["type=oci,dest=x,compression=estargz"]},
        {"cache_to": ["type=gha"]},
        {"cache_from": ["type=inline"]},
        {"cache_to": ["type=registry,ref=x,image-manifest=false"]},
        {"cache_to": ["type=local,dest=x,compression=estargz"]},
        {"sbom": "true"},
        {"provenance": "mode=max"},
        {"network": "container:x"},
    ],
)
def test_what_is_for_later_is_refused_and_not_ignored(values: dict[str, object]) -> None:
    assert refused(None, **values).code == "RL-NOT-YET"


def test_annotations_and_packing_of_outputs() -> None:
    found = options(
        annotation=["a=1", "manifest:b=2=3"],
        output=["type=oci,dest=x,annotation.C=4,compression=zstd,compression-level=9"],
        attest=["type=sbom,disabled=true"],
    )
    assert found.annotations == {"a": "1", "b": "2=3", "C": "4"}
    assert found.outputs[0].packing == Packing("zstd", 9)
    docker = options(output=["type=docker,dest=x,oci-mediatypes=false,force-compression=true"])
    assert docker.outputs[0].packing == Packing("gzip", always=True, docker=True)
    for bad in ("compression-level=10", "compression=zstd,oci-mediatypes=false", "name"):
        assert refused(output=[f"type=oci,dest=x,{bad}"]).code == "RL-USAGE"
    for bad in ("a", "=b", "some:a=b"):
        assert refused(annotation=[bad]).code == "RL-USAGE"
    assert refused(output=["type=local,dest=x,annotation.a=b"]).code == "RL-USAGE"
    assert options(limits="best-effort").limits == "best-effort"
    assert refused(limits="some").code == "RL-USAGE"


def test_name_of_an_image_output_is_a_tag() -> None:
    found = options(tag=["a"], output=["type=image,name=b:1"])
    assert found.tags == ("docker.io/library/a:latest", "docker.io/library/b:1")


def test_load_keeps_the_image_beside_another_output() -> None:
    assert options(output=["out"], load=True).wants_image
    assert options(provenance="false", sbom="false", allow=["network.host"]).wants_image
    assert refused(allow=["security.insecure"]).code == "RL-NEEDS-ROOT"


def test_caches() -> None:
    found = options(cache_from=["type=local,src=a"], cache_to=["type=local,dest=b,mode=max"])
    assert found.cache_from == (CacheStore("local", {"src": "a"}),)
    assert found.cache_to == (CacheStore("local", {"dest": "b", "mode": "max"}),)
    refused(cache_from=["type=local"])
    refused(cache_to=["type=local,src=a"])
    refused(cache_to=["type=local,dest=a,mode=some"])


def test_inline_cache_by_a_build_argument() -> None:
    inline = CacheStore("inline")
    assert options(build_arg=["BUILDKIT_INLINE_CACHE=1"]).cache_to == (inline,)
    assert options(build_arg=["BUILDKIT_INLINE_CACHE=1"], cache_to=["type=inline"]).cache_to == (
        inline,
    )
    assert options(build_arg=["BUILDKIT_INLINE_CACHE=0"]).cache_to == ()


def test_caches_of_registries() -> None:
    found = options(
        cache_from=["host:5000/a/b:1", "type=registry,ref=c"],
        cache_to=["type=inline", "type=registry,ref=c,mode=max,compression=zstd,ignore-error=true"],
    )
    assert found.cache_from[0] == CacheStore("registry", {"ref": "host:5000/a/b:1"})
    assert [one.place for one in found.cache_from] == ["host:5000/a/b:1", "c"]
    inline, registry = found.cache_to
    assert inline.type == "inline" and registry.says("ignore-error")
    assert registry.mode == "max" and registry.packing == Packing("zstd")
    for bad in ("mode=x", "ignore-error=x", "compression=lz4", "compression-level=10", "dest=x"):
        assert refused(cache_to=[f"type=registry,ref=c,{bad}"]).code == "RL-USAGE"
    for bad in ("type=registry", "type=registry,ref=A B", "type=inline,mode=max", "type=x"):
        assert refused(cache_to=[bad]).code == "RL-USAGE"


def test_build_contexts() -> None:
    found = options(
        build_context=["src=./a=b", "alpine=docker-image://x:1", "app:1=oci-layout://d"]
    )
    assert found.build_contexts == {
        "src": "./a=b",
        "alpine": "docker-image://x:1",
        "app:1": "oci-layout://d",
    }
    for bad in ("x", "=x", "x=", "UPPER=x"):
        refused(build_context=[bad])


def test_platform() -> None:
    assert str(options(platform=["linux/arm64"]).platform) == "linux/arm64"
    assert options().platform is None
    assert options(platform=["local"]).platform is not None
    refused(platform=["a/b/c/d"])


def test_limits_and_hosts() -> None:
    found = options(
        ulimit=["nofile=10:20"], memory="64m", shm_size="1m", add_host=["a:1.2.3.4"], jobs=3
    )
    assert found.ulimits == ({"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},)
    assert (found.resources["memory"], found.shm_size, found.jobs) == (64 << 20, 1 << 20, 3)
    assert found.add_hosts == (("a", "1.2.3.4"),)
    for values in ({"jobs": -1}, {"memory": "1k"}, {"ulimit": ["x"]}, {"add_host": ["a"]}):
        refused(None, **values)


def test_network() -> None:
    assert options(network="none").network == "none"
    assert options(network="default").network == options().network == ""


def test_progress_from_the_environment() -> None:
    assert options({"BUILDKIT_PROGRESS": "plain"}).progress == "plain"
    assert options({"BUILDKIT_PROGRESS": "plain"}, progress="tty").progress == "tty"
    assert "invalid --progress" in refused(progress="loud").what


def test_standard_input_and_output_are_used_once() -> None:
    refused(context="-", file="-")
    refused(output=["-", "type=oci"])
    refused(output=["-"], quiet=True)
    refused(context="-", shell_on_fail=True)
    assert options(file="-").dockerfile == "-"


def test_no_cache_filter() -> None:
    assert options(no_cache_filter=["a,b", "c"]).no_cache_filter == ("a", "b", "c")
