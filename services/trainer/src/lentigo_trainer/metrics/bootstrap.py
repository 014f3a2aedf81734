"""How sure a figure is: percentile bootstrap over lesions.

Photographs of one lesion resemble each other, so whole lesions are drawn, with replacement, as
many as there are (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13;
drawing whole clusters: Davison and Hinkley, "Bootstrap Methods", 1997, section 3.8). A resample is
held as a weight per example, the number of times its lesion was drawn, so that a statistic is one
matrix product over many resamples.

Two limits to know: a share of 0 or 1 gets an interval of no width, however few its examples, so
read n beside it; and the calibration error grows when it is resampled, so its interval leans
upwards.

A figure and its interval from one and the same function, so that they cannot disagree.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from lentigo_trainer.errors import MetricError
from lentigo_trainer.metrics.arrays import FloatArray

RESAMPLES: Final = 1000
CONFIDENCE: Final = 0.95
WEIGHTS_AT_ONCE: Final = 2_000_000
"""Weights in memory at a time: 16 MB, and about five times that inside an AUC."""
LEAST_DEFINED_SHARE: Final = 0.95
"""An interval needs the figure to be defined in this share of the resamples.

A class of k lesions is missing from a resample with probability of about exp(-k): with three
lesions from 5 %, with one from 37 %. Below that, an interval would speak of other data.
"""

Statistics = Callable[[FloatArray], Mapping[str, FloatArray]]
"""Weights [b, n] to named figures [b], NaN where a resample does not define one."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with a confidence of 95 %, or why that cannot be told."""

    low: float | None
    high: float | None
    reason: str | None = None


def resampled_weights(
    groups: NDArray[Any], resamples: int, generator: np.random.Generator
) -> Iterator[FloatArray]:
    """Draw whole groups with replacement, as many as there are.

    Args:
        groups: shape [n], the group of each example (a lesion's name), any sortable type.
        resamples: how many resamples.
        generator: where chance comes from; the same one gives the same weights.

    Yields:
        float64 [b, n], b at most `resamples`: how often each example was drawn.
    """
    names, places = np.unique(groups, return_inverse=True)
    chances = np.full(names.size, 1 / names.size)
    step = max(1, WEIGHTS_AT_ONCE // places.size)
    for start in range(0, resamples, step):
        draws = generator.multinomial(names.size, chances, size=min(step, resamples - start))
        yield draws[:, places].astype(np.float64)


def bootstrap(
    statistics: Statistics, groups: NDArray[Any], seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Give every named statistic its 95 % interval; the same seed gives the same intervals.

    Raises:
        MetricError: no resamples asked for, or no examples.
    """
    if resamples < 1 or groups.ndim != 1 or groups.size == 0:
        raise MetricError("A bootstrap needs at least one example with a group, and one resample.")
    chunks: dict[str, list[FloatArray]] = {}
    for weights in resampled_weights(groups, resamples, np.random.default_rng(seed)):
        for name, values in statistics(weights).items():
            chunks.setdefault(name, []).append(values)
    return {name: percentile_interval(np.concatenate(values)) for name, values in chunks.items()}


def percentile_interval(values: FloatArray) -> Interval:
    """Take the middle 95 % of the values, [b], leaving out NaN."""
    defined = values[~np.isnan(values)]
    if defined.size < LEAST_DEFINED_SHARE * values.size:
        missing = values.size - defined.size
        return Interval(
            None, None, f"too few lesions: undefined in {missing} of {values.size} resamples"
        )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Interval(float(low), float(high))


class Estimate(BaseModel):
    """One figure, or why there is none.

    Attributes:
        value: the figure; None when the data do not define it.
        low: lower end of its 95 % interval; None when that cannot be told.
        high: upper end.
        n: the examples it rests on: of a recall the class's examples, of a precision the answers
            naming the class, of an AUC the positive examples, otherwise all.
        reason: why value or interval is missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str | None = None

    @model_serializer(mode="wrap")
    def _without_empty_reason(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        if self.reason is None:
            del fields["reason"]
        return fields


FEWEST: Final = 10
"""Examples below which a subgroup gets no figure."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are made.

    Attributes:
        groups: what is drawn whole, [n]: the lesion of each image, or its name.
        seed: the same seed gives the same intervals.
        resamples: how many.
    """

    groups: NDArray[Any]
    seed: int
    resamples: int = RESAMPLES


@dataclass(frozen=True, slots=True)
class Basis:
    """What a figure rests on.

    Attributes:
        n: how many examples.
        missing: why there is no figure, where there is none.
    """

    n: int
    missing: str


def estimates(
    statistics: Statistics,
    bases: Mapping[str, Basis],
    resampling: Resampling,
    fewest: int = 0,
) -> dict[str, Estimate]:
    """Give each figure its value and its 95 % interval.

    Args:
        statistics: gives the figures for any weights.
        bases: what each of them rests on, by its name.
        resampling: how to make the intervals.
        fewest: figures that rest on fewer examples are left out, with that as the reason.
    """
    values = statistics(np.ones((1, resampling.groups.size)))
    intervals = bootstrap(statistics, resampling.groups, resampling.seed, resampling.resamples)

    def figure(name: str, basis: Basis) -> Estimate:
        value = float(values[name][0])
        reason = basis.missing if np.isnan(value) else None
        if basis.n < fewest:
            reason = f"only {basis.n} examples; below {fewest} no figure is given"
        if reason:
            return Estimate(value=None, low=None, high=None, n=basis.n, reason=reason)
        interval = intervals[name]
        return Estimate(
            value=value, low=interval.low, high=interval.high, n=basis.n, reason=interval.reason
        )

    return {name: figure(name, basis) for name, basis in bases.items()}
