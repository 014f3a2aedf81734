from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from lentigo_trainer.training.feature_extraction.feature_cache import pass_seconds, timed

ROWS = 2_500


class Clock:
    """Counts the batches that were asked for: one second each."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def batches(first: int) -> Iterator[np.ndarray]:
    for start in range(first, ROWS, 16):
        yield np.zeros(min(16, ROWS - start), np.float32)


def worked_through(folder: Path, first: int = 0, stop: int | None = None) -> None:
    clock = Clock()
    for number, _ in zip(count(), timed(batches, folder, clock)(first), strict=False):
        clock.now += 1
        if number == stop:
            return


def test_the_time_of_a_pass_is_the_sum_over_its_batches(tmp_path: Path) -> None:
    worked_through(tmp_path)
    assert pass_seconds(tmp_path, ROWS) == -(-ROWS // 16)


def test_an_unfinished_chunk_of_a_killed_pass_counts_once(tmp_path: Path) -> None:
    # Killed in the second chunk of 1,024 rows, 64 batches, which is then computed again.
    worked_through(tmp_path, stop=100)
    assert pass_seconds(tmp_path, ROWS) is None
    worked_through(tmp_path, first=1_024)
    assert pass_seconds(tmp_path, ROWS) == -(-ROWS // 16)


def test_a_chunk_that_was_timed_twice_counts_once(tmp_path: Path) -> None:
    worked_through(tmp_path)
    worked_through(tmp_path, first=1_024)
    assert pass_seconds(tmp_path, ROWS) == -(-ROWS // 16)


def test_a_pass_that_was_not_timed_has_no_time(tmp_path: Path) -> None:
    assert pass_seconds(tmp_path, ROWS) is None


@pytest.mark.parametrize(
    "line", ["half a li", "[]", "{}", '{"row": 0, "rows": null, "seconds": 1}']
)
def test_a_damaged_file_of_times_gives_no_time(tmp_path: Path, line: str) -> None:
    worked_through(tmp_path)
    with (tmp_path / "time.jsonl").open("a") as file:
        file.write(line + "\n")
    assert pass_seconds(tmp_path, ROWS) is None
