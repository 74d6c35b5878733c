"""Challenges, credentials and proxies: what is sent to whom."""

import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mutants import mutants
from support.stores import make_context

from rootless.context import Context
from rootless.errors import RegistryError, RlError
from rootless.oci import reference
from rootless.registry import config, credentials
from rootless.registry.auth import Challenge, challenges, merged
from rootless.registry.credentials import Credentials
from rootless.registry.proxies import is_loopback, proxy_for


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ('Basic realm="a b"', [Challenge("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://auth/t",service="reg",scope="repository:a:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth/t",
                        "service": "reg",
                        "scope": "repository:a:pull,push",
                    },
                )
            ],
        ),
        (
            'Basic realm="x", Bearer realm=y , service="a\\"b"',
            [
                Challenge("basic", {"realm": "x"}),
                Challenge("bearer", {"realm": "y", "service": 'a"b'}),
            ],
        ),
        ("Negotiate, Basic", [Challenge("negotiate"), Challenge("basic")]),
    ],
)
def test_challenges_are_read(header: str, expected: list[Challenge]) -> None:
    assert challenges(header) == expected


@given(st.text(alphabet='Basic Bearer="\\,\t;é', max_size=60))
def test_any_header_is_read_without_a_failure(header: str) -> None:
    assert all(challenge.scheme for challenge in challenges(header))


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return make_context(str(tmp_path), prepare=False)


def basic(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: str, value: object) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_text(value if isinstance(value, str) else json.dumps(value))


def docker_config(ctx: Context, value: object) -> None:
    write(f"{ctx.home}/.docker/config.json", value)


def helper(tmp_path: Path, script: str) -> Context:
    """A Context whose PATH has docker-credential-test."""
    program = tmp_path / "bin" / "docker-credential-test"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return make_context(str(tmp_path), {"PATH": f"{program.parent}:/usr/bin:/bin"}, prepare=False)


def test_without_files_there_are_no_credentials(ctx: Context) -> None:
    assert credentials.find(ctx, "example.com", "a/b") is None


def test_credentials_come_from_dockers_file(ctx: Context) -> None:
    docker_config(ctx, {"auths": {"example.com": basic("ann", "a:b")}})
    assert credentials.find(ctx, "example.com", "x") == Credentials("ann", "a:b")
    assert credentials.find(ctx, "example.com:5000", "x") is None


def test_docker_hub_is_filed_under_its_old_url(ctx: Context) -> None:
    docker_config(ctx, {"auths": {"https://index.docker.io/v1/": basic("ann", "pw")}})
    assert credentials.find(ctx, "docker.io", "library/busybox") == Credentials("ann", "pw")


def test_url_as_key_is_compared_by_host(ctx: Context) -> None:
    docker_config(ctx, {"auths": {"https://example.com/v2/": basic("ann", "pw")}})
    assert credentials.find(ctx, "example.com", "x") == Credentials("ann", "pw")


def test_docker_config_variable_names_the_directory(tmp_path: Path) -> None:
    ctx = make_context(str(tmp_path), {"DOCKER_CONFIG": f"{tmp_path}/dc"}, prepare=False)
    docker_config(ctx, {"auths": {"h.io": basic("wrong", "pw")}})
    write(f"{tmp_path}/dc/config.json", {"auths": {"h.io": basic("ann", "pw")}})
    assert credentials.find(ctx, "h.io") == Credentials("ann", "pw")


def test_podmans_file_may_be_for_a_part_of_a_registry(ctx: Context) -> None:
    auths = {"h.io": basic("all", "1"), "h.io/team": basic("team", "2")}
    write(f"{ctx.environ['XDG_RUNTIME_DIR']}/containers/auth.json", {"auths": auths})
    assert credentials.find(ctx, "h.io", "team/app") == Credentials("team", "2")
    assert credentials.find(ctx, "h.io", "teamwork/app") == Credentials("all", "1")


def test_identity_token_goes_before_a_password(ctx: Context) -> None:
    docker_config(ctx, {"auths": {"h.io": {**basic("ann", ""), "identitytoken": "T"}}})
    assert credentials.find(ctx, "h.io") == Credentials(identity_token="T")


def test_password_is_not_shown_by_accident() -> None:
    assert "secret" not in repr(Credentials("ann", "secret", "secret"))


@pytest.mark.parametrize(
    "value", ["{", "[]", "[" * 100_000, "9" * 5000, {"auths": {"h.io": {"auth": "!"}}}]
)
def test_damaged_file_is_an_error_that_names_it(ctx: Context, value: object) -> None:
    docker_config(ctx, value)
    with pytest.raises(RegistryError, match=r"config\.json") as caught:
        credentials.find(ctx, "h.io")
    assert caught.value.code == "RL-REGISTRY-CREDENTIALS"


def test_each_field_of_the_file_spoilt_is_read_or_told(ctx: Context) -> None:
    entry = {"auth": "YTpi", "identitytoken": "x", "registrytoken": "y", "username": "u"}
    config = {
        "auths": {"h.io": {**entry, "password": "p"}, "https://index.docker.io/v1/": entry},
        "credHelpers": {"h.io": "not-there"},
        "credsStore": "not-there",
    }
    for name, data in mutants(json.dumps(config).encode()):
        docker_config(ctx, data.decode())
        for domain in ("h.io", "docker.io"):
            try:
                credentials.find(ctx, domain, "a/b")
            except RlError as e:
                assert "\n" not in e.one_line(), name


