import numpy as np
import pytest

from lentigo_inference.monitoring.intervals import (
    FEWEST,
    Estimate,
    distance,
    mean_of,
    not_measured,
    share,
)


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


@pytest.mark.parametrize(
    ("part", "n", "low", "high"),
    [(18, 20, 0.699, 0.972), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (50, 100, 0.404, 0.596)],
)
def test_a_share_has_wilsons_interval(part: int, n: int, low: float, high: float) -> None:
    found = share(part, n)
    assert (found.value, found.n) == (part / n, n)
    assert ends(found) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize("n", [0, 1, FEWEST - 1])
def test_a_share_of_too_few_examples_is_not_given(n: int) -> None:
    assert share(n, n) == Estimate(None, None, None, n)


@pytest.mark.parametrize("n", [1, 10, 999])
def test_a_share_lies_within_its_interval_and_that_between_0_and_1(n: int) -> None:
    for part in range(n + 1):
        found = share(part, n, fewest=1)
        low, high = ends(found)
        assert found.value is not None
        assert 0 <= low <= found.value <= high <= 1


def test_a_mean_of_shares_is_surer_than_each_of_them() -> None:
    half = share(50, 100)
    found = mean_of([half, half])
    assert found.value == 0.5
    assert found.n == 200
    assert ends(found) == pytest.approx((0.5 - 0.0962 / 2**0.5, 0.5 + 0.0962 / 2**0.5), abs=1e-3)


@pytest.mark.parametrize("shares", [[], [share(5, 10)], [share(5, 10), not_measured(3)]])
def test_a_mean_needs_two_shares_and_each_of_them(shares: list[Estimate]) -> None:
    assert mean_of(shares).value is None
    assert mean_of(shares).n == sum(each.n for each in shares)


def test_a_distance_has_massarts_bound_beside_a_large_reference() -> None:
    assert ends(distance(0.5, 100, 10**12)) == pytest.approx((0.5 - 0.1358, 0.5 + 0.1358), abs=1e-4)


def test_a_distance_stays_between_0_and_1() -> None:
    assert ends(distance(0.01, 50, 50)) == pytest.approx((0.0, 0.282), abs=1e-3)
    assert ends(distance(0.99, 50, 50))[1] == 1.0


def test_more_outcomes_and_a_smaller_reference_make_a_distance_less_sure() -> None:
    narrow = distance(0.5, 100, 10_000)
    assert ends(distance(0.5, 100, 10_000, outcomes=7))[0] < ends(narrow)[0]
    assert ends(distance(0.5, 100, 100))[0] < ends(narrow)[0]


def test_samples_of_one_distribution_are_hardly_ever_surely_apart() -> None:
    generator = np.random.default_rng(3)
    uniform = np.linspace(0, 1, 101)
    for _ in range(200):
        sample = np.sort(generator.random(200))
        apart = np.abs(np.searchsorted(sample, uniform) / 200 - uniform).max()
        assert ends(distance(float(apart), 200, 938))[0] < 0.02
