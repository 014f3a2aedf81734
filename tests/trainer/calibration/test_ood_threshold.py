import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lentigo_trainer.calibration.thresholds import choose_ood_threshold
from lentigo_trainer.errors import MetricError

SCORES = np.arange(1, 401, dtype=np.float32)


def test_three_in_four_hundred_are_above_the_threshold() -> None:
    found = choose_ood_threshold({"savedmodel": SCORES}, "a distance", "made up")
    assert found.limit == pytest.approx(397.5)
    assert found.method == "a distance"
    assert "0.75%" in found.source
    assert "made up" in found.source
    assert "savedmodel: 3 of 400 above it" in found.source


def test_the_threshold_holds_for_every_engine() -> None:
    found = choose_ood_threshold({"savedmodel": SCORES, "litert-int8": SCORES + 10}, "", "made up")
    assert found.limit == pytest.approx(407.5)


@given(n=st.integers(1, 700), seed=st.integers(0, 1000))
def test_at_most_the_share_is_refused(n: int, seed: int) -> None:
    scores = np.random.default_rng(seed).gamma(2, size=n).astype(np.float32)
    found = choose_ood_threshold({"savedmodel": scores}, "", "made up", share=0.02)
    assert (scores > found.limit).mean() <= 0.02


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
