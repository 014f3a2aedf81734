import pytest

from lentigo_inference.monitoring.agreement import Agreement, compare
from lentigo_inference.monitoring.calibration import BINS, calibration_of
from tests.inference.monitoring.feedback_records import confirmed


def of(*groups: tuple[int, dict[str, object]]) -> Agreement:
    """Compare so many answers of each kind."""
    found = [changes for count, changes in groups for _ in range(count)]
    return compare([confirmed(number, **changes) for number, changes in enumerate(found)])


def test_without_feedback_nothing_is_measured() -> None:
    found = compare([])
    assert (found.answers, found.since, found.until, found.averaged_over) == (0, None, None, ())
    assert {(each.value, each.n) for each in found.figures().values()} == {(None, 0)}
    assert found.calibration.predicted is None
    assert found.calibration.bins == ()
    assert set(found.confirmed_by.values()) == {0}


def test_the_referral_is_held_against_what_was_malignant() -> None:
    found = of(
        (9, {"diagnosis": "mel", "refer": True}),
        (5, {"diagnosis": "bcc", "refer": True}),
        (6, {"diagnosis": "akiec", "refer": False}),
        (3, {"diagnosis": "nv", "refer": True}),
        (9, {"diagnosis": "vasc", "refer": False}),
    )
    assert (found.referral_sensitivity.value, found.referral_sensitivity.n) == (0.7, 20)
    assert (found.referral_specificity.value, found.referral_specificity.n) == (0.75, 12)


def test_the_diagnosis_is_held_against_the_confirmed_one() -> None:
    found = of(
        (6, {"diagnosis": "mel", "said": "mel"}),
        (3, {"diagnosis": "mel", "said": "bcc"}),
        (3, {"diagnosis": "mel", "said": "nv"}),
        (9, {"diagnosis": "nv", "said": "nv"}),
        (3, {"diagnosis": "nv", "said": "mel"}),
    )
    assert (found.melanoma_sensitivity.value, found.melanoma_sensitivity.n) == (0.5, 12)
    assert found.malignant_sensitivity.value == 0.75
    assert found.accuracy.value == 15 / 24
    assert found.balanced_accuracy.value == (0.5 + 0.75) / 2
    assert found.averaged_over == ("mel", "nv")


def test_a_diagnosis_with_too_few_answers_is_left_out_of_the_balanced_accuracy() -> None:
    found = of((12, {"diagnosis": "nv"}), (3, {"diagnosis": "mel"}))
    assert found.averaged_over == ("nv",)
    assert found.balanced_accuracy.value is None
    assert (found.melanoma_sensitivity.value, found.melanoma_sensitivity.n) == (None, 3)


def test_a_withheld_diagnosis_counts_for_the_referral_alone() -> None:
    withheld: dict[str, object] = {
        "said": None,
        "malignancy": None,
        "refer": True,
        "diagnosis": "mel",
    }
    found = of((10, withheld), (10, {}))
    assert found.withheld == 10
    assert found.accuracy.n == 10
    assert found.melanoma_sensitivity.n == 0
    assert found.calibration.observed.n == 10
    assert (found.referral_sensitivity.value, found.referral_sensitivity.n) == (1.0, 10)


def test_a_lesion_that_is_none_of_the_seven_counts_for_no_figure() -> None:
    found = of((10, {}), (5, {"diagnosis": "other", "refer": True}))
    assert (found.answers, found.other) == (15, 5)
    assert found.accuracy.n == found.referral_specificity.n == found.calibration.observed.n == 10


def test_how_and_when_they_were_confirmed_is_told() -> None:
    found = of((2, {}), (3, {"confirmed_by": "follow-up"}))
    assert found.confirmed_by == {
        "histopathology": 2,
        "follow-up": 3,
        "consensus": 0,
        "confocal": 0,
    }
    assert (found.since, found.until) == ("2026-12-01T00:00:00.000Z", "2026-12-01T00:00:04.000Z")


def test_calibrated_probabilities_differ_from_what_happens_by_nothing() -> None:
    found = calibration_of([0.3] * 100, [place < 30 for place in range(100)])
    assert found.predicted == pytest.approx(0.3)
    assert found.difference.value == pytest.approx(0, abs=1e-9)
    assert found.error.value == pytest.approx(0, abs=1e-9)
    (only,) = found.bins
    assert only.low < 0.3 <= only.high
    assert only.observed.n == 100


def test_probabilities_that_are_too_low_show_in_the_large_and_in_the_bins() -> None:
    found = calibration_of([0.1] * 50 + [0.9] * 50, [True] * 100)
    assert found.difference.value == pytest.approx(0.5)
    assert found.difference.low is not None
    assert found.difference.low > 0.4
    assert found.error.value == pytest.approx(0.5)
    assert [each.predicted for each in found.bins] == pytest.approx([0.1, 0.9])


def test_errors_that_cancel_each_other_show_in_the_calibration_error_alone() -> None:
    found = calibration_of([0.1] * 50 + [0.9] * 50, [True] * 50 + [False] * 50)
    assert found.difference.value == pytest.approx(0)
    assert found.error.value == pytest.approx(0.9)


def test_a_calibration_of_too_few_is_not_given_and_its_bins_say_how_few() -> None:
    found = calibration_of([0.0, 1.0, 1.0], [False, True, True])
    assert (found.predicted, found.difference.value, found.error.value) == (None, None, None)
    assert [(each.low, each.observed.n, each.observed.value) for each in found.bins] == [
        (0.0, 1, None),
        ((BINS - 1) / BINS, 2, None),
    ]


def test_the_same_answers_give_the_same_interval() -> None:
    arguments = [0.2, 0.8, 0.4] * 10, [True, True, False] * 10
    assert calibration_of(*arguments) == calibration_of(*arguments)
