"""rl secret, and run --secret."""

import json
import os
from collections.abc import Iterator

import pytest
from support.program import Rl

VALUE = "s3cret-\N{SNOWMAN}-value\n"


@pytest.fixture
def secret(rl: Rl) -> Iterator[str]:
    name = rl.name("s")
    rl.run("secret", "create", "--label", "a=b", name, "-", input=VALUE)
    yield name
    rl.run("secret", "rm", "--ignore", name)


def files_with(rl: Rl, text: str) -> list[str]:
    """The files of the store that hold `text`."""
    found = []
    for directory, _, names in os.walk(rl.store):
        for name in names:
            path = f"{directory}/{name}"
            if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                with open(path, "rb") as file:
                    if text.encode() in file.read():
                        found.append(path)
    return found


def test_secret_as_a_file(rl: Rl, secret: str) -> None:
    script = (
        "cat /run/secrets/*; stat -c '%a %u %g' /run/secrets/*; cat /etc/deep/key; "
        "stat -c '%a %u %g' /etc/deep/key; echo x >> /etc/deep/key; sleep 1000"
    )
    options = [
        "--secret",
        secret,
        "--secret",
        f"{secret},target=/etc/deep/key,mode=0440,uid=3,gid=4",
    ]
    container = rl.start("--read-only", *options, command=script)
    log = rl.wait_log(container, "440 3 4")
    assert log == f"{VALUE}444 0 0\n{VALUE}440 3 4\n"
    assert rl.run("logs", container).stderr.count("Read-only file system") == 1
    mounts = rl.out("exec", container, "cat", "/proc/mounts")
    assert f"/run/secrets/{secret} tmpfs ro,nosuid,nodev,noexec" in mounts
    # Nowhere on disk but in the secret's own file, and there not as it is.
    rl.run("logs", container)
    rl.run("rm", "-f", container)
    assert not files_with(rl, "s3cret-")
    path = f"{rl.store}/secrets/{secret}.json"
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_secret_as_a_variable_is_in_no_document(rl: Rl, secret: str) -> None:
    options = ("--secret", f"{secret},type=env,target=KEY")
    script = 'printf %s "$KEY" | cmp - /run/secrets/k && echo same; sleep 1000'
    container = rl.start(*options, "--secret", f"{secret},target=k", command=script)
    rl.wait_log(container, "same")
    assert "s3cret" not in rl.out("inspect", container)
    assert not files_with(rl, "s3cret-")
    assert rl.out("exec", container, "sh", "-c", "echo $KEY") == VALUE.strip()
    shown = rl.inspect(container)["Config"]["Secrets"]
    assert [(one["Name"], one["Type"]) for one in shown] == [(secret, "env"), (secret, "mount")]


def test_secret_is_read_again_at_each_start(rl: Rl, secret: str) -> None:
    name = rl.name()
    rl.run("create", "--name", name, "--network", "none", "--secret", secret, "busybox",
           "cat", f"/run/secrets/{secret}")  # fmt: skip
    rl.run("secret", "create", "--replace", secret, "-", input="new")
    assert rl.run("start", "-a", name).stdout == "new"
    rl.run("secret", "rm", secret)
    rl.fails("start", name, status=1, code="RL-SECRET-NOT-FOUND")


def test_secrets_are_listed_and_inspected_without_what_they_hold(rl: Rl, secret: str) -> None:
    table = rl.out("secret", "ls").splitlines()
    assert table[0].split() == ["ID", "NAME", "DRIVER", "CREATED", "UPDATED"]
    assert table[1].split()[1:3] == [secret, "file"]
    identifier = rl.out("secret", "ls", "-q", "--filter", "label=a", "--filter", f"name={secret}")
    assert len(identifier) == 25
    assert rl.out("secret", "list", "--filter", "label=c", "--noheading") == ""
    assert rl.out("secret", "ls", "--format", "{{.Name}} {{.Labels}}") == f"{secret} a=b"
    (found,) = json.loads(rl.out("secret", "inspect", identifier[:10]))
    assert found["Spec"]["Name"] == secret and found["Spec"]["Labels"] == {"a": "b"}
    assert "SecretData" not in found
    assert (
        rl.out("secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", secret)
        == VALUE.rstrip()
    )
    rl.run("secret", "exists", secret)
    rl.run("secret", "exists", "nothing", status=1)
    assert rl.out("secret", "rm", secret) == identifier
    rl.fails("secret", "rm", secret, status=1, code="RL-SECRET-NOT-FOUND")
    rl.fails("secret", "inspect", secret, status=1, code="RL-SECRET-NOT-FOUND")


def test_secret_from_a_file_or_a_variable(rl: Rl, tmp_path: object) -> None:
    with open(f"{tmp_path}/f", "wb") as file:
        file.write(bytes(range(256)))
    rl.run("secret", "create", "from-file", f"{tmp_path}/f")
    rl.run("secret", "create", "--env", "from-env", "HERE", env={"HERE": "value"})
    both = ("--secret", "from-file", "--secret", "from-env")
    script = "md5sum < /run/secrets/from-file; cat /run/secrets/from-env"
    out = rl.out("run", "--rm", "--network", "none", *both, "busybox", "sh", "-c", script)
    assert out == "e2c865db4162bed963bfaa9ef6ac18f0  -\nvalue"
    rl.fails("secret", "create", "from-env", f"{tmp_path}/f", status=1, code="RL-SECRET-EXISTS")
    rl.fails("secret", "create", "a/b", f"{tmp_path}/f", status=1, code="RL-SECRET")
    rl.fails("secret", "create", "empty", "-", input="", status=1, code="RL-SECRET")
    rl.fails("secret", "create", "--env", "unset", "NOT_THERE")
    rl.run("secret", "rm", "--all")
    assert rl.out("secret", "ls", "-q") == ""


@pytest.mark.parametrize(
    "spec",
    ["", "x,mode=9", "x,type=socket", "x,uid=root", "x,colour=red", "x,type=env,mode=0400",
     "x,type=env,target=A=B"],
)  # fmt: skip
def test_secret_options_that_make_no_sense(rl: Rl, no_leftovers: None, spec: str) -> None:
    rl.fails("run", "--rm", "--secret", spec, "busybox", "true", code="RL-USAGE")


def test_secret_that_is_missing(rl: Rl, no_leftovers: None) -> None:
    rl.fails("run", "--rm", "--secret", "nothing", "busybox", "true", code="RL-SECRET-NOT-FOUND")
