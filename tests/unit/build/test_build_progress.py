"""How builds are shown: BuildKit's plain lines, and nothing that steers a terminal."""

import os
import re

import pytest

from rootless.build.events import Event
from rootless.cli import build_progress


def plain(capfd: pytest.CaptureFixture[str], *events: Event, explain: bool = False) -> str:
    with build_progress.make("plain", explain=explain) as progress:
        for event in events:
            progress.emit(event)
    return re.sub(r"(?m)^(#\d+) \d+\.\d{3} ", r"\1 T ", capfd.readouterr().err)


def test_plain_lines(capfd: pytest.CaptureFixture[str]) -> None:
    shown = plain(
        capfd,
        Event("note", text="about all"),
        Event("cached", 1, name="[1/3] COPY a /"),
        Event("started", 2, name="[2/3] RUN make"),
        Event("output", 2, data=b"one\ntw"),
        Event("output", 2, data=b"o\nrest"),
        Event("done", 2, seconds=1.25),
        Event("started", 3, name="[3/3] RUN\nfalse"),
        Event("failed", 3, text="it failed", seconds=0.1),
    )
    assert shown == (
        "#0 about all\n"
        "#1 [1/3] COPY a /\n#1 CACHED\n\n"
        "#2 [2/3] RUN make\n#2 T one\n#2 T two\n#2 T rest\n#2 DONE 1.2s\n\n"
        "#3 [3/3] RUN false\n#3 ERROR: it failed\n"
    )


def test_steps_side_by_side_repeat_their_headers(capfd: pytest.CaptureFixture[str]) -> None:
    shown = plain(
        capfd,
        Event("started", 1, name="a"),
        Event("started", 2, name="b"),
        Event("output", 1, data=b"x\n"),
        Event("done", 2, seconds=1),
        Event("cancelled", 1, seconds=1),
    )
    assert shown == (
        "#1 a\n#1 ...\n\n#2 b\n#2 ...\n\n#1 a\n#1 T x\n#1 ...\n\n#2 b\n#2 DONE 1.0s\n\n"
        "#1 a\n#1 CANCELED\n"
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b[31mred\x1b[0m\n", "red"),
        (b"\x1b]0;title\x07text\n", "text"),
        (b"10%\r50%\r100%\r\n", "100%"),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
        (b"a\x00b\x1b\n", r"a\x00b\x1b"),
        (b"tab\there\n", "tab        here"),
    ],
)
def test_output_cannot_steer_the_terminal(
    capfd: pytest.CaptureFixture[str], data: bytes, text: str
) -> None:
    shown = plain(capfd, Event("started", 1, name="x\x1b[2J"), Event("output", 1, data=data))
    assert shown == f"#1 x\\x1b[2J\n#1 T {text}\n"


def test_line_without_end_is_not_kept_for_ever(capfd: pytest.CaptureFixture[str]) -> None:
    with build_progress.make("plain") as progress:
        progress.emit(Event("started", 1, name="x"))
        for _ in range(100):
            progress.emit(Event("output", 1, data=b"x" * 10000))
    assert len(progress.steps[1].rest) <= 1 << 16
    assert capfd.readouterr().err.count("x") > 900_000


def test_reason_of_cached_and_started_steps(capfd: pytest.CaptureFixture[str]) -> None:
    shown = plain(
        capfd,
        Event("cached", 1, name="a", text="as before"),
        Event("started", 2, name="b", text="files have changed"),
        explain=True,
    )
    assert shown == "#1 a\n#1 CACHED\n#1 as before\n\n#2 b\n#2 files have changed\n"


def test_quiet_shows_the_failed_steps_output_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with build_progress.make("quiet") as progress:
        progress.emit(Event("started", 1, name="[1/1] RUN x"))
        progress.emit(Event("output", 1, data=b"".join(b"%d\n" % n for n in range(50))))
        progress.emit(Event("failed", 1, text="no"))
    assert capfd.readouterr().err == ""
    build_progress.show_failure(progress)
    shown = capfd.readouterr().err
    assert shown.startswith("------\n > [1/1] RUN x:\n30\n") and shown.endswith("49\n------\n")


def test_terminal_draws_over_its_lines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    monkeypatch.setenv("NO_COLOR", "1")
    with build_progress.make("tty") as progress:
        progress.emit(Event("started", 1, total=2, name="[1/2] RUN " + "long " * 30))
        progress.emit(Event("output", 1, data=b"line\n" * 20))
        assert isinstance(progress, build_progress.Terminal)
        progress._draw()
        progress.emit(Event("done", 1, total=2, seconds=2))
        progress.emit(Event("cached", 2, total=2, name="[2/2] COPY a b"))
    shown = capfd.readouterr().err
    assert shown.startswith("\x1b[?25l") and shown.endswith("\x1b[?25h")
    assert shown.count(" => => # line") == 6
    assert "\x1b[8A" in shown and "(2/2) FINISHED" in shown
    assert all(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", x)) <= 61 for x in shown.split("\n"))


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_terminal_of_a_few_rows_shows_the_head_and_the_end(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, rows)))
    with build_progress.make("tty") as progress:
        progress.emit(Event("started", 1, total=1, name="[1/1] RUN seq 9"))
        progress.emit(Event("output", 1, data=b"".join(b"%d\n" % n for n in range(9))))
        assert isinstance(progress, build_progress.Terminal)
        capfd.readouterr()
        progress._draw()
        shown = capfd.readouterr().err
    assert shown.count("\n") == max(rows - 1, 1) and "[+] Building" in shown
    assert ("# 8" in shown) == (rows > 2)


def test_terminal_shows_wide_characters_and_unfinished_lines(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((20, 24)))
    monkeypatch.setenv("NO_COLOR", "1")
    with build_progress.make("tty") as progress:
        progress.emit(Event("started", 1, total=1, name="[1/1] RUN 日本語日本語"))
        progress.emit(Event("output", 1, data="日本語日本語日本語\n".encode()))
        progress.emit(Event("output", 1, data=b"10%\r50%\r"))
        assert isinstance(progress, build_progress.Terminal)
        progress._draw()
    shown = capfd.readouterr().err
    assert "\n => [1/1] RUN… 0.0s\x1b[K\n => => # 日本語日…\x1b[K\n => => # 50%\x1b[K\n" in shown
