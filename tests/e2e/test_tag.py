"""tag and untag."""

import pytest
from support.program import Rl


def names(rl: Rl, image: str) -> list[str]:
    tags: list[str] = rl.inspect(image)["RepoTags"]
    return tags


def test_a_tag_names_the_same_image(rl: Rl) -> None:
    rl.run("tag", "busybox", "other:1", "127.0.0.1:9/x/y")
    assert rl.inspect("other:1")["Id"] == rl.inspect("127.0.0.1:9/x/y")["Id"]
    assert names(rl, "busybox") == ["127.0.0.1:9/x/y:latest", "busybox:latest", "other:1"]
    rl.run("image", "untag", "busybox", "other:1", "127.0.0.1:9/x/y")
    assert names(rl, "busybox") == ["busybox:latest"]


def test_an_image_without_names_stays_and_can_be_tagged_by_id(rl: Rl) -> None:
    image = rl.inspect("busybox")["Id"]
    rl.run("untag", "busybox")
    try:
        assert names(rl, image) == []
        rl.fails("inspect", "--type", "image", "busybox", status=1)
    finally:
        rl.run("tag", image.removeprefix("sha256:")[:12], "busybox")
    assert names(rl, "busybox") == ["busybox:latest"]


@pytest.mark.parametrize("target", ["Upper", f"x@sha256:{64 * 'a'}", "a:b:c", 64 * "a"])
def test_what_is_no_name_tags_nothing(rl: Rl, target: str) -> None:
    rl.fails("tag", "busybox", "fine", target, status=1, code="RL-BAD-REFERENCE")
    assert names(rl, "busybox") == ["busybox:latest"]


def test_untag_refuses_what_is_not_a_name_of_the_image(rl: Rl) -> None:
    rl.run("tag", "busybox", "one")
    rl.fails("untag", "busybox", "one", "two", status=1, code="RL-IMAGE-NOT-FOUND")
    assert names(rl, "busybox") == ["busybox:latest", "one:latest"]
    rl.run("untag", "busybox", "one")


def test_tag_of_an_unknown_image_fails(rl: Rl) -> None:
    rl.fails("tag", "nothing-here", "x", status=1, code="RL-IMAGE-NOT-FOUND")
