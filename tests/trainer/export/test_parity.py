import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.engines import GOLDEN_SEED, Golden
from lentigo_contract.manifest.probabilities import MalignancyCalibration
from lentigo_engines.base import Prediction
from lentigo_trainer.errors import MetricError
from lentigo_trainer.export.parity import EngineParity, parity_of

TRUTH = np.array([0, 0, 5, 5])


def probabilities(*rows: dict[int, float]) -> NDArray[np.float64]:
    """Return rows of seven probabilities, from those that are not 0."""
    result = np.zeros((len(rows), 7))
    for row, named in zip(result, rows, strict=True):
        row[list(named)] = list(named.values())
    return result


REFERENCE = probabilities({0: 0.9, 1: 0.1}, {0: 0.6, 5: 0.4}, {5: 1.0}, {4: 0.7, 5: 0.3})


def test_agreement_of_a_case_worked_by_hand() -> None:
    other = probabilities({0: 0.8, 1: 0.2}, {0: 0.4, 5: 0.6}, {5: 1.0}, {4: 0.3, 5: 0.7})
    agreement = parity_of(TRUTH, REFERENCE, other)
    assert agreement.images == 4
    # Right: the first, the third and the fourth.
    assert agreement.accuracy == pytest.approx(3 / 4)
    assert agreement.balanced_accuracy == pytest.approx((1 / 2 + 2 / 2) / 2)
    # The SavedModel is right on the first three, so 1 and 1/2 of the classes.
    assert agreement.balanced_accuracy_change == pytest.approx(0.75 - 0.75)
    assert agreement.equal_diagnoses == pytest.approx(2 / 4)
    assert agreement.largest_difference == pytest.approx(0.4)
    assert agreement.mean_difference == pytest.approx((2 * 0.1 + 2 * 0.2 + 2 * 0.4) / 28)
    assert agreement.shortfall() is not None


def test_equal_probabilities_agree() -> None:
    agreement = parity_of(TRUTH, REFERENCE, REFERENCE)
    assert (agreement.largest_difference, agreement.equal_diagnoses) == (0, 1)
    assert agreement.shortfall() is None


def test_a_worse_engine_has_a_negative_change() -> None:
    other = probabilities({1: 1.0}, {0: 0.6, 5: 0.4}, {5: 1.0}, {4: 0.7, 5: 0.3})
    assert parity_of(TRUTH, REFERENCE, other).balanced_accuracy_change == pytest.approx(-0.25)


def test_an_engine_with_nan_outputs_is_refused() -> None:
    with pytest.raises(MetricError, match="not a number"):
        parity_of(TRUTH, REFERENCE, np.full((4, 7), np.nan))


def test_diagnoses_are_those_decided_for_balance_where_a_prevalence_is_declared() -> None:
    prevalence = dict.fromkeys(CODES, 0.1) | {"nv": 0.4}
    both = probabilities({4: 0.4, 5: 0.6}), probabilities({4: 0.45, 5: 0.55})
    truth = np.array([4])
    assert parity_of(truth, *both).accuracy == 0
    decided = parity_of(truth, *both, prevalence)
    assert (decided.accuracy, decided.equal_diagnoses) == (1, 1)


def prediction(probabilities: NDArray[np.float64]) -> Prediction:
    return Prediction(
        probabilities.astype(np.float32), np.zeros((len(probabilities), 1, 1, 7), np.float32)
    )


def test_referrals_are_compared_at_the_threshold_and_with_the_calibration() -> None:
    other = probabilities({0: 0.9, 1: 0.1}, {0: 0.6, 5: 0.4}, {5: 1.0}, {4: 0.5, 5: 0.5})
    parity = EngineParity(
        prediction(REFERENCE),
        {"litert": prediction(other)},
        {"litert": parity_of(TRUTH, REFERENCE, other)},
        Golden(seed=GOLDEN_SEED, answers={}),
    )
    assert parity.agreement["litert"].equal_referrals is None
    assert parity.with_referrals(0.4, None).agreement["litert"].equal_referrals == 1
    strict = parity.with_referrals(0.65, None).agreement["litert"]
    assert strict.equal_referrals == pytest.approx(3 / 4)
    assert "its referral is the same on 75.00%" in (strict.shortfall() or "")
    # 0.7 and 0.5 become 0.5 and 0.3: the threshold of 0.4 now lies between them.
    moved = MalignancyCalibration(slope=1, intercept=-0.8473, source="made up")
    assert parity.with_referrals(0.4, moved).agreement["litert"].equal_referrals == 3 / 4
