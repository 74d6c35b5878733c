"""Which words are git repositories, and what they say."""

import pytest

from rootless.build import context_git
from rootless.build.context_git import Repository
from rootless.errors import BuildError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://host/u/r.git", Repository("https://host/u/r.git")),
        ("https://host/u/r.git#v1", Repository("https://host/u/r.git", "v1")),
        ("https://host/u/r.git#v1:sub/dir", Repository("https://host/u/r.git", "v1", "sub/dir")),
        ("https://host/u/r.git#:sub", Repository("https://host/u/r.git", "", "sub")),
        ("git@host:u/r.git#main", Repository("git@host:u/r.git", "main")),
        ("ssh://git@host:22/r", Repository("ssh://git@host:22/r")),
        ("git://host/r", Repository("git://host/r")),
        ("github.com/u/r", Repository("https://github.com/u/r")),
        ("http://host/r.git?tag=v1", Repository("http://host/r.git", "refs/tags/v1")),
        (
            "https://host/r.git?ref=a&subdir=x&keep-git-dir=1&submodules=0&checksum=1234567",
            Repository("https://host/r.git", "a", "x", "1234567", True, False),
        ),
    ],
)
def test_repositories(text: str, expected: Repository) -> None:
    assert context_git.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["https://host/file.tar.gz", "https://host/r", "dir", "./dir", "a:b", "/x/y.git", "-"]
)
def test_no_repositories(text: str) -> None:
    assert context_git.parse(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("https://host/r.git#--upload-pack=x", "RL-BUILD-GIT"),
        ("https://host/r.git#main:../up", "RL-BUILD-ESCAPE"),
        ("https://host/r.git?depth=1", "RL-BUILD-GIT"),
        ("https://host/r.git?ref=a#b", "RL-BUILD-GIT"),
        ("https://host/r.git?checksum=xyz", "RL-BUILD-GIT"),
    ],
)
def test_bad_repositories(text: str, code: str) -> None:
    with pytest.raises(BuildError) as caught:
        context_git.parse(text)
    assert caught.value.code == code
