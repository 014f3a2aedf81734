"""What a run says of itself while it runs."""

import io

from lentigo_inference.scoring.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_line_now_and_then_with_rate_time_left_and_failures() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    progress.expect(1000)
    progress.skip(200)
    for _ in range(20):
        clock.now += 1
        progress.advance(10, failed=1)
    assert stream.getvalue().splitlines() == [
        "300 of 1,000 images, 10.0 images/s, 1:10 left, 200 from before, 10 failed",
        "400 of 1,000 images, 10.0 images/s, 1:00 left, 200 from before, 20 failed",
    ]


def test_a_terminal_has_one_line_that_is_kept_up_to_date() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    for _ in range(3):
        clock.now += 1
        progress.advance(5, failed=0)
    progress.end()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().split("\r\x1b[K")[-1] == "15 images, 5.0 images/s, 0 failed\n"


def test_durations_are_told_up_to_days() -> None:
    assert [duration(seconds) for seconds in (42, 3723, 183_845)] == [
        "0:42",
        "1:02:03",
        "2 d 3:04:05",
    ]
