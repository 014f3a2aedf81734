"""Metrics of one diagnosis against all others."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from lentigo_contract.labels import CODES
from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates, mean, ratio
from lentigo_trainer.metrics.ranking import auc, average_precision, specificity_at

SENSITIVITIES: Final = (0.9, 0.95)
"""Sensitivities for melanoma at which its specificity is reported."""


class DiagnosisMetrics(BaseModel):
    """One diagnosis; the predictions are the diagnoses as they were decided.

    Attributes:
        sensitivity: share of its images predicted as such; n are its images.
        specificity: share of the other images predicted as another; n are those.
        ppv: share of its predictions that are right; n are its predictions.
        npv: share of the other predictions whose image does not show it; n are those.
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
    code: str,
    truth: LabelArray,
    probabilities: FloatArray,
    resampling: Resampling,
    diagnoses: LabelArray | None = None,
) -> DiagnosisMetrics:
    """Evaluate one diagnosis against the rest.

    Args:
        code: of the diagnosis.
        truth: class numbers, [n].
        probabilities: [n, 7]; rows sum to 1.
        resampling: how to compute the intervals.
        diagnoses: class numbers as decided, [n]; by default the most probable.
    """
    place = CODES.index(code)
    is_it = truth == place
    predicted = (probabilities.argmax(axis=1) if diagnoses is None else diagnoses) == place
    score = probabilities[:, place]

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        hits = weights @ (is_it & predicted)
        return {
            "sensitivity": mean(predicted, weights, among=is_it),
            "specificity": mean(~predicted, weights, among=~is_it),
            "ppv": mean(is_it, weights, among=predicted),
            "npv": mean(~is_it, weights, among=~predicted),
            "f1": _f1(hits, weights @ is_it, weights @ predicted),
            "auc": auc(is_it, score, weights),
            "average_precision": average_precision(is_it, score, weights),
        }

    n = int(is_it.sum())
    absent = f"There is no image of {code}."
    alone = absent if n == 0 else f"There is no image of anything but {code}."
    bases = {
        "sensitivity": Basis(n, absent),
        "specificity": Basis(truth.size - n, alone),
        "ppv": Basis(int(predicted.sum()), f"No answer names {code}."),
        "npv": Basis(int((~predicted).sum()), f"Every answer names {code}."),
        "f1": Basis(n, absent),
        "auc": Basis(n, alone),
        "average_precision": Basis(n, absent),
    }
    return DiagnosisMetrics.model_validate(estimates(statistics, bases, resampling))


def melanoma_specificities(
    truth: LabelArray, probabilities: FloatArray, resampling: Resampling
) -> dict[str, Estimate]:
    """Return the specificity for melanoma at each of `SENSITIVITIES`, by "0.90" and "0.95".

    n are the melanomas, which determine the threshold.
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


def _f1(hits: FloatArray, members: FloatArray, predicted: FloatArray) -> FloatArray:
    share = ratio(2 * hits, members + predicted)
    share[members <= 0] = np.nan
    return share
