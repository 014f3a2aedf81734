import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lentigo_contract.labels import index_of
from lentigo_contract.manifest.engines import GOLDEN_SEED, EngineName, Golden
from lentigo_engines.base import Prediction
from lentigo_trainer.calibration.thresholds import OperatingPoint, choose_operating_point
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.export.parity import EngineParity, parity_of
from lentigo_trainer.metrics.arrays import FloatArray, malignancy
from tests.trainer.metrics.made_up_answers import made_up_answers

MEL, NV = index_of("mel"), index_of("nv")


def suspicions(*scores: float) -> NDArray[np.float64]:
    probabilities = np.zeros((len(scores), 7))
    probabilities[:, MEL] = scores
    probabilities[:, NV] = 1 - np.array(scores)
    return probabilities


def by_one(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64], chosen_on: str = "made up"
) -> OperatingPoint:
    return choose_operating_point(truth, {"savedmodel": probabilities}, chosen_on)


def test_a_case_worked_by_hand() -> None:
    truth = np.array([MEL, MEL, NV, NV, NV])
    point = by_one(truth, suspicions(0.9, 0.4, 0.6, 0.2, 0.1), "five made up")
    assert point.threshold == pytest.approx(0.3)
    assert point.referrals["savedmodel"].sensitivity == 1
    assert point.referrals["savedmodel"].specificity == pytest.approx(2 / 3)
    assert "five made up" in point.source()


def test_one_of_twenty_malignant_examples_may_be_missed() -> None:
    scores = [0.01] + [0.5 + number / 100 for number in range(19)] + [0.3]
    point = by_one(np.array([MEL] * 20 + [NV]), suspicions(*scores))
    assert point.referrals["savedmodel"].sensitivity == 0.95
    assert point.threshold == pytest.approx(0.4)


@given(seed=st.integers(0, 10_000))
def test_it_is_the_largest_threshold_that_is_sensitive_enough(seed: int) -> None:
    truth, probabilities, _ = made_up_answers(seed, n=80)
    point = by_one(truth, probabilities)
    assert point.referrals["savedmodel"].sensitivity >= 0.95
    scores = malignancy(probabilities)
    higher = scores[scores >= point.threshold].min() + 1e-12
    malignant = np.isin(truth, [0, 1, MEL])
    assert (scores[malignant] >= higher).mean() < 0.95


def test_malignant_and_benign_examples_are_required() -> None:
    with pytest.raises(EmptyClassError):
        by_one(np.array([NV]), suspicions(0.5))
    with pytest.raises(MetricError):
        choose_operating_point(
            np.array([NV, MEL]), {"savedmodel": suspicions(0.5, 0.6)}, "made up", wanted=0
        )


# Of ten malignant lesions none may be missed. The last is the one that decides.
TRUTH = np.array([MEL] * 10 + [NV] * 10)
SURE = [0.9] * 9
BENIGN = [0.01 * number for number in range(10)]
REFERENCE = suspicions(*SURE, 0.4, *BENIGN)
SHIFTED = suspicions(*SURE, 0.075, *BENIGN)


def point_for(others: dict[EngineName, FloatArray]) -> OperatingPoint:
    """Choose as a training run does: for the SavedModel and for what may stand in for it."""
    agreement = {
        engine: parity_of(TRUTH, REFERENCE, probabilities)
        for engine, probabilities in others.items()
    }
    outputs = {
        engine: Prediction(
            probabilities.astype(np.float32), np.zeros((len(probabilities), 1, 1, 7), np.float32)
        )
        for engine, probabilities in others.items()
    }
    engines = EngineParity(outputs, agreement, Golden(seed=GOLDEN_SEED, answers={}))
    serving: dict[EngineName, FloatArray] = {"savedmodel": REFERENCE}
    serving |= {engine: each.probabilities for engine, each in engines.standing_in().items()}
    return choose_operating_point(TRUTH, serving, "twenty made up")


def test_an_engine_that_is_less_suspicious_lowers_the_threshold_for_all() -> None:
    alone = point_for({})
    assert alone.threshold == pytest.approx(0.245)
    point = point_for({"litert": REFERENCE, "litert-int8": SHIFTED})
    assert point.threshold == pytest.approx(0.0725)
    assert [rates.sensitivity for rates in point.referrals.values()] == [1, 1, 1]
    # At the SavedModel's own threshold this engine would miss a lesion.
    assert (malignancy(SHIFTED)[TRUTH == MEL] >= alone.threshold).mean() == 0.9


def test_an_engine_that_is_more_suspicious_does_not_raise_it() -> None:
    keener = suspicions(*SURE, 0.45, *[0.3 + score for score in BENIGN])
    point = point_for({"litert-int8": keener})
    assert point.threshold == point_for({}).threshold
    assert point.referrals["savedmodel"].specificity == 1
    assert point.referrals["litert-int8"].specificity == 0


def test_an_engine_that_may_not_stand_in_does_not_lower_it() -> None:
    other_diagnosis = suspicions(*SURE[1:], 0.2, 0.075, *BENIGN)
    point = point_for({"litert": REFERENCE, "litert-int8": other_diagnosis})
    assert point.threshold == point_for({}).threshold
    assert list(point.referrals) == ["savedmodel", "litert"]
    assert "int8" not in point.source()


def test_the_source_describes_every_engine() -> None:
    assert point_for({"litert-int8": SHIFTED}).source() == (
        "largest threshold with a sensitivity for mel, bcc and akiec of at least 0.95 by each "
        "engine named here, on twenty made up; savedmodel: sensitivity 1.000 (n = 10), "
        "specificity 0.800 (n = 10); litert-int8: sensitivity 1.000 (n = 10), specificity 0.800 "
        "(n = 10)"
    )


@given(seed=st.integers(0, 10_000))
def test_every_engine_is_sensitive_enough_and_one_only_just(seed: int) -> None:
    truth, reference, _ = made_up_answers(seed, n=80)
    probabilities: dict[EngineName, FloatArray] = {
        "savedmodel": reference,
        "litert-int8": made_up_answers(seed, n=80, skill=1.5)[1],
    }
    point = choose_operating_point(truth, probabilities, "made up")
    own = [
        choose_operating_point(truth, {engine: each}, "made up").threshold
        for engine, each in probabilities.items()
    ]
    assert point.threshold == min(own)
    assert min(rates.sensitivity for rates in point.referrals.values()) >= 0.95
