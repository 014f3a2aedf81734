import threading

import pytest
import structlog

from lentigo_inference.serving.watcher import Watcher


class Clock:
    """Passes time when told to, and stops after a number of looks."""

    def __init__(self, looks: int) -> None:
        self.waits: list[float] = []
        self.looks = looks
        self.done = threading.Event()

    def __call__(self, seconds: float) -> bool:
        self.waits.append(seconds)
        stop = len(self.waits) >= self.looks
        if stop:
            self.done.set()
        return stop


def test_the_watcher_checks_at_once_and_then_every_interval() -> None:
    looks: list[int] = []
    clock = Clock(looks=3)
    watcher = Watcher("model repository", lambda: looks.append(len(clock.waits)), 5.0, clock)
    watcher.start()
    assert clock.done.wait(30)
    assert watcher.stop(30)
    assert looks == [0, 1, 2]
    assert clock.waits == [5.0, 5.0, 5.0]


def test_a_check_that_fails_is_logged_and_the_next_one_runs() -> None:
    clock = Clock(looks=2)
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        raise RuntimeError("unforeseen")

    with structlog.testing.capture_logs() as logs:
        watcher = Watcher("model repository", look, 5.0, clock)
        watcher.start()
        assert clock.done.wait(30)
        assert watcher.stop(30)
    assert len(looks) == 2
    assert [entry["log_level"] for entry in logs] == ["error", "error"]


@pytest.mark.parametrize("watched", ["model repository", "key file"])
def test_the_log_of_a_failed_check_names_what_was_watched(watched: str) -> None:
    clock = Clock(looks=1)

    def check() -> None:
        raise RuntimeError("unforeseen")

    with structlog.testing.capture_logs() as logs:
        watcher = Watcher(watched, check, 5.0, clock)
        watcher.start()
        assert clock.done.wait(30)
        assert watcher.stop(30)
    assert [(entry["event"], entry["watched"]) for entry in logs] == [("watching failed", watched)]


def test_stopping_ends_the_wait() -> None:
    looked = threading.Event()
    watcher = Watcher("model repository", looked.set, interval_s=86_400)
    watcher.start()
    assert looked.wait(30)
    assert watcher.stop(30)


def test_a_check_that_hangs_does_not_keep_the_service_from_ending() -> None:
    hangs, release = threading.Event(), threading.Event()

    def look() -> None:
        hangs.set()
        release.wait(60)

    watcher = Watcher("model repository", look, 5.0)
    watcher.start()
    assert hangs.wait(30)
    assert not watcher.stop(0)
    release.set()
    assert watcher.stop(30)
