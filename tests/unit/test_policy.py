"""policy.json: every mistake is one, and identities match as containers-policy.json(5) says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rootless.errors import BadDocument
from rootless.oci import policy, reference

KEY = {"type": "sigstoreSigned", "keyPath": "/k"}
TAGGED = {"type": "exactReference", "dockerReference": "o.example/x:7"}
NAMED = {"type": "exactRepository", "dockerRepository": "o.example/x"}


def parse(requirement: object) -> policy.Requirement:
    data = json.dumps({"default": [requirement]}).encode()
    return policy.parse(data, "policy.json").default[0]


@pytest.mark.parametrize(
    ("identity", "image", "signed", "accepted"),
    [
        (None, "r.example/a:1", "r.example/a:1", True),
        (None, "r.example/a:1", "r.example/a:2", False),
        (None, "r.example/a:1", "r.example/a", False),
        (None, f"r.example/a@sha256:{'0' * 64}", "r.example/a:2", True),
        (None, f"r.example/a@sha256:{'0' * 64}", "r.example/b:2", False),
        ({"type": "matchExact"}, "busybox:1", "docker.io/library/busybox:1", True),
        ({"type": "matchExact"}, f"a@sha256:{'0' * 64}", "a:1", False),
        ({"type": "matchRepository"}, "busybox:1", "index.docker.io/library/busybox", True),
        ({"type": "matchRepository"}, "busybox:1", "busybox2", False),
        ({"type": "matchRepository"}, "busybox:1", "", False),
        (TAGGED, "a:1", "o.example/x:7", True),
        (TAGGED, "a:1", "o.example/x", False),
        (NAMED, "a:1", "o.example/x", True),
        (NAMED, "a:1", "a:1", False),
        (
            {"type": "remapIdentity", "prefix": "m.example/v", "signedPrefix": "v.example"},
            "m.example/v/p/i:1", "v.example/p/i:1", True,
        ),
        (
            {"type": "remapIdentity", "prefix": "m.example/v", "signedPrefix": "v.example"},
            "m.example/vv/i:1", "v.examplev/i:1", False,
        ),
        (
            {"type": "remapIdentity", "prefix": "m.example/v", "signedPrefix": "v.example"},
            "m.example/vv/i:1", "m.example/vv/i:1", True,
        ),
    ],
)  # fmt: skip
def test_identities(
    identity: dict[str, str] | None, image: str, signed: str, accepted: bool
) -> None:
    wanted = parse({**KEY, **({"signedIdentity": identity} if identity else {})}).identity
    assert wanted.accepts(reference.parse(image), signed) is accepted


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"default": {}}', '{"default": [1]}', '{"default": [{"type": 1}]}',
        '{"default": [{"type": "reject"}], "default": [{"type": "reject"}]}',
        '{"default": [{"type": "reject"}], "more": 1}',
        '{"default": [{"type": "reject"}], "transports": []}',
        '{"default": [{"type": "reject"}], "transports": {"docker": {"": []}}}',
        '{"default": [{"type": "sigstoreSigned"}]}',
        '{"default": [{"type": "sigstoreSigned", "keyPath": "a", "keyData": "b"}]}',
        '{"default": [{"type": "sigstoreSigned", "keyPaths": "a"}]}',
        '{"default": [{"type": "sigstoreSigned", "keyPaths": []}]}',
        '{"default": [{"type": "sigstoreSigned", "keyPath": "a", "signedIdentity": {}}]}',
        '{"default": [{"type": "signedBy", "keyPath": "a"}]}',
    ],
)  # fmt: skip
def test_a_mistake_makes_the_file_invalid(text: str) -> None:
    with pytest.raises(BadDocument, match=r"policy\.json"):
        policy.parse(text.encode(), "policy.json")


@pytest.mark.parametrize(
    "value",
    [
        {"type": "exactReference", "dockerReference": "x"},
        {"type": "exactRepository", "dockerRepository": "x:1"},
        {"type": "exactRepository", "dockerRepository": "UPPER"},
        {"type": "matchExact", "more": 1},
        {"type": "remapIdentity", "prefix": "x"},
    ],
)
def test_a_mistake_in_an_identity(value: object) -> None:
    with pytest.raises(BadDocument, match="signedIdentity"):
        parse({**KEY, "signedIdentity": value})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["reject", "docker", "type", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["default", "transports", "docker", "type", "keyPath", "signedIdentity"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_anything_is_a_policy_or_an_error(value: object) -> None:
    try:
        found = policy.parse(json.dumps(value).encode(), "policy.json")
    except BadDocument:
        return
    assert found.requirements(reference.parse("busybox:1"))[0]
