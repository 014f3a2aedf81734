import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lentigo_trainer.calibration.thresholds import choose_ood_threshold
from lentigo_trainer.errors import MetricError

SCORES = np.arange(1, 939, dtype=np.float32)


def test_four_of_938_are_above_the_threshold() -> None:
    """With five, the true share might be above 1 %."""
    found = choose_ood_threshold({"savedmodel": SCORES}, "a distance", "made up")
    assert found.limit == pytest.approx(934.5)
    assert found.method == "a distance"
    assert "at most 1%" in found.source
    assert "made up" in found.source
    assert "savedmodel: 4 of 938 above it" in found.source


def test_the_threshold_holds_for_every_engine() -> None:
    found = choose_ood_threshold({"savedmodel": SCORES, "litert-int8": SCORES + 10}, "", "made up")
    assert found.limit == pytest.approx(944.5)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
@given(n=st.integers(1, 5000), seed=st.integers(0, 1000))
def test_the_interval_of_what_is_refused_ends_at_the_share(share: float, n: int, seed: int) -> None:
    scores = np.random.default_rng(seed).gamma(2, size=n)
    found = choose_ood_threshold({"savedmodel": scores}, "", "made up", share)
    refused = int((scores > found.limit).sum())

    def end(refused: int) -> float:
        interval = binomtest(refused, n, alternative="less").proportion_ci(0.95, "exact")
        return float(interval.high)

    assert refused == 0 or end(refused) <= share
    assert end(refused + 1) > share


def test_of_too_few_images_none_is_above_the_threshold() -> None:
    found = choose_ood_threshold({"savedmodel": SCORES[:200]}, "", "made up")
    assert found.limit == 200


def test_images_that_are_all_alike_are_all_kept() -> None:
    found = choose_ood_threshold({"savedmodel": np.ones(300)}, "", "made up")
    assert found.limit == 1


@pytest.mark.parametrize(
    "scores", [np.array([]), np.array([1, np.nan]), np.array([1, -0.1]), np.ones((2, 2))]
)
def test_scores_of_another_shape_or_range_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(MetricError, match="out-of-distribution score"):
        choose_ood_threshold({"savedmodel": scores}, "", "made up")


def test_an_impossible_threshold_is_refused() -> None:
    with pytest.raises(MetricError, match="at least one engine"):
        choose_ood_threshold({}, "", "made up")
    with pytest.raises(MetricError, match="separates nothing"):
        choose_ood_threshold({"savedmodel": np.zeros(5)}, "", "made up")
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(MetricError, match="cannot be refused"):
            choose_ood_threshold({"savedmodel": SCORES}, "", "made up", share)
