import pytest

from lentigo_gateway.worklist.schedule import Backoff


def test_each_delay_is_twice_as_long_up_to_the_longest() -> None:
    backoff = Backoff(first_s=1, longest_s=600, jitter=lambda: 0.0)
    assert [backoff.delay_s(failures) for failures in range(1, 12)] == [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600,
    ]  # fmt: skip


def test_jitter_shortens_a_delay_by_half_at_most() -> None:
    assert Backoff(8, 600, lambda: 1.0).delay_s(1) == 4
    assert Backoff(8, 600, lambda: 0.5).delay_s(1) == 6


def test_what_was_requested_is_the_least() -> None:
    backoff = Backoff(1, 600, lambda: 0.0)
    assert backoff.delay_s(1, 30) == 30
    assert backoff.delay_s(10, 30) == 512


def test_nobody_puts_an_instance_off_for_ever() -> None:
    assert Backoff(1, 600, lambda: 0.0).delay_s(1, 1e9) == 6_000


@pytest.mark.parametrize("failures", [100, 100_000])
def test_many_failures_overflow_nothing(failures: int) -> None:
    assert Backoff(1, 600, lambda: 0.0).delay_s(failures) == 600
