import numpy as np

from lentigo_contract.labels import index_of
from lentigo_contract.manifest.manifest import Thresholds
from lentigo_contract.manifest.probabilities import MalignancyCalibration
from lentigo_trainer.evaluation.referral import Referral, referral
from lentigo_trainer.metrics.arrays import LabelArray
from lentigo_trainer.metrics.bootstrap import Resampling
from lentigo_trainer.metrics.decisions import decisions_of

NV, MEL, BCC = index_of("nv"), index_of("mel"), index_of("bcc")
# Two melanomas called nevi, one of them with enough left over to be referred.
TRUTH = np.array([MEL, MEL, MEL, BCC, NV, NV, NV, NV])
LEFT = np.array([0.9, 0.3, 0.1, 0.8, 0.0, 0.1, 0.25, 0.6])


def evaluated(truth: LabelArray, abstention: float | None = None) -> Referral:
    """Each image is a melanoma with the probability `LEFT`, and a nevus otherwise."""
    probabilities = np.zeros((truth.size, 7))
    probabilities[:, MEL], probabilities[:, NV] = LEFT[: truth.size], 1 - LEFT[: truth.size]
    found = Thresholds(malignancy=0.2, source="made up", abstention=abstention)
    return referral(found, truth, probabilities, Resampling(np.arange(truth.size), 0, 50))


def test_malignant_images_are_referred_whatever_the_prediction() -> None:
    found = evaluated(TRUTH)
    assert (found.sensitivity.value, found.sensitivity.n) == (0.75, 4)
    assert (found.specificity.value, found.specificity.n) == (0.5, 4)
    assert found.referred.value == 5 / 8


def test_melanomas_called_benign_are_counted_with_those_still_referred() -> None:
    found = evaluated(TRUTH)
    assert (found.melanomas_called_benign.value, found.melanomas_called_benign.n) == (2 / 3, 3)
    assert (found.called_benign_referred.value, found.called_benign_referred.n) == (0.5, 2)


def test_unsure_predictions_are_reported_if_the_version_has_a_threshold_for_them() -> None:
    assert evaluated(TRUTH).unsure is None
    found = evaluated(TRUTH, abstention=0.72)
    assert found.unsure is not None
    assert found.unsure.value == 2 / 8
    assert found.wrong_when_sure is not None
    # One melanoma is surely a nevus, and the basal cell carcinoma surely a melanoma.
    assert (found.wrong_when_sure.value, found.wrong_when_sure.n) == (2 / 6, 6)


def test_a_calibrated_probability_of_malignancy_is_held_against_the_threshold() -> None:
    probabilities = np.zeros((TRUTH.size, 7))
    probabilities[:, MEL], probabilities[:, NV] = LEFT, 1 - LEFT
    calibration = MalignancyCalibration(slope=1.0, intercept=-3.0, source="made up")
    decisions = decisions_of(probabilities, None, calibration)
    found = referral(
        Thresholds(malignancy=0.2, source="made up"),
        TRUTH,
        probabilities,
        Resampling(np.arange(TRUTH.size), 0, 50),
        decisions,
    )
    # By odds, only 0.9 stays above 0.2: 9 / e^3.
    assert found.sensitivity.value == 1 / 4
    assert found.specificity.value == 1.0


def test_an_undefined_metric_has_a_reason() -> None:
    found = evaluated(np.array([NV, NV]))
    assert found.sensitivity.reason == "There is no malignant image."
    assert found.melanomas_called_benign.value is None
    assert found.called_benign_referred.n == 0
