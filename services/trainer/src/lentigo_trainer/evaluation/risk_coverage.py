"""Risk-coverage curve: how often the most confident predictions are wrong.

A service that may abstain keeps the share of images that it is most confident about (the coverage);
the risk is the share of wrong predictions among these. El-Yaniv and Wiener, "On the Foundations of
Noise-free Selective Classification" (JMLR 11, 2010).
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from lentigo_trainer.metrics.arrays import FloatArray, LabelArray
from lentigo_trainer.metrics.bootstrap import Basis, Estimate, Resampling, estimates
from lentigo_trainer.metrics.ranking import area_under_risk, risk_at

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
    truth: LabelArray,
    probabilities: FloatArray,
    resampling: Resampling,
    diagnoses: LabelArray | None = None,
) -> RiskCoverage:
    """Compute the risk at each coverage; the confidence is the highest probability.

    Args:
        truth: class numbers, [n].
        probabilities: [n, 7]; rows sum to 1.
        resampling: how to compute the intervals.
        diagnoses: class numbers as decided, [n]; by default the most probable.
    """
    confidence = probabilities.max(axis=1)
    wrong = (probabilities.argmax(axis=1) if diagnoses is None else diagnoses) != truth
    coverages = np.array(COVERAGES)

    def statistics(weights: FloatArray) -> Mapping[str, FloatArray]:
        risks = risk_at(coverages, confidence, wrong, weights)
        points = {f"{place}": risks[:, place] for place in range(coverages.size)}
        return {"area": area_under_risk(confidence, wrong, weights)} | points

    # Every coverage holds at least part of an example, so the risk is always defined.
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
