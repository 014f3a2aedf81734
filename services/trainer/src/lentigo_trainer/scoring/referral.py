"""What the thresholds of a version, fixed before, do on images that did not choose them."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import Thresholds
from lentigo_trainer.answers import FloatArray, LabelArray, is_malignant, malignancy
from lentigo_trainer.intervals import Figure
from lentigo_trainer.resampled import mean
from lentigo_trainer.scoring.measured import Basis, Resampling, measured

_MELANOMA: Final = CODES.index("mel")


class Referral(BaseModel):
    """Who is referred, and whose answer is too unsure to be relied on.

    Attributes:
        malignancy: the threshold on the probabilities of mel, bcc and akiec together.
        abstention: the threshold on the answer's own probability; None where there is none.
        sensitivity: share of the malignant images that `malignancy` refers.
        specificity: share of the benign ones that it does not refer.
        referred: share of all images that it refers.
        melanomas_called_benign: share of the melanomas answered with a benign diagnosis.
        called_benign_referred: share of those that are referred all the same.
        unsure: share of all images below `abstention`; None without it.
        wrong_when_sure: share of wrong answers among the others; None without it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    malignancy: float
    abstention: float | None
    sensitivity: Figure
    specificity: Figure
    referred: Figure
    melanomas_called_benign: Figure
    called_benign_referred: Figure
    unsure: Figure | None = None
    wrong_when_sure: Figure | None = None


def referral(
    thresholds: Thresholds, truth: LabelArray, probabilities: FloatArray, resampling: Resampling
) -> Referral:
    """Measure a version's own thresholds.

    Args:
        thresholds: from its manifest.
        truth: class numbers, [n].
        probabilities: as it answers, [n, 7]; rows sum to 1.
        resampling: how to make the intervals.
    """
    answers = probabilities.argmax(axis=1)
    malignant = is_malignant(truth)
    referred = malignancy(probabilities) >= thresholds.malignancy
    called_benign = (truth == _MELANOMA) & ~is_malignant(answers)
    sure = probabilities.max(axis=1) >= (thresholds.abstention or 0.0)

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        return {
            "sensitivity": mean(referred, weights, among=malignant),
            "specificity": mean(~referred, weights, among=~malignant),
            "referred": mean(referred, weights),
            "melanomas_called_benign": mean(called_benign, weights, among=truth == _MELANOMA),
            "called_benign_referred": mean(referred, weights, among=called_benign),
            "unsure": mean(~sure, weights),
            "wrong_when_sure": mean(answers != truth, weights, among=sure),
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
            **measured(statistics, bases, resampling),
        }
    )
