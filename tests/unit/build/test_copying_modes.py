"""--chmod and --chown."""

import pytest

from rootless.build.copying_modes import parse_chmod, parse_chown
from rootless.errors import BuildError

ACCOUNTS = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\nbroken\n",
    "/etc/group": "root:x:0:\nstaff:x:50:node\n",
}


@pytest.mark.parametrize(
    ("text", "mode", "directory", "expected"),
    [
        ("755", 0o644, False, 0o755),
        ("0644", 0o755, True, 0o644),
        ("4755", 0o644, False, 0o4755),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("+x", 0o644, False, 0o755),
        ("a-w", 0o666, False, 0o444),
        ("go-rwx", 0o777, False, 0o700),
        ("u+s,g+s", 0o755, False, 0o6755),
        ("o=u", 0o750, False, 0o757),
        ("g+w-x", 0o755, False, 0o765),
        ("+t", 0o755, True, 0o1755),
        ("u=", 0o4755, False, 0o055),
    ],
)
def test_chmod(text: str, mode: int, directory: bool, expected: int) -> None:
    change = parse_chmod(text)
    assert change is not None
    assert oct(change(mode, directory)) == oct(expected)


@pytest.mark.parametrize("text", ["10000", "888", "u=q", "rwx", "u=rw,", "-1"])
def test_chmod_that_is_none(text: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_chmod(text)
    assert caught.value.code == "RL-BUILD-VALUE"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("1000", (1000, 1000)),
        ("1000:50", (1000, 50)),
        ("node", (1000, 1001)),
        ("node:staff", (1000, 50)),
        ("node:7", (1000, 7)),
        ("5:staff", (5, 50)),
        (":staff", (0, 50)),
        ("node:", (1000, 1001)),
    ],
)
def test_chown(text: str, expected: tuple[int, int] | None) -> None:
    assert parse_chown(text, ACCOUNTS.get) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nod", "did you mean node"),
        ("node:staf", "did you mean staff"),
        ("99999999999", "too large"),
        (":", "nobody"),
    ],
)
def test_chown_of_nobody(text: str, said: str) -> None:
    with pytest.raises(BuildError, match=said) as caught:
        parse_chown(text, ACCOUNTS.get)
    assert caught.value.code == "RL-BUILD-OWNER"


def test_chown_by_name_without_accounts() -> None:
    with pytest.raises(BuildError, match="no /etc/passwd"):
        parse_chown("node", {}.get)
