"""Whether newuidmap and newgidmap can map here, found out by trying."""

import os
import pwd

import pytest

from rootless.linux import idmap


@pytest.mark.needs("user", "subids")
def test_what_newuidmap_says_is_the_reason():
    ranges = idmap.subordinate_ranges(_user, os.getuid(), os.environ)
    wanted = idmap.default_map(os.getuid(), os.getgid(), *ranges)
    assert idmap.map_programs_refusal(wanted, os.environ) == ""
    # No range of anybody's: newuidmap says so itself.
    foreign = idmap.IdMap([*wanted.uids, (1 << 20, 1, 1)], wanted.gids)
    assert "newuidmap" in idmap.map_programs_refusal(foreign, os.environ)


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
