import numpy as np
import pytest
from scipy.special import expit, logit

from lentigo_contract.decision import malignant_probability
from lentigo_contract.labels import index_of
from lentigo_trainer.calibration.malignancy import fit_malignancy
from lentigo_trainer.errors import EmptyClassError

MEL, NV = index_of("mel"), index_of("nv")


def overconfident(rows: int = 100_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Diagnoses, their true probabilities of malignancy, and overconfident probabilities [n, 7]."""
    draw = np.random.default_rng(0)
    honest = expit(draw.normal(-1, 1.5, rows))
    truth = np.where(draw.random(rows) < honest, MEL, NV)
    claimed = expit(2 * logit(honest) + 1)
    probabilities = np.zeros((rows, 7))
    probabilities[:, MEL], probabilities[:, NV] = claimed, 1 - claimed
    return truth, honest, probabilities


def test_an_overconfident_probability_becomes_the_true_one() -> None:
    truth, honest, probabilities = overconfident()
    found = fit_malignancy(truth, probabilities, "made up")
    assert found.slope == pytest.approx(0.5, abs=0.02)
    assert found.intercept == pytest.approx(-0.5, abs=0.04)
    assert malignant_probability(probabilities, found) == pytest.approx(honest, abs=0.015)
    assert found.source == "fitted by cross-entropy on made up (n = 100000)"


def test_certain_probabilities_stay_finite() -> None:
    probabilities = np.eye(7)[[MEL, NV, MEL, NV]]
    found = fit_malignancy(np.array([MEL, NV, NV, MEL]), probabilities, "made up")
    assert np.isfinite([found.slope, found.intercept]).all()
    perfect = fit_malignancy(np.array([MEL, NV, MEL, NV]), probabilities, "made up")
    assert 0 < perfect.slope <= 20


@pytest.mark.parametrize("diagnosis", [MEL, NV])
def test_both_kinds_of_lesions_are_required(diagnosis: int) -> None:
    with pytest.raises(EmptyClassError, match="malignant and one benign"):
        fit_malignancy(np.full(3, diagnosis), np.full((3, 7), 1 / 7), "made up")
