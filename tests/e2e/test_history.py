"""history, beside what Docker prints."""

import json
from pathlib import Path

import pytest
from support.images import Image, tar
from support.program import Rl
from support.registry import Registry


@pytest.fixture
def built(rl: Rl, tmp_path: Path) -> str:
    (tmp_path / "Dockerfile").write_text(
        "FROM busybox\nRUN echo a long line of words that is cut off somewhere > /file\nENV A=1\n"
    )
    rl.run("build", "-q", "-t", "history:1", str(tmp_path))
    return "history:1"


def test_the_newest_step_comes_first(rl: Rl, built: str) -> None:
    lines = rl.out("history", built).splitlines()
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    image = rl.inspect(built)["Id"].removeprefix("sha256:")
    assert lines[1].startswith(image[:12])
    assert "ENV A=1" in lines[1]
    assert "   0B " in lines[1]
    assert lines[2].startswith("<missing>")
    assert "RUN /bin/sh -c echo a long line of words tha…" in lines[2]
    assert "ago" in lines[1]
    assert len(lines) == 4


def test_no_trunc_quiet_and_format(rl: Rl, built: str) -> None:
    image = rl.inspect(built)["Id"]
    assert rl.out("history", "-q", "--no-trunc", built).splitlines()[:2] == [image, "<missing>"]
    assert rl.out("image", "history", "-q", built).splitlines()[0] == image[7:19]
    rows = [json.loads(line) for line in rl.out("history", "--format", "json", built).splitlines()]
    assert set(rows[0]) == {"ID", "CreatedAt", "CreatedSince", "CreatedBy", "Size", "Comment"}
    whole = rl.out("history", "--no-trunc", "--format", "{{.CreatedBy}}", built).splitlines()
    assert "cut off somewhere > /file" in whole[1]


@pytest.mark.parametrize("flag", ["--human=false", "-H=false", "--no-human"])
def test_without_human_sizes_are_bytes_and_times_exact(
    rl: Rl, registry: Registry, flag: str
) -> None:
    layer = tar({"file": 1234 * b"x"})
    reference = registry.push("history/plain", Image([layer], {}))
    rl.run("pull", reference)
    form = "{{.Size}} {{.CreatedBy}}"
    assert rl.out("history", flag, "--format", form, reference) == "1234 test"
    assert "CREATED AT" in rl.out("history", flag, reference)
    assert rl.out("history", "--format", form, reference) == "1.23kB test"
    rl.run("rmi", reference)


def test_an_image_without_history_has_its_layers(rl: Rl) -> None:
    lines = rl.out("history", "--format", "{{.ID}} {{.Size}}", "busybox").splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(rl.inspect("busybox")["Id"][7:19])


def test_history_of_nothing(rl: Rl) -> None:
    rl.fails("history", "nothing-here", status=1, code="RL-IMAGE-NOT-FOUND")
    rl.fails("history", "--platform", "linux/s390x", "busybox", status=1, code="RL-IMAGE-PLATFORM")
