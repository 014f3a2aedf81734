import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lentigo_trainer.calibration.thresholds import choose_limit
from lentigo_trainer.errors import MetricError

TOLD = np.arange(1, 401, dtype=np.float32)


def test_three_in_four_hundred_are_above_it() -> None:
    found = choose_limit({"savedmodel": TOLD}, "a distance", "made up")
    assert found.limit == pytest.approx(397.5)
    assert found.method == "a distance"
    assert "0.75%" in found.source
    assert "made up" in found.source
    assert "savedmodel: 3 of 400 above it" in found.source


def test_it_holds_for_every_engine() -> None:
    found = choose_limit({"savedmodel": TOLD, "litert-int8": TOLD + 10}, "", "made up")
    assert found.limit == pytest.approx(407.5)


@given(n=st.integers(1, 700), seed=st.integers(0, 1000))
def test_it_never_refuses_more_than_the_share(n: int, seed: int) -> None:
    told = np.random.default_rng(seed).gamma(2, size=n).astype(np.float32)
    found = choose_limit({"savedmodel": told}, "", "made up", share=0.02)
    assert (told > found.limit).mean() <= 0.02


def test_images_that_are_all_alike_are_all_kept() -> None:
    found = choose_limit({"savedmodel": np.ones(300)}, "", "made up")
    assert found.limit == 1


@pytest.mark.parametrize(
    "told", [np.array([]), np.array([1, np.nan]), np.array([1, -0.1]), np.ones((2, 2))]
)
def test_what_is_no_unlikeness_is_refused(told: np.ndarray) -> None:
    with pytest.raises(MetricError, match=r"[Uu]nlikeness"):
        choose_limit({"savedmodel": told}, "", "made up")


def test_a_limit_that_cannot_be_is_refused() -> None:
    with pytest.raises(MetricError, match="at least one engine"):
        choose_limit({}, "", "made up")
    with pytest.raises(MetricError, match="tells nothing"):
        choose_limit({"savedmodel": np.zeros(5)}, "", "made up")
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(MetricError, match="cannot be refused"):
            choose_limit({"savedmodel": TOLD}, "", "made up", share)
