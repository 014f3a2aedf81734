import pytest

from lentigo_trainer.errors import DownloadError
from lentigo_trainer.system.retrying import (
    PROGRESS_BYTES,
    InterruptedTransferError,
    RetryPolicy,
    retry,
)


def quiet(_line: str) -> None:
    pass


def test_failures_are_counted_again_from_zero_after_progress() -> None:
    outcomes = [0, 0, PROGRESS_BYTES, 0, 0]
    pauses: list[float] = []

    def attempt() -> str:
        if not outcomes:
            return "done"
        raise InterruptedTransferError("broken", gained=outcomes.pop(0))

    assert retry(attempt, RetryPolicy(attempts=4, sleep=pauses.append), quiet) == "done"
    assert pauses == [1.0, 2.0, 1.0, 2.0, 4.0]


def test_pauses_double_up_to_the_longest() -> None:
    policy = RetryPolicy(first_pause=1, longest_pause=10)
    assert [policy.pause(failures, None) for failures in (1, 2, 4, 9)] == [1, 2, 8, 10]


def test_other_errors_are_not_retried() -> None:
    pauses: list[float] = []

    def attempt() -> None:
        raise DownloadError("refused")

    with pytest.raises(DownloadError, match="refused"):
        retry(attempt, RetryPolicy(sleep=pauses.append), quiet)
    assert pauses == []
