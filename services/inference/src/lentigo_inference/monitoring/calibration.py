"""Calibration of the probability of malignancy: what was predicted against what was observed.

After Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (ICML 2017), as in
the evaluation reports of the trainer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_inference.monitoring.intervals import FEWEST, Estimate, not_measured, share

BINS: Final = 15
"""Equal-width bins (l, h] over 0..1, as many as in the evaluation reports."""

_RESAMPLES: Final = 1000
_SEED: Final = 0

_Floats = npt.NDArray[np.float64]
_Bins = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bar of the reliability diagram.

    Attributes:
        low: lower end of its probabilities, exclusive.
        high: upper end, inclusive.
        predicted: their mean.
        observed: share of malignant lesions among them.
    """

    low: float
    high: float
    predicted: float
    observed: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the probability of malignancy agrees with what was confirmed.

    Attributes:
        predicted: mean probability of malignancy; None with too few answers.
        observed: share of malignant lesions.
        difference: observed minus predicted, -1 to 1: calibration in the large.
        error: expected calibration error, 0 to 1. It is never 0 by chance, and its interval, by
            bootstrap, leans upwards: read it with many answers only.
        bins: those that hold any, from low to high.
    """

    predicted: float | None
    observed: Estimate
    difference: Estimate
    error: Estimate
    bins: tuple[ReliabilityBin, ...]


def calibration_of(predicted: Sequence[float], malignant: Sequence[bool]) -> Calibration:
    """Compare probabilities of malignancy, 0..1, with whether each lesion was malignant.

    The same arguments give the same intervals.
    """
    probabilities, happened = np.array(predicted, np.float64), np.array(malignant, np.float64)
    n = probabilities.size
    places = np.clip(np.ceil(probabilities * BINS).astype(np.int64) - 1, 0, BINS - 1)
    bins = tuple(
        ReliabilityBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            predicted=float(probabilities[places == place].mean()),
            observed=share(int(happened[places == place].sum()), int((places == place).sum())),
        )
        for place in np.unique(places).tolist()
    )
    observed = share(int(happened.sum()), n)
    if n < FEWEST:
        return Calibration(None, observed, not_measured(n), not_measured(n), bins)
    mean = float(probabilities.mean())
    return Calibration(
        predicted=mean,
        observed=observed,
        difference=_moved(observed, -mean),
        error=_error(probabilities - happened, places),
        bins=bins,
    )


def _moved(estimate: Estimate, by: float) -> Estimate:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return estimate
    return Estimate(estimate.value + by, estimate.low + by, estimate.high + by, estimate.n)


def _error(gaps: _Floats, places: _Bins) -> Estimate:
    """Return the mean distance of prediction from observation over the bins, by their answers."""
    generator = np.random.default_rng(_SEED)
    drawn = (generator.integers(0, gaps.size, gaps.size) for _ in range(_RESAMPLES))
    low, high = np.quantile([_distance(gaps[each], places[each]) for each in drawn], (0.025, 0.975))
    return Estimate(_distance(gaps, places), float(low), float(high), gaps.size)


def _distance(gaps: _Floats, places: _Bins) -> float:
    return float(np.abs(np.bincount(places, gaps, BINS)).sum() / gaps.size)
