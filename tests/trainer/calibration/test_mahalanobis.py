import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.calibration.out_of_distribution import MahalanobisDetector, fit_mahalanobis
from lentigo_trainer.errors import TrainingError

Floats = NDArray[np.float32]


def features(n: int, seed: int = 0) -> Floats:
    """Six features that depend on each other, one of them hardly varying."""
    draw = np.random.default_rng(seed)
    mixed = draw.normal(size=(n, 6)) @ np.random.default_rng(9).normal(size=(6, 6))
    return (mixed * [1, 1, 1, 1, 1, 1e-3] + 3).astype(np.float32)


def scores(detector: MahalanobisDetector, pooled: Floats) -> NDArray[np.float64]:
    """Scores of maps of 2 x 2 cells with this mean."""
    maps = np.broadcast_to(pooled[:, None, None], (len(pooled), 2, 2, pooled.shape[1]))
    return np.asarray(detector.of(maps), np.float64)


def test_scores_are_about_one_for_the_fitted_distribution() -> None:
    detector = fit_mahalanobis("layer", features(500))
    # With the variances shrunk to be more equal, less than one.
    assert scores(detector, features(500)).mean() == pytest.approx(0.8, abs=0.2)
    assert scores(detector, features(500, seed=1)).mean() == pytest.approx(0.8, abs=0.2)


def test_scores_are_squared_mahalanobis_distances_by_the_shrunk_covariance() -> None:
    known, asked = features(200), features(3, seed=2)
    covariance = np.cov(known.astype(np.float64).T, bias=True)
    shrunk = 0.97 * covariance + 0.03 * np.trace(covariance) / 6 * np.eye(6)
    away = asked - known.mean(axis=0)
    expected = np.einsum("ni,ij,nj->n", away, np.linalg.inv(shrunk), away) / 6
    np.testing.assert_allclose(scores(fit_mahalanobis("layer", known), asked), expected, rtol=1e-4)


def test_an_unseen_combination_is_further_than_each_of_its_parts() -> None:
    draw = np.random.default_rng(0)
    alike = draw.normal(size=(300, 1)).repeat(2, axis=1) + draw.normal(0, 0.05, (300, 2))
    detector = fit_mahalanobis("layer", alike.astype(np.float32))
    usual, unheard_of = scores(detector, np.array([[2, 2], [2, -2]], np.float32))
    assert unheard_of > 10 * usual


def test_the_same_features_give_the_same_distance() -> None:
    one, other = fit_mahalanobis("layer", features(50)), fit_mahalanobis("layer", features(50))
    assert (one.whitening == other.whitening).all()
    assert (one.offset == other.offset).all()


def test_fewer_images_than_features_are_enough() -> None:
    assert np.isfinite(scores(fit_mahalanobis("layer", features(2)), features(5, seed=1))).all()


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_images_are_refused(n: int) -> None:
    with pytest.raises(TrainingError, match="two training images"):
        fit_mahalanobis("layer", features(n))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5])
def test_features_that_are_not_numbers_or_all_the_same_are_refused(value: float) -> None:
    with pytest.raises(TrainingError, match="behind layer are not numbers, or the same"):
        fit_mahalanobis("layer", np.full((4, 3), value, np.float32))


def test_the_method_names_the_layer() -> None:
    assert "behind layer" in fit_mahalanobis("layer", features(9)).method()