def test_helper_program_is_asked_for_the_server(tmp_path: Path) -> None:
    ctx = helper(tmp_path, 'read s; echo "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"for $s\\"}"')
    docker_config(ctx, {"credHelpers": {"h.io": "test"}})
    assert credentials.find(ctx, "h.io") == Credentials("ann", "for h.io")
    assert credentials.find(ctx, "other.io") is None


def test_credentials_store_of_docker_hub_is_asked_by_url(tmp_path: Path) -> None:
    ctx = helper(tmp_path, 'read s; echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"$s\\"}"')
    docker_config(ctx, {"credsStore": "test", "auths": {"docker.io": {}}})
    found = credentials.find(ctx, "docker.io")
    assert found == Credentials(identity_token="https://index.docker.io/v1/")


def test_helper_that_has_none_is_no_failure(tmp_path: Path) -> None:
    ctx = helper(tmp_path, "echo credentials not found in native keychain; exit 1")
    docker_config(ctx, {"credsStore": "test", "auths": {"h.io": basic("ann", "pw")}})
    assert credentials.find(ctx, "h.io") == Credentials("ann", "pw")


def test_helpers_of_registries_conf_are_asked_after_the_files(tmp_path: Path) -> None:
    ctx = helper(tmp_path, 'read s; echo "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"for $s\\"}"')
    write(
        f"{ctx.home}/.config/containers/registries.conf",
        'credential-helpers = ["containers-auth.json", "test"]',
    )
    docker_config(ctx, {"auths": {"known.io": basic("bob", "pw")}})
    assert credentials.find(ctx, "h.io") == Credentials("ann", "for h.io")
    assert credentials.find(ctx, "known.io") == Credentials("bob", "pw")


@pytest.mark.parametrize("script", ["echo locked >&2; exit 1", "echo '{}'", "echo x"])
def test_helper_that_fails_is_reported(tmp_path: Path, script: str) -> None:
    ctx = helper(tmp_path, script)
    docker_config(ctx, {"credsStore": "test"})
    with pytest.raises(RegistryError) as caught:
        credentials.find(ctx, "h.io")
    assert caught.value.code == "RL-REGISTRY-CREDENTIALS"


@pytest.mark.parametrize("name", ["missing", "../../bin/sh"])
def test_helper_that_is_not_installed_is_reported(ctx: Context, name: str) -> None:
    docker_config(ctx, {"credsStore": name})
    with pytest.raises(RegistryError) as caught:
        credentials.find(ctx, "h.io")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
        ("example.com", False), ("10.0.0.1", False), ("localhost.com", False), ("", False),
    ],
)  # fmt: skip
def test_loopback_is_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("", "a.com", False),
        ("*", "a.com", True),
        ("a.com", "a.com", True),
        ("a.com", "x.a.com", True),
        (".a.com", "a.com", False),
        (".a.com", "x.a.com", True),
        ("*.a.com", "x.a.com", True),
        ("b.com, a.com", "A.com", True),
        ("a.com", "ba.com", False),
        ("a.com:443", "a.com", True),
        ("a.com:80", "a.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "a.com", False),
        ("rubbish/8", "10.1.2.3", False),
        ("fd00::1", "fd00::1", True),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(no_proxy: str, host: str, direct: bool) -> None:
    environ = {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": no_proxy}
    expected = None if direct else "http://proxy:3128"
    assert proxy_for(environ, "https", host, 443) == expected


def test_proxy_is_chosen_by_scheme_and_never_for_loopback() -> None:
    environ = {"http_proxy": "proxy:1", "HTTPS_PROXY": "http://proxy:2"}
    assert proxy_for(environ, "http", "a.com", 80) == "http://proxy:1"
    assert proxy_for(environ, "https", "a.com", 443) == "http://proxy:2"
    assert proxy_for(environ, "http", "127.0.0.1", 5000) is None
    assert proxy_for({}, "https", "a.com", 443) is None


def insecure(ctx: Context, name: str, *, tls_verify: bool = True) -> bool:
    return config.sources(ctx, reference.parse(name), tls_verify=tls_verify)[-1].endpoint.insecure


def test_tls_is_demanded_except_where_something_says_otherwise(tmp_path: Path) -> None:
    ctx = make_context(str(tmp_path), config={"insecure-registries": ["a.io:80"]}, prepare=False)
    assert not insecure(ctx, "b.io/x")
    assert insecure(ctx, "b.io/x", tls_verify=False)
    assert insecure(ctx, "a.io:80/x")
    for domain in ("localhost", "localhost:1", "127.0.0.1:5000", "[::1]:5000"):
        assert insecure(ctx, f"{domain}/x"), domain


def test_certificates_of_a_registry_are_found(ctx: Context) -> None:
    directory = f"{ctx.home}/.config/containers/certs.d/h.io:5000"
    for name in ("ca.crt", "client.cert", "client.key"):
        write(f"{directory}/{name}", "x")
    found = config.endpoint(ctx, "h.io:5000")
    assert found.certificates == (f"{directory}/ca.crt",)
    assert found.client == (f"{directory}/client.cert", f"{directory}/client.key")
    os.unlink(f"{directory}/client.key")
    with pytest.raises(RegistryError, match="is not"):
        config.endpoint(ctx, "h.io:5000")


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ([], []),
        ([""], []),
        (["repository:a:pull", "repository:a:push,pull"], ["repository:a:pull,push"]),
        (
            ["repository:a:pull", "repository:h:5000/b:pull", "registry:catalog:*"],
            ["repository:a:pull", "repository:h:5000/b:pull", "registry:catalog:*"],
        ),
    ],
)
def test_scopes_of_one_repository_are_merged(scopes: list[str], expected: list[str]) -> None:
    assert merged(scopes) == expected
