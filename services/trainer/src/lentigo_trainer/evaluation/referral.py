"""What the thresholds of a version, fixed before, do on images that did not choose them.

Which images a version gives no diagnosis, as the service would not, and how many those are.

Risk against coverage: how often the surest answers are wrong.

A service that may abstain answers the share of images it is surest about (the coverage); the risk
is the share of these answers that are wrong. El-Yaniv and Wiener, "On the Foundations of Noise-free
Selective Classification" (JMLR 11, 2010).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.manifest import OodThreshold, Thresholds
from lentigo_engines.base import Prediction
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray, is_malignant, malignancy
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates
from lentigo_trainer.metrics.ranking import area_under_risk, risk_at
from lentigo_trainer.metrics.weighted import mean

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
    sensitivity: Estimate
    specificity: Estimate
    referred: Estimate
    melanomas_called_benign: Estimate
    called_benign_referred: Estimate
    unsure: Estimate | None = None
    wrong_when_sure: Estimate | None = None


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
            **estimates(statistics, bases, resampling),
        }
    )


Refused = NDArray[np.bool_]


def refused_by(limit: OodThreshold | None, said: Prediction, flawed: Refused) -> Refused:
    """Tell for each image whether it is unusable, or too unlike what the version learnt from.

    Args:
        limit: from the version's manifest; without one nothing is too unlike.
        said: what the version said of n images.
        flawed: bool [n], whether size and pixels tell that an image cannot be judged.

    Raises:
        DamagedVersionError: the manifest has a limit, and the network does not tell.
    """
    if limit is None:
        return flawed
    if said.unlikeness is None:
        raise DamagedVersionError(
            "The manifest has a limit of unlikeness, but the network does not tell how unlike its "
            "training images a picture is. Publish the version again."
        )
    refused: Refused = flawed | (said.unlikeness > limit.limit)
    return refused


def refused_share(refused: Refused, resampling: Resampling) -> Estimate:
    """Give the share of the images that are refused, with its interval."""
    found = estimates(
        lambda weights: {"refused": mean(refused, weights)},
        {"refused": Basis(refused.size, "")},
        resampling,
    )
    return found["refused"]


COVERAGES: Final = tuple(round(0.05 * step, 2) for step in range(1, 21))


class RiskPoint(BaseModel):
    """The risk, 0..1, at a coverage, above 0 and at most 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coverage: float
    risk: Estimate


class RiskCoverage(BaseModel):
    """The whole curve.

    Attributes:
        area: the mean risk over all coverages; lower is better.
        points: the curve at `COVERAGES`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    area: Estimate
    points: tuple[RiskPoint, ...]


def risk_coverage(
    truth: LabelArray, probabilities: FloatArray, resampling: Resampling
) -> RiskCoverage:
    """Measure the risk at each coverage; an answer's confidence is its probability.

    Args:
        truth: class numbers, [n].
        probabilities: [n, 7]; rows sum to 1.
        resampling: how to make the intervals.
    """
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != truth
    coverages = np.array(COVERAGES)

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        risks = risk_at(coverages, confidence, wrong, weights)
        points = {f"{place}": risks[:, place] for place in range(coverages.size)}
        return {"area": area_under_risk(confidence, wrong, weights)} | points

    # Every coverage has some part of an example, so the risk is always defined.
    bases = {
        f"{place}": Basis(max(1, round(share * truth.size)), "")
        for place, share in enumerate(COVERAGES)
    }
    found = estimates(statistics, {"area": Basis(truth.size, "")} | bases, resampling)
    return RiskCoverage(
        area=found["area"],
        points=tuple(
            RiskPoint(coverage=share, risk=found[f"{place}"])
            for place, share in enumerate(COVERAGES)
        ),
    )
