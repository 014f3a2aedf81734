import io

import pytest
from rich.console import Console

from lentigo_trainer.system.progress import BarProgress, LineProgress, SilentProgress, progress_for


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_at_most_once_an_interval_and_at_the_end() -> None:
    lines: list[str] = []
    clock = Clock()
    with LineProgress(lines.append, clock, interval=10).track("Decoding", 100, "images") as step:
        for _ in range(3):
            clock.now += 6
            step.advance(25)
    assert lines == [
        "Decoding: 50 of 100 images, 4.17 images/s, 0:12 left",
        "Decoding: 75 of 100 images, 4.17 images/s in 0:18",
    ]


def test_what_was_done_before_counts_as_done_but_not_for_the_rate() -> None:
    lines: list[str] = []
    clock = Clock()
    progress = LineProgress(lines.append, clock, interval=1)
    with progress.track("Fetching", 4_000, "bytes", done=2_000) as step:
        clock.now = 2
        step.advance(1_000)
    assert lines[0] == "Fetching: 3.0 kB of 4.0 kB, 500 bytes/s, 0:02 left"


def test_an_unknown_total_and_a_note_are_shown() -> None:
    lines: list[str] = []
    with LineProgress(lines.append, Clock()).track("Reading", None, "images") as step:
        step.advance(3)
        step.note("loss 0.42")
    assert lines == ["Reading: 3 images, loss 0.42 in 0:00"]


def test_a_step_that_fails_is_not_reported_as_finished() -> None:
    lines: list[str] = []
    with pytest.raises(KeyError), LineProgress(lines.append, Clock()).track("Reading", 2):
        raise KeyError
    assert lines == []


def test_bars_can_be_nested_and_interrupted_by_a_line() -> None:
    screen = io.StringIO()
    progress = BarProgress(Console(file=screen, force_terminal=True, width=120))
    with progress.track("Fitting", 2, "epochs") as outer:
        with progress.track("Epoch 1", 10, "batches") as inner:
            inner.advance(10)
            inner.note("loss 0.42")
        progress.say("epoch 1 [done]")
        outer.advance()
    assert "1 of 2 epochs" in screen.getvalue()
    assert "epoch 1 [done]" in screen.getvalue()


def test_a_stream_that_is_not_a_terminal_gets_lines() -> None:
    log = io.StringIO()
    progress_for(log).say("hello")
    assert log.getvalue() == "hello\n"


def test_silent_progress_accepts_everything() -> None:
    with SilentProgress().track("Quiet", 1) as step:
        step.advance()
        step.note("nothing")
