import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lentigo_contract.labels import index_of
from lentigo_contract.manifest.engines import GOLDEN_SEED, EngineName, Golden
from lentigo_engines.base import Prediction
from lentigo_trainer.calibration.operating_point import (
    OperatingPoint,
    choose_operating_point,
    lower_bound,
)
from lentigo_trainer.errors import EmptyClassError, MetricError
from lentigo_trainer.export.parity import EngineParity, parity_of
from lentigo_trainer.metrics.arrays import FloatArray, malignancy
from tests.trainer.metrics.made_up_answers import made_up_answers

MEL, NV = index_of("mel"), index_of("nv")


def lesions(count: int) -> NDArray[np.str_]:
    """Return a lesion of its own for each image."""
    return np.array([f"lesion {number}" for number in range(count)])


def suspicions(*scores: float) -> NDArray[np.float64]:
    probabilities = np.zeros((len(scores), 7))
    probabilities[:, MEL] = scores
    probabilities[:, NV] = 1 - np.array(scores)
    return probabilities


def by_one(
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    chosen_on: str = "made up",
    wanted: float = 0.95,
) -> OperatingPoint:
    scores: dict[EngineName, FloatArray] = {"savedmodel": malignancy(probabilities)}
    return choose_operating_point(truth, scores, lesions(len(truth)), chosen_on, wanted)


def test_a_case_worked_by_hand() -> None:
    truth = np.array([MEL, MEL, NV, NV, NV])
    point = by_one(truth, suspicions(0.9, 0.4, 0.6, 0.2, 0.1), "five made up")
    assert point.threshold == pytest.approx(0.3)
    assert point.referrals["savedmodel"].sensitivity == 1
    assert point.referrals["savedmodel"].specificity == pytest.approx(2 / 3)
    assert "five made up" in point.source()


def test_the_lower_bound_is_that_of_clopper_and_pearson() -> None:
    # Of 20 found 20: 0.025 to the power of 1 / 20. Of 100 found 95: as R's binom.test.
    assert lower_bound(20, 20) == pytest.approx(0.025 ** (1 / 20))
    assert lower_bound(95, 100) == pytest.approx(0.8871651, abs=1e-6)
    assert lower_bound(0, 100) == 0


def test_too_few_lesions_to_be_sure_are_all_referred() -> None:
    scores = [0.01] + [0.5 + number / 100 for number in range(19)] + [0.005]
    point = by_one(np.array([MEL] * 20 + [NV]), suspicions(*scores))
    assert point.referrals["savedmodel"].sensitivity == 1
    assert point.threshold == pytest.approx(0.0075)


def test_more_lesions_than_the_sensitivity_asks_for_are_referred() -> None:
    # 1,000 lesions: 95 % of them are 950, and 964 are the first whose lower end is above 0.95.
    scores = np.linspace(1, 0, 1000)
    point = by_one(np.array([MEL] * 1000 + [NV]), suspicions(*scores, 0.0))
    found = round(1000 * point.referrals["savedmodel"].sensitivity)
    assert lower_bound(found, 1000) >= 0.95 > lower_bound(found - 1, 1000)
    assert found == 964
    assert point.referrals["savedmodel"].least_sensitivity == pytest.approx(
        float(lower_bound(found, 1000))
    )


def test_a_lesion_counts_once_however_many_images_it_has() -> None:
    # One lesion in 200 images, which all look benign, and 199 lesions that do not.
    scores = np.array([0.1] * 200 + [0.9] * 199 + [0.5])
    truth = np.array([MEL] * 399 + [NV])
    names = np.array(["one"] * 200 + [f"lesion {number}" for number in range(200)])
    by_lesion = choose_operating_point(truth, {"savedmodel": scores}, names, "made up")
    assert by_lesion.threshold > 0.5
    by_image = choose_operating_point(truth, {"savedmodel": scores}, lesions(400), "made up")
    assert by_image.threshold < 0.1


@given(seed=st.integers(0, 10_000))
def test_it_is_the_largest_threshold_that_is_surely_sensitive_enough(seed: int) -> None:
    truth, probabilities, _ = made_up_answers(seed, n=80)
    point = by_one(truth, probabilities, wanted=0.7)
    rates = point.referrals["savedmodel"]
    assert rates.least_sensitivity >= 0.7 or rates.sensitivity == 1
    scores = malignancy(probabilities)
    higher = scores[scores >= point.threshold].min() + 1e-12
    malignant = np.isin(truth, [0, 1, MEL])
    left = int((scores[malignant] >= higher).sum())
    assert lower_bound(left, int(malignant.sum())) < 0.7


def test_malignant_and_benign_examples_are_required() -> None:
    with pytest.raises(EmptyClassError):
        by_one(np.array([NV]), suspicions(0.5))
    with pytest.raises(MetricError):
        by_one(np.array([NV, MEL]), suspicions(0.5, 0.6), wanted=0)


@pytest.mark.parametrize("scores", [[0.5], [0.5, 1.5], [0.5, np.nan]])
def test_scores_that_are_no_probabilities_are_refused(scores: list[float]) -> None:
    with pytest.raises(MetricError, match="diverge"):
        choose_operating_point(
            np.array([NV, MEL]), {"savedmodel": np.array(scores)}, lesions(2), "made up"
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
    reference = Prediction(REFERENCE.astype(np.float32), np.zeros((20, 1, 1, 7), np.float32))
    engines = EngineParity(reference, outputs, agreement, Golden(seed=GOLDEN_SEED, answers={}))
    serving: dict[EngineName, FloatArray] = {"savedmodel": malignancy(REFERENCE)}
    serving |= {
        engine: malignancy(each.probabilities) for engine, each in engines.standing_in().items()
    }
    return choose_operating_point(TRUTH, serving, lesions(len(TRUTH)), "twenty made up")


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
        "largest threshold whose sensitivity for lesions of mel, bcc and akiec is at least 0.95 by "
        "the lower end of its 95% interval, by each engine named here, or the one that refers all "
        "of them if none is; on twenty made up; savedmodel: sensitivity 1.000 (n = 10, lower bound "
        "by lesion 0.692), specificity 0.800 (n = 10); litert-int8: sensitivity 1.000 (n = 10, "
        "lower bound by lesion 0.692), specificity 0.800 (n = 10)"
    )


@given(seed=st.integers(0, 10_000))
def test_every_engine_is_sensitive_enough_and_one_only_just(seed: int) -> None:
    truth, reference, _ = made_up_answers(seed, n=80)
    scores: dict[EngineName, FloatArray] = {
        "savedmodel": malignancy(reference),
        "litert-int8": malignancy(made_up_answers(seed, n=80, skill=1.5)[1]),
    }
    names = lesions(len(truth))
    point = choose_operating_point(truth, scores, names, "made up", wanted=0.7)
    own = [
        choose_operating_point(truth, {engine: each}, names, "made up", wanted=0.7).threshold
        for engine, each in scores.items()
    ]
    assert point.threshold == min(own)
    for rates in point.referrals.values():
        assert rates.least_sensitivity >= 0.7 or rates.sensitivity == 1
