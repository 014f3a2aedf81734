import numpy as np
import pytest

from lentigo_trainer.calibration.cross_validation import (
    MEASURED,
    common_rows,
    cross_validate,
    measure,
)
from lentigo_trainer.data.out_of_fold import OutOfFold
from lentigo_trainer.errors import EvaluationReportError
from lentigo_trainer.metrics.arrays import is_malignant

SHARES = [0.05, 0.05, 0.11, 0.03, 0.11, 0.62, 0.03]
ROWS = 3_000
LESIONS = np.array([f"lesion {row // 2}" for row in range(ROWS)])
LABELS = np.repeat(np.random.default_rng(0).choice(7, ROWS // 2, p=SHARES), 2)


def answers(skill: float, folds: int = 3, seed: int = 1) -> OutOfFold:
    """Logits of a network that is right more often with more skill; a lesion is in one fold."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 1, (ROWS, 7)) + skill * np.eye(7)[LABELS]
    fold = np.arange(ROWS) // 2 % folds + 1
    return OutOfFold(np.arange(ROWS), fold, logits.astype(np.float32), np.ones(ROWS, np.float32))


def test_a_better_network_has_better_metrics_and_a_difference_that_excludes_zero() -> None:
    better, worse = (cross_validate(answers(skill), LABELS, LESIONS) for skill in (3.0, 2.0))
    alone = measure(better, None, LABELS, LESIONS)
    assert set(alone) == set(MEASURED)
    difference = measure(better, worse, LABELS, LESIONS)["balanced_accuracy"]
    assert difference.low is not None
    assert difference.low > 0.03
    other = measure(worse, None, LABELS, LESIONS)["balanced_accuracy"]
    assert difference.value == pytest.approx(
        (alone["balanced_accuracy"].value or 0) - (other.value or 0)
    )


def test_a_network_does_not_differ_from_itself() -> None:
    same = cross_validate(answers(2.0), LABELS, LESIONS)
    for estimate in measure(same, same, LABELS, LESIONS).values():
        assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_malignancy_is_calibrated_on_folds_that_were_not_fitted() -> None:
    # Logits that are three times too large: without calibration the error would be large.
    loud = answers(2.0)
    loud.logits[:] *= 3
    found = measure(cross_validate(loud, LABELS, LESIONS), None, LABELS, LESIONS)
    error = found["malignant_calibration_error"].value
    assert error is not None
    assert error < 0.03


def test_the_threshold_of_a_fold_comes_from_the_others() -> None:
    validated = cross_validate(answers(2.5), LABELS, LESIONS)
    malignant = is_malignant(LABELS)
    assert validated.referred[malignant].mean() > 0.94
    # If fold 1 is far more suspicious, its own threshold does not change, so it refers more.
    shifted = answers(2.5)
    in_first = shifted.fold == 1
    shifted.logits[in_first, 4] += 3
    moved = cross_validate(shifted, LABELS, LESIONS)
    benign = ~malignant & in_first
    assert moved.referred[benign].mean() > validated.referred[benign].mean() + 0.2


def test_the_decision_for_balance_finds_more_of_the_rare_diagnoses() -> None:
    found = measure(cross_validate(answers(2.0), LABELS, LESIONS), None, LABELS, LESIONS)
    values = {name: estimate.value or 0 for name, estimate in found.items()}
    assert values["balanced_accuracy"] > values["probable balanced_accuracy"]
    assert values["probable accuracy"] > values["accuracy"]


def test_one_fold_cannot_be_cross_validated() -> None:
    with pytest.raises(EvaluationReportError, match="1 fold cannot be cross-validated"):
        cross_validate(answers(2.0, folds=1), LABELS, LESIONS)


def test_only_images_that_both_answered_are_compared() -> None:
    whole = cross_validate(answers(2.0), LABELS, LESIONS)
    part = whole.only(np.arange(100, 300))
    assert common_rows(whole, part).tolist() == list(range(100, 300))
    np.testing.assert_array_equal(part.probabilities, whole.probabilities[100:300])
    with pytest.raises(EvaluationReportError, match="no image in common"):
        common_rows(part, whole.only(np.arange(50)))
