"""What calibration does to probabilities, and what it is fitted to."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.special import softmax

from lentigo_contract.manifest.manifest import Calibration
from lentigo_trainer.calibration.temperature import (
    UNCALIBRATED,
    calibrated,
    calibration_on,
    class_temperatures,
)
from lentigo_trainer.metrics.arrays import FloatArray

Examples = tuple[NDArray[np.float32], NDArray[np.int64]]


def drawn(sharpness: FloatArray, rows: int = 4_000) -> Examples:
    """Logits that are too large by another factor for each diagnosis that comes first."""
    draw = np.random.default_rng(0)
    honest = draw.normal(0, 2, (rows, 7))
    labels = np.argmax(honest + draw.gumbel(size=honest.shape), axis=1)
    return (honest * sharpness[honest.argmax(axis=1)][:, None]).astype(np.float32), labels


def gap(probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """Distance of confidence from accuracy, in the mean over the predicted diagnoses."""
    predicted = probabilities.argmax(axis=1)
    gaps = [
        probabilities[predicted == code].max(axis=1).mean()
        - np.mean(labels[predicted == code] == code)
        for code in range(7)
    ]
    return float(np.abs(gaps).mean())


@pytest.mark.parametrize("method", ["one", "each"])
def test_the_most_probable_diagnosis_stays_the_same(method: str) -> None:
    logits, _ = drawn(np.ones(7))
    known = Calibration(method="temperature", temperature=3.0)
    if method == "each":
        own = (0.3, 3.0, 1.0, 2.0, 0.5, 0.2, 5.0)
        known = Calibration(method="temperature by diagnosis", temperature=1.0, by_diagnosis=own)
    probabilities = np.asarray(calibrated(logits, known))
    assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert probabilities != pytest.approx(softmax(logits, axis=1), abs=0.01)


def test_temperatures_that_are_all_the_same_are_one_temperature() -> None:
    logits, _ = drawn(np.ones(7))
    one = Calibration(method="temperature", temperature=1.7)
    each = Calibration(method="temperature by diagnosis", temperature=1.7, by_diagnosis=(1.7,) * 7)
    assert np.asarray(calibrated(logits, each)) == pytest.approx(
        np.asarray(calibrated(logits, one)), abs=1e-6
    )


def test_without_calibration_probabilities_are_the_softmax() -> None:
    logits, _ = drawn(np.ones(7))
    assert np.asarray(calibrated(logits, UNCALIBRATED)) == pytest.approx(
        softmax(logits, axis=1), abs=1e-6
    )


def test_an_overconfident_diagnosis_gets_a_higher_temperature_than_an_underconfident_one() -> None:
    logits, labels = drawn(np.array([3, 1, 1, 1, 1, 0.4, 1]))
    found = calibration_on(logits, labels, "made up")
    assert found.by_diagnosis is not None
    overconfident, *others, underconfident, last = found.by_diagnosis
    assert overconfident > max(*others, last) > min(*others, last) > underconfident
    one = Calibration(method="temperature", temperature=found.temperature)
    after, with_one = (np.asarray(calibrated(logits, known)) for known in (found, one))
    assert gap(after, labels) < gap(with_one, labels) / 2


def test_calibrated_diagnoses_keep_about_the_shared_temperature() -> None:
    logits, labels = drawn(np.full(7, 2.0))
    found = calibration_on(logits, labels, "made up")
    assert found.by_diagnosis == pytest.approx((found.temperature,) * 7, rel=0.15)
    assert found.temperature == pytest.approx(2.0, rel=0.1)


def test_a_diagnosis_that_is_never_predicted_keeps_the_shared_temperature() -> None:
    logits, labels = drawn(np.full(7, 2.0))
    logits[:, 3] -= 200
    found = class_temperatures(logits, labels, shared=2.0)
    assert found[3] == pytest.approx(2.0)


@pytest.mark.parametrize("right", [True, False])
def test_few_predictions_all_right_or_all_wrong_give_moderate_temperatures(*, right: bool) -> None:
    logits, _ = drawn(np.ones(7), rows=9)
    first = logits.argmax(axis=1)
    found = class_temperatures(logits, first if right else (first + 1) % 7, shared=1.0)
    assert np.isfinite(found).all()
    assert (found > 0.01).all()
    assert (found < 100).all()


def test_the_note_names_the_images_it_was_fitted_to() -> None:
    logits, labels = drawn(np.ones(7), rows=300)
    found = calibration_on(logits, labels, fitted_on="three hundred made up")
    assert "three hundred made up (n = 300)" in found.note


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_an_impossible_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValidationError, match="temperature"):
        Calibration(method="temperature", temperature=temperature)


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "temperature", "by_diagnosis": (1.0,) * 7},
        {"method": "temperature by diagnosis"},
        {"method": "temperature by diagnosis", "by_diagnosis": (1.0,) * 6},
        {"method": "temperature by diagnosis", "by_diagnosis": (0.0,) * 7},
    ],
)
def test_temperatures_that_do_not_fit_their_method_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate({"temperature": 1.0} | fields)
