"""What the answers are worth for one diagnosis against all others."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from lentigo_contract.labels import CODES
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates
from lentigo_trainer.metrics.ranking import auc, average_precision, specificity_at
from lentigo_trainer.metrics.weighted import mean, ratio

SENSITIVITIES: Final = (0.9, 0.95)
"""Sensitivities for melanoma at which its specificity is told."""


class DiagnosisMetrics(BaseModel):
    """One diagnosis; an answer is the most probable of the seven.

    Attributes:
        sensitivity: share of its images answered with it; n are its images.
        specificity: share of the other images answered with another; n are those.
        ppv: share of the answers naming it that are right; n are those answers.
        npv: share of the answers naming another where it was not; n are those answers.
        f1: harmonic mean of sensitivity and ppv.
        auc: area under the ROC curve of its probability.
        average_precision: mean precision over all thresholds on its probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    f1: Estimate
    auc: Estimate
    average_precision: Estimate


def diagnosis_metrics(
    code: str, truth: LabelArray, probabilities: FloatArray, resampling: Resampling
) -> DiagnosisMetrics:
    """Measure one diagnosis against the rest.

    Args:
        code: which.
        truth: class numbers, [n].
        probabilities: [n, 7]; rows sum to 1.
        resampling: how to make the intervals.
    """
    place = CODES.index(code)
    is_it = truth == place
    named = probabilities.argmax(axis=1) == place
    score = probabilities[:, place]

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        hits = weights @ (is_it & named)
        return {
            "sensitivity": mean(named, weights, among=is_it),
            "specificity": mean(~named, weights, among=~is_it),
            "ppv": mean(is_it, weights, among=named),
            "npv": mean(~is_it, weights, among=~named),
            "f1": _f1(hits, weights @ is_it, weights @ named),
            "auc": auc(is_it, score, weights),
            "average_precision": average_precision(is_it, score, weights),
        }

    n = int(is_it.sum())
    absent = f"There is no image of {code}."
    alone = absent if n == 0 else f"There is no image of anything but {code}."
    bases = {
        "sensitivity": Basis(n, absent),
        "specificity": Basis(truth.size - n, alone),
        "ppv": Basis(int(named.sum()), f"No answer names {code}."),
        "npv": Basis(int((~named).sum()), f"Every answer names {code}."),
        "f1": Basis(n, absent),
        "auc": Basis(n, alone),
        "average_precision": Basis(n, absent),
    }
    return DiagnosisMetrics.model_validate(estimates(statistics, bases, resampling))


def melanoma_specificities(
    truth: LabelArray, probabilities: FloatArray, resampling: Resampling
) -> dict[str, Estimate]:
    """Give the specificity for melanoma at each of `SENSITIVITIES`, by "0.90" and "0.95".

    n are the melanomas, on which the threshold rests.
    """
    place = CODES.index("mel")
    is_melanoma = truth == place
    score = probabilities[:, place]

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        return {
            f"{wanted:.2f}": specificity_at(wanted, is_melanoma, score, weights)
            for wanted in SENSITIVITIES
        }

    n = int(is_melanoma.sum())
    missing = "There is no image of melanoma." if n == 0 else "Every image is of melanoma."
    bases = {f"{wanted:.2f}": Basis(n, missing) for wanted in SENSITIVITIES}
    return estimates(statistics, bases, resampling)


def _f1(hits: FloatArray, members: FloatArray, named: FloatArray) -> FloatArray:
    share = ratio(2 * hits, members + named)
    share[members <= 0] = np.nan
    return share
