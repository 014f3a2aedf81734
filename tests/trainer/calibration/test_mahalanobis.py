import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.calibration.out_of_distribution import (
    LEADING,
    MahalanobisDetector,
    fit_mahalanobis,
)
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
    found = scores(fit_mahalanobis("layer", known), asked)
    np.testing.assert_allclose(found, distances(known, asked), rtol=1e-4)


def many_features(n: int, seed: int = 0) -> Floats:
    """Three times as many features as directions are kept, whose variances fall off slowly."""
    count = 3 * LEADING
    draw = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(count, count)))
    spread = 1 / np.sqrt(1 + np.arange(count))
    found: Floats = (draw.normal(size=(n, count)) * spread @ turned + 1).astype(np.float32)
    return found


def distances(known: Floats, asked: Floats) -> NDArray[np.float64]:
    """Squared Mahalanobis distances by the whole covariance, shrunk, per feature."""
    values = known.astype(np.float64)
    covariance, channels = np.cov(values.T, bias=True), values.shape[1]
    shrunk = 0.97 * covariance + 0.03 * np.trace(covariance) / channels * np.eye(channels)
    away = asked - values.mean(axis=0)
    found: NDArray[np.float64] = np.einsum("ni,ij,nj->n", away, np.linalg.inv(shrunk), away)
    found /= channels
    return found


def test_of_many_features_only_the_leading_directions_are_kept() -> None:
    detector = fit_mahalanobis("layer", many_features(800))
    assert detector.leading.shape == (3 * LEADING, LEADING)
    assert f"kept in {LEADING} principal directions and equal in all others" in detector.method()


def test_the_mean_score_of_the_fitted_images_is_that_of_the_whole_covariance() -> None:
    known = many_features(800)
    expected = distances(known, known).mean()
    found = scores(fit_mahalanobis("layer", known), known).mean()
    assert found == pytest.approx(expected, rel=1e-3)


def test_what_is_far_by_the_whole_covariance_is_far_in_any_direction() -> None:
    known = many_features(800)
    detector = fit_mahalanobis("layer", known)
    turned, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(3 * LEADING, 3 * LEADING)))
    away = (known.mean(axis=0) + 8 * turned).astype(np.float32)
    found, limit = scores(detector, away), scores(detector, known).max()
    assert (found[LEADING:] > limit).all()
    np.testing.assert_allclose(found[:50], distances(known, away)[:50], rtol=0.2)


def test_an_unseen_combination_is_further_than_each_of_its_parts() -> None:
    draw = np.random.default_rng(0)
    alike = draw.normal(size=(300, 1)).repeat(2, axis=1) + draw.normal(0, 0.05, (300, 2))
    detector = fit_mahalanobis("layer", alike.astype(np.float32))
    usual, unheard_of = scores(detector, np.array([[2, 2], [2, -2]], np.float32))
    assert unheard_of > 10 * usual


def test_the_same_features_give_the_same_distance() -> None:
    one, other = fit_mahalanobis("layer", features(50)), fit_mahalanobis("layer", features(50))
    assert (one.leading == other.leading).all()
    assert (one.mean == other.mean).all()
    assert one.scale == other.scale


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
    method = fit_mahalanobis("layer", features(9)).method()
    assert "behind layer" in method
    assert "principal directions" not in method
