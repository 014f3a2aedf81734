"""What calibration does to probabilities, and what it is fitted to."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.special import softmax

from lentigo_contract.manifest.probabilities import Calibration
from lentigo_trainer.calibration.temperature import (
    UNCALIBRATED,
    bias_corrected_temperature,
    calibrated,
    calibration_on,
)
from lentigo_trainer.metrics.arrays import FloatArray

Examples = tuple[NDArray[np.float32], NDArray[np.int64]]


def drawn(
    temperature: float = 1.0, biases: FloatArray | None = None, rows: int = 20_000
) -> Examples:
    """Logits that are too large by a factor and lack biases, and the diagnoses they are for."""
    draw = np.random.default_rng(0)
    honest = draw.normal(0, 2, (rows, 7))
    added = np.zeros(7) if biases is None else biases
    labels = np.argmax(honest + added + draw.gumbel(size=honest.shape), axis=1)
    return (honest * temperature).astype(np.float32), labels


@pytest.mark.parametrize("method", ["one", "each"])
def test_the_most_probable_diagnosis_stays_the_same(method: str) -> None:
    logits, _ = drawn()
    known = Calibration(method="temperature", temperature=3.0)
    if method == "each":
        own = (0.3, 3.0, 1.0, 2.0, 0.5, 0.2, 5.0)
        known = Calibration(method="temperature by diagnosis", temperature=1.0, by_diagnosis=own)
    probabilities = np.asarray(calibrated(logits, known))
    assert (probabilities.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert probabilities != pytest.approx(softmax(logits, axis=1), abs=0.01)


def test_temperatures_that_are_all_the_same_are_one_temperature() -> None:
    logits, _ = drawn()
    one = Calibration(method="temperature", temperature=1.7)
    each = Calibration(method="temperature by diagnosis", temperature=1.7, by_diagnosis=(1.7,) * 7)
    assert np.asarray(calibrated(logits, each)) == pytest.approx(
        np.asarray(calibrated(logits, one)), abs=1e-6
    )


def test_without_calibration_probabilities_are_the_softmax() -> None:
    logits, _ = drawn()
    assert np.asarray(calibrated(logits, UNCALIBRATED)) == pytest.approx(
        softmax(logits, axis=1), abs=1e-6
    )


def test_temperature_and_biases_are_found_again() -> None:
    biases = np.array([-1.0, 0.5, 0.0, 1.5, -0.5, 0.25, -0.75])
    temperature, found = bias_corrected_temperature(*drawn(2.5, biases))
    assert temperature == pytest.approx(2.5, rel=0.05)
    assert found == pytest.approx(biases - biases.mean(), abs=0.1)


def test_the_calibrated_probabilities_have_the_frequencies_of_the_examples() -> None:
    logits, labels = drawn(2.0, np.array([-2.0, 0, 0, 2.0, 0, 0, 0]))
    found = calibration_on(logits, labels, "made up")
    probabilities = np.asarray(calibrated(logits, found))
    assert probabilities.mean(axis=0) == pytest.approx(
        np.bincount(labels, minlength=7) / len(labels), abs=1e-3
    )


def test_a_higher_logit_never_means_a_lower_probability() -> None:
    known = calibration_on(*drawn(3.0, np.array([-2.0, 0, 0, 2.0, 0, 0, 0])), "made up")
    logits, _ = drawn(rows=200)
    raised = logits + np.eye(7, dtype=np.float32)[3] * 0.5
    before, after = (np.asarray(calibrated(each, known)) for each in (logits, raised))
    assert (after[:, 3] >= before[:, 3]).all()


def test_a_diagnosis_without_examples_keeps_a_bias_of_zero() -> None:
    logits, labels = drawn(rows=2_000)
    _, biases = bias_corrected_temperature(logits[labels != 3], labels[labels != 3])
    assert biases[3] == 0


@pytest.mark.parametrize("right", [True, False])
def test_few_predictions_all_right_or_all_wrong_give_moderate_values(*, right: bool) -> None:
    logits, _ = drawn(rows=9)
    first = logits.argmax(axis=1)
    temperature, biases = bias_corrected_temperature(logits, first if right else (first + 1) % 7)
    assert 0.04 < temperature < 25
    assert (np.abs(biases) < 20).all()


def test_the_note_names_the_images_it_was_fitted_to() -> None:
    logits, labels = drawn(rows=300)
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
        {"method": "temperature", "biases": (0.0,) * 7},
        {"method": "bias-corrected temperature"},
        {"method": "bias-corrected temperature", "biases": (0.0,) * 6},
        {"method": "bias-corrected temperature", "biases": (float("inf"),) * 7},
    ],
)
def test_temperatures_that_do_not_fit_their_method_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate({"temperature": 1.0} | fields)
