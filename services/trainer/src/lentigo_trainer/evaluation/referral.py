"""What a version refers and refuses, by its own thresholds, on images that did not choose them."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import OodThreshold, Thresholds
from lentigo_engines.base import Prediction
from lentigo_trainer.metrics.arrays import (
    BoolArray,
    FloatArray,
    LabelArray,
    is_malignant,
)
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates, mean, share_of
from lentigo_trainer.metrics.decisions import Decisions, decisions_of

Refused = BoolArray
"""Whether each image is refused, bool [n]."""

_MELANOMA: Final = CODES.index("mel")


class Referral(BaseModel):
    """Which images are referred, and which predictions are too unsure to be relied on.

    Attributes:
        malignancy: the threshold on the probability of malignancy.
        abstention: the threshold on the highest probability; None where there is none.
        sensitivity: share of the malignant images that `malignancy` refers.
        specificity: share of the benign ones that it does not refer.
        referred: share of all images that it refers.
        melanomas_called_benign: share of the melanomas whose diagnosis is benign, as decided.
        called_benign_referred: share of those that are still referred.
        unsure: share of all images below `abstention`; None without it.
        wrong_when_sure: share of wrong predictions among the others; None without it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    malignancy: float
    abstention: float | None
    sensitivity: Estimate
    specificity: Estimate
    referred: Estimate
    melanomas_called_benign: Estimate
    called_benign_referred: Estimate
    unsure: Estimate | None = None
    wrong_when_sure: Estimate | None = None


def referral(
    thresholds: Thresholds,
    truth: LabelArray,
    probabilities: FloatArray,
    resampling: Resampling,
    decisions: Decisions | None = None,
) -> Referral:
    """Evaluate the thresholds of a version.

    Args:
        thresholds: from its manifest.
        truth: class numbers, [n].
        probabilities: as served, [n, 7]; rows sum to 1.
        resampling: how to compute the intervals.
        decisions: about these images; by default for the most probable diagnosis.
    """
    decided = decisions or decisions_of(probabilities)
    predicted = decided.classes
    malignant = is_malignant(truth)
    referred = decided.malignancy >= thresholds.malignancy
    called_benign = (truth == _MELANOMA) & ~is_malignant(predicted)
    sure = decided.confident
    if sure is None:
        sure = probabilities.max(axis=1) >= (thresholds.abstention or 0.0)

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        return {
            "sensitivity": mean(referred, weights, among=malignant),
            "specificity": mean(~referred, weights, among=~malignant),
            "referred": mean(referred, weights),
            "melanomas_called_benign": mean(called_benign, weights, among=truth == _MELANOMA),
            "called_benign_referred": mean(referred, weights, among=called_benign),
            "unsure": mean(~sure, weights),
            "wrong_when_sure": mean(predicted != truth, weights, among=sure),
        }

    bases = {
        "sensitivity": Basis(int(malignant.sum()), "There is no malignant image."),
        "specificity": Basis(int((~malignant).sum()), "There is no benign image."),
        "referred": Basis(truth.size, ""),
        "melanomas_called_benign": Basis(
            int((truth == _MELANOMA).sum()), "There is no image of melanoma."
        ),
        "called_benign_referred": Basis(
            int(called_benign.sum()), "No melanoma is answered with a benign diagnosis."
        ),
    }
    if thresholds.abstention is not None:
        bases |= {
            "unsure": Basis(truth.size, ""),
            "wrong_when_sure": Basis(int(sure.sum()), "No answer is sure enough."),
        }
    return Referral.model_validate(
        {
            "malignancy": thresholds.malignancy,
            "abstention": thresholds.abstention,
            **estimates(statistics, bases, resampling),
        }
    )


def refused_by(threshold: OodThreshold | None, outputs: Prediction, flawed: BoolArray) -> Refused:
    """Return which images are unusable, or too far from the training images.

    Args:
        threshold: from the version's manifest; without one no image is too far.
        outputs: of the version, for n images.
        flawed: bool [n], whether an image cannot be assessed by its size and pixels.

    Raises:
        DamagedVersionError: the manifest has a threshold, and the network returns no score.
    """
    if threshold is None:
        return flawed
    if outputs.unlikeness is None:
        raise DamagedVersionError(
            "The manifest has a threshold of unlikeness, but the network does not return how "
            "unlike its training images an image is. Publish the version again."
        )
    refused: Refused = flawed | (outputs.unlikeness > threshold.limit)
    return refused


def refused_share(refused: Refused, resampling: Resampling) -> Estimate:
    """Return the share of the images that are refused, with its interval."""
    return share_of(refused, resampling)
