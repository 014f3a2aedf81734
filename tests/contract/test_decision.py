import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lentigo_contract.decision import (
    Float64s,
    at_prevalence,
    balanced_scores,
    decide,
    log_odds_ratio,
    malignant_probability,
    move_odds,
    shares_of,
)
from lentigo_contract.labels import CODES, MALIGNANT, index_of
from lentigo_contract.manifest.probabilities import MalignancyCalibration, Prevalence

# About HAM10000's.
DECLARED: Prevalence = dict(
    zip(CODES, (0.033, 0.051, 0.110, 0.011, 0.111, 0.670, 0.014), strict=True)
)
EQUAL: Prevalence = dict.fromkeys(CODES, 1 / 7)


def scaled(weights: Float64s) -> Float64s:
    rows: Float64s = weights / weights.sum(axis=-1, keepdims=True)
    return rows


def named(shares: Float64s) -> Prevalence:
    return dict(zip(CODES, scaled(shares).tolist(), strict=True))


probabilities = arrays(np.float64, (20, 7), elements=st.floats(1e-6, 1)).map(scaled)
prevalences = arrays(np.float64, (7,), elements=st.floats(1e-4, 1)).map(named)
calibrations = st.builds(
    MalignancyCalibration,
    slope=st.floats(0.2, 3),
    intercept=st.floats(-3, 3),
    source=st.just("made up"),
)


def test_a_rare_diagnosis_wins_for_balance_and_loses_by_probability() -> None:
    row = np.array([0.0, 0.0, 0.05, 0.0, 0.30, 0.65, 0.0])
    assert CODES[int(decide(row, None))] == "nv"
    assert CODES[int(decide(row, DECLARED))] == "mel"


def test_scores_are_the_probabilities_over_the_prevalence() -> None:
    row = np.array([0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.1])
    expected = row / shares_of(DECLARED)
    assert balanced_scores(row, DECLARED) == pytest.approx(expected / expected.sum())


def test_equal_frequencies_change_nothing() -> None:
    row = np.array([[0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.1]])
    assert balanced_scores(row, EQUAL) == pytest.approx(row)
    assert decide(row, EQUAL).tolist() == decide(row, None).tolist() == [index_of("nv")]


def test_of_equal_scores_the_first_label_wins() -> None:
    assert int(decide(np.full(7, 1 / 7), EQUAL)) == 0
    assert int(decide(shares_of(DECLARED).round(3), DECLARED)) == 0


@given(rows=probabilities, one=prevalences, other=prevalences)
def test_moving_there_and_back_changes_nothing(
    rows: Float64s, one: Prevalence, other: Prevalence
) -> None:
    moved = at_prevalence(rows, one, other)
    assert moved.sum(axis=1) == pytest.approx(np.ones(20))
    assert at_prevalence(moved, other, one) == pytest.approx(rows, abs=1e-9)


@given(rows=probabilities, one=prevalences, other=prevalences)
def test_the_balanced_scores_do_not_depend_on_the_prevalence(
    rows: Float64s, one: Prevalence, other: Prevalence
) -> None:
    moved = at_prevalence(rows, one, other)
    assert balanced_scores(moved, other) == pytest.approx(balanced_scores(rows, one), abs=1e-9)


@given(
    rows=probabilities,
    wanted=prevalences,
    calibration=st.none() | calibrations,
    threshold=st.floats(0, 1),
)
def test_a_moved_threshold_refers_the_same_images(
    rows: Float64s,
    wanted: Prevalence,
    calibration: MalignancyCalibration | None,
    threshold: float,
) -> None:
    before = malignant_probability(rows, calibration)
    ratio = log_odds_ratio(DECLARED, wanted)
    after, moved = move_odds(before, ratio), float(move_odds(threshold, ratio))
    # Beyond a rounding of the threshold itself.
    clear = abs(before - threshold) > 1e-12
    assert ((before >= threshold) == (after >= moved))[clear].all()
    assert move_odds(after, -ratio) == pytest.approx(before, abs=1e-9)


@given(rows=probabilities, calibration=calibrations)
def test_a_calibration_of_malignancy_keeps_the_order_of_the_images(
    rows: Float64s, calibration: MalignancyCalibration
) -> None:
    plain = malignant_probability(rows, None)
    calibrated = malignant_probability(rows, calibration)
    order = np.argsort(plain)
    assert (np.diff(calibrated[order]) >= -1e-12).all()
    assert ((calibrated >= 0) & (calibrated <= 1)).all()


def test_without_a_calibration_malignancy_is_the_sum() -> None:
    row = np.array([0.1, 0.2, 0.1, 0.1, 0.05, 0.4, 0.05])
    assert float(malignant_probability(row, None)) == pytest.approx(0.35)
    same = MalignancyCalibration(slope=1.0, intercept=0.0, source="made up")
    assert float(malignant_probability(row, same)) == pytest.approx(0.35)


def test_a_sum_is_scaled_as_platt_does() -> None:
    row = np.array([0.1, 0.2, 0.1, 0.1, 0.05, 0.4, 0.05])
    calibration = MalignancyCalibration(slope=0.5, intercept=-1.0, source="made up")
    logit = 0.5 * np.log(0.35 / 0.65) - 1
    assert float(malignant_probability(row, calibration)) == pytest.approx(1 / (1 + np.exp(-logit)))


@pytest.mark.parametrize("code", CODES)
def test_certainty_stays_certain(code: str) -> None:
    row = np.eye(7)[index_of(code)]
    calibration = MalignancyCalibration(slope=0.7, intercept=-1.0, source="made up")
    certain = float(MALIGNANT[index_of(code)])
    wanted = named(np.array([1, 1, 1, 1, 1e300, 1e-5, 1]))
    assert float(malignant_probability(row, calibration)) == certain
    assert float(move_odds(certain, 3.0)) == certain
    assert at_prevalence(row, DECLARED, wanted) == pytest.approx(row)
    assert int(decide(row, DECLARED)) == index_of(code)


def test_a_screening_clinic_has_fewer_malignancies() -> None:
    rare = named(shares_of(DECLARED) * np.where(MALIGNANT, 0.1, 1))
    ratio = log_odds_ratio(DECLARED, rare)
    assert ratio == pytest.approx(np.log(0.1))
    assert float(move_odds(0.5, ratio)) == pytest.approx(1 / 11)
