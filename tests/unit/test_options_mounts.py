"""--volume, --mount and --tmpfs by Docker's grammars."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import UsageError
from rootless.runtime.options import RunOptions
from rootless.runtime.options_mount_long import parse_mount
from rootless.runtime.options_mounts import new_mount, parse_tmpfs, parse_volume
from rootless.runtime.options_text import csv_fields


def changed(mount):
    """What differs from a plain mount of its kind."""
    plain = new_mount(mount["type"], mount["source"], mount["target"])
    return {key: value for key, value in mount.items() if value != plain[key]}


def place(mount):
    return mount["type"], mount["source"], mount["target"]


@pytest.mark.parametrize(
    ("spec", "expected", "differs"),
    [
        ("/data", ("volume", "", "/data"), {}),
        ("/data/", ("volume", "", "/data"), {}),
        ("vol:/data", ("volume", "vol", "/data"), {}),
        ("vol:/data:ro", ("volume", "vol", "/data"), {"read_only": True, "mode": "ro"}),
        ("vol:/d:nocopy", ("volume", "vol", "/d"), {"copy": False, "mode": "nocopy"}),
        ("/h:/c", ("bind", "/h", "/c"), {"create": True}),
        ("/h/../x:/c", ("bind", "/x", "/c"), {"create": True}),
        ("./h:/c", ("bind", "/work/h", "/c"), {"create": True}),
        (".:/c", ("bind", "/work", "/c"), {"create": True}),
        ("../h:/c", ("bind", "/h", "/c"), {"create": True}),
        (".hidden:/c", ("bind", "/work/.hidden", "/c"), {"create": True}),
        ("/:/host:ro", ("bind", "/", "/host"), {"create": True, "read_only": True, "mode": "ro"}),
        ("/h:/c:rw,Z", ("bind", "/h", "/c"), {"create": True, "mode": "rw,Z"}),
        ("/h:/c:z,U", ("bind", "/h", "/c"), {"create": True, "chown": True, "mode": "z,U"}),
        (
            "/h:/c:rshared",
            ("bind", "/h", "/c"),
            {"create": True, "propagation": "rshared", "mode": "rshared"},
        ),
        (
            "/h:/c:bind,noexec,ro",
            ("bind", "/h", "/c"),
            {
                "create": True,
                "recursive": "disabled",
                "options": ["noexec"],
                "read_only": True,
                "mode": "bind,noexec,ro",
            },
        ),
        ("/h:/c:cached", ("bind", "/h", "/c"), {"create": True, "mode": "cached"}),
        ("/a b:/c d", ("bind", "/a b", "/c d"), {"create": True}),
    ],
)
def test_volume(spec, expected, differs):
    mount = parse_volume(spec, "/work")
    assert place(mount) == expected
    assert changed(mount) == differs


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("", "invalid volume specification"),
        (":/c", "invalid volume specification"),
        ("a:b:c:d", "invalid volume specification"),
        ("/h:", "must be absolute"),
        ("vol:data", "must be absolute"),
        ("data", "must be absolute"),
        ("/c:ro", "ro is a mode"),
        ("/h:/", "destination can't be /"),
        ("/", "destination can't be /"),
        ("/h:/..", "destination can't be /"),
        ("/h:/c:", "it is empty"),
        ("/h:/c:rx", 'unknown option "rx"'),
        ("/h:/c:ro,rw", '"rw" and another of ro, rw'),
        ("/h:/c:z,Z", "another of"),
        ("/h:/c:shared,rslave", "another of"),
        ("/h:/c:O", 'unknown option "O"'),
        ("/h:/c:nocopy", "nocopy on a host directory"),
        ("vol:/c:shared", "propagation shared on a named volume"),
        ("v:/c", "too short"),
        ("~/x:/c", "includes invalid characters"),
        ("a/b:/c", "includes invalid characters"),
        ("_x:/c", "includes invalid characters"),
    ],
)
def test_bad_volume(spec, match):
    with pytest.raises(UsageError, match=match):
        parse_volume(spec, "/work")


@pytest.mark.parametrize(
    ("spec", "expected", "differs"),
    [
        ("target=/c", ("volume", "", "/c"), {}),
        ("type=volume,source=vol,target=/c", ("volume", "vol", "/c"), {}),
        ("type=bind,src=/h,dst=/c", ("bind", "/h", "/c"), {}),
        ("type=bind,src=./h,destination=/c", ("bind", "/work/h", "/c"), {}),
        ("TYPE=BIND,Source=/h,target=/c,ro", ("bind", "/h", "/c"), {"read_only": True}),
        ("type=bind,src=/h,dst=/c,readonly=true", ("bind", "/h", "/c"), {"read_only": True}),
        ("type=bind,src=/h,dst=/c,readonly=0", ("bind", "/h", "/c"), {}),
        ('type=bind,"src=/a,b",dst=/c', ("bind", "/a,b", "/c"), {}),
        ('type=bind,"src=/a""b",dst=/c', ("bind", '/a"b', "/c"), {}),
        ("type=bind,src=/h,dst=/c,consistency=cached", ("bind", "/h", "/c"), {}),
        (
            "type=bind,src=/h,dst=/c,bind-propagation=rslave",
            ("bind", "/h", "/c"),
            {"propagation": "rslave"},
        ),
        (
            "type=bind,src=/h,dst=/c,bind-recursive=disabled",
            ("bind", "/h", "/c"),
            {"recursive": "disabled"},
        ),
        (
            "type=bind,src=/h,dst=/c,bind-nonrecursive",
            ("bind", "/h", "/c"),
            {"recursive": "disabled"},
        ),
        (
            "type=bind,src=/h,dst=/c,ro,bind-recursive=readonly,bind-propagation=rprivate",
            ("bind", "/h", "/c"),
            {"read_only": True, "recursive": "readonly"},
        ),
        (
            "type=bind,src=/h,dst=/c,bind-create-src",
            ("bind", "/h", "/c"),
            {"create": True},
        ),
        (
            "src=vol,dst=/c,volume-nocopy,volume-label=a=b,volume-label=c=d,volume-driver=local",
            ("volume", "vol", "/c"),
            {"copy": False, "labels": {"a": "b", "c": "d"}},
        ),
        ("src=vol,dst=/c,volume-subpath=a/b", ("volume", "vol", "/c"), {"subpath": "a/b"}),
        (
            "type=tmpfs,dst=/c,tmpfs-size=64m,tmpfs-mode=0700",
            ("tmpfs", "", "/c"),
            {"options": ["noexec", "nosuid", "nodev", "size=67108864", "mode=700"]},
        ),
        ("type=image,src=busybox,dst=/c", ("image", "busybox", "/c"), {"read_only": True}),
        ("type=image,src=x:1,dst=/c,rw=true", ("image", "x:1", "/c"), {}),
        (
            "type=image,src=x,dst=/c,image-subpath=/usr/lib/",
            ("image", "x", "/c"),
            {"read_only": True, "subpath": "usr/lib"},
        ),
        ("type=bind,src=/h,dst=/c,rw=false", ("bind", "/h", "/c"), {"read_only": True}),
        (
            "type=tmpfs,dst=/c,ro",
            ("tmpfs", "", "/c"),
            {"options": ["noexec", "nosuid", "nodev"], "read_only": True},
        ),
    ],
)
def test_mount(spec, expected, differs):
    mount = parse_mount(spec, "/work")
    assert place(mount) == expected
    assert changed(mount) == differs


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("", "must be a key=value pair"),
        ("type=bind", "target is required"),
        ("type=bind,target=/c", "source is required"),
        ("type=bind,source=h,target=/c", "a host path must be absolute"),
        ("type=nfs,target=/c", "invalid type 'nfs'"),
        ("type=glob,source=x,target=/c", "rl has no such mounts"),
        ("type=image,target=/c", "source is required"),
        ("type=image,source=x,target=/c,rw,ro", "readonly and rw"),
        ("type=image,source=x,target=/c,image-subpath=a/../..", "invalid image-subpath"),
        ("type=bind,src=/h,dst=/c,image-subpath=a", "cannot mix 'image-"),
        ("type=image,src=x,dst=/c,volume-subpath=a", "cannot mix 'volume-"),
        ("target=c", "must be absolute"),
        ("target=/", "destination can't be /"),
        ("target=/c,size=5", "unexpected key 'size'"),
        ("target=/c,readonly=maybe", "invalid value for readonly"),
        ("target=/c,source", "must be a key=value pair"),
        ("type=bind,src=/h,dst=/c,tmpfs-size=1m", "cannot mix 'tmpfs-"),
        ("type=tmpfs,dst=/c,volume-nocopy", "cannot mix 'volume-"),
        ("src=vol,dst=/c,bind-propagation=shared", "cannot mix 'bind-"),
        ("type=bind,src=/h,dst=/c,bind-propagation=no", "invalid propagation"),
        ("type=bind,src=/h,dst=/c,bind-recursive=yes", "invalid value 'yes' for bind-recursive"),
        ("type=bind,src=/h,dst=/c,bind-recursive=readonly", "requires 'readonly'"),
        ("type=bind,src=/h,dst=/c,ro,bind-recursive=readonly", "requires 'bind-propagation"),
        ("type=tmpfs,src=/x,dst=/c", "source must not be specified"),
        ("type=tmpfs,dst=/c,tmpfs-size=x", "invalid size"),
        ("type=tmpfs,dst=/c,tmpfs-mode=9", "invalid value '9' for tmpfs-mode"),
        ("src=vol,dst=/c,volume-driver=nfs", "cannot honour volume-driver=nfs"),
        ("src=vol,dst=/c,volume-opt=o=addr", "mounting other file systems needs root"),
        ("src=vol,dst=/c,volume-subpath=../x", "invalid volume-subpath"),
        ("dst=/c,volume-subpath=x", "without a volume's name"),
        ('type=bind,src="/h",dst=/c', "a quote in the middle"),
        ('"type=bind', "not closed"),
    ],
)
def test_bad_mount(spec, match):
    with pytest.raises(UsageError, match=match):
        parse_mount(spec, "/work")


def test_a_misspelt_key_gets_a_suggestion():
    with pytest.raises(UsageError) as caught:
        parse_mount("tpye=bind,target=/c", "/")
    assert caught.value.remedy == "did you mean type?"


@pytest.mark.parametrize(
    ("spec", "options", "read_only"),
    [
        ("/t", ["noexec", "nosuid", "nodev"], False),
        ("/t:", ["noexec", "nosuid", "nodev"], False),
        ("/t:exec", ["nosuid", "nodev", "exec"], False),
        (
            "/t:rw,size=64m,mode=1777",
            ["noexec", "nosuid", "nodev", "size=64m", "mode=1777"],
            False,
        ),
        (
            "/t:ro,size=50%,uid=5,gid=6",
            ["noexec", "nosuid", "nodev", "size=50%", "uid=5", "gid=6"],
            True,
        ),
        ("/t:size=1k,size=2k", ["noexec", "nosuid", "nodev", "size=2k"], False),
        ("/t:suid,dev,exec", ["suid", "dev", "exec"], False),
    ],
)
def test_tmpfs(spec, options, read_only):
    mount = parse_tmpfs(spec)
    assert place(mount) == ("tmpfs", "", "/t")
    assert (mount["options"], mount["read_only"]) == (options, read_only)


@pytest.mark.parametrize(
    "spec", ["", "t", "/", "/t:size=x", "/t:mode=x", "/t:foo", "/t:exec=1", "/t:size=x%"]
)
def test_bad_tmpfs(spec):
    with pytest.raises(UsageError):
        parse_tmpfs(spec)


def test_one_mount_point_once():
    def parse(**values):
        return RunOptions.from_values({"image": "x", **values}, environ={}, cwd="/")

    with pytest.raises(UsageError, match="duplicate mount point: /c"):
        parse(volume=["/h:/c"], tmpfs=["/c/"])
    assert len(parse(volume=["/h:/c", "/h:/d"], mount=["target=/e"]).mounts) == 3


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1), min_size=1))
def test_csv_is_read_as_the_library_writes_it(fields):
    class Out:
        text = ""

        def write(self, text):
            self.text += text

    out = Out()
    csv.writer(out, lineterminator="").writerow(fields)
    assert csv_fields(out.text, "x") == fields


_WORDS = st.text(alphabet='abc/.:,=~_-ro"', max_size=20)


@given(_WORDS)
def test_any_text_is_parsed_or_refused(spec):
    for parse in (lambda s: parse_volume(s, "/work"), lambda s: parse_mount(s, "/"), parse_tmpfs):
        try:
            mount = parse(spec)
        except UsageError:
            continue
        assert mount["target"].startswith("/")
        assert mount["target"] != "/"
        assert ".." not in mount["target"].split("/")
