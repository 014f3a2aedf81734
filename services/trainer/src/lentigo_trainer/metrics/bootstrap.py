"""Metrics with their uncertainty: percentile bootstrap over lesions.

Images of one lesion resemble each other, so whole lesions are drawn, with replacement, as many as
there are (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; drawing whole
clusters: Davison and Hinkley, "Bootstrap Methods", 1997, section 3.8). A resample is a weight per
example: the number of times its lesion was drawn. A statistic of many resamples is then one matrix
product, and with weights of all ones it is the value, so value and interval cannot disagree.

Two limits: a share of 0 or 1 gets an interval of no width, however few its examples, so read n
beside it; and the calibration error grows when it is resampled, so its interval leans upwards.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from lentigo_contract.wording import pluralize
from lentigo_trainer.errors import MetricError
from lentigo_trainer.metrics.arrays import BoolArray, FloatArray

RESAMPLES: Final = 1000
CONFIDENCE: Final = 0.95
WEIGHTS_AT_ONCE: Final = 2_000_000
"""Weights in memory at a time: 16 MB, and about five times that inside an AUC."""
LEAST_DEFINED_SHARE: Final = 0.95
"""An interval needs the metric to be defined in this share of the resamples.

A class of k lesions is missing from a resample with probability of about exp(-k): with three
lesions from 5 % of them, with one from 37 %. Below that, the interval would describe other data.
"""

FEWEST: Final = 10
"""Examples below which a subgroup gets no metric."""

Statistics = Callable[[FloatArray], Mapping[str, FloatArray]]
"""Weights [b, n] to named metrics [b], NaN where a resample does not define one."""


class Estimate(BaseModel):
    """One metric with its interval, or why it is undefined.

    Attributes:
        value: None when the data do not define it.
        low: lower end of its 95 % interval; None when there is none.
        high: upper end.
        n: the examples it rests on: of a recall the class's examples, of a precision the
            predictions of the class, of an AUC the positive examples, otherwise all.
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


@dataclass(frozen=True, slots=True)
class Resampling:
    """How to compute intervals.

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
    """What a metric rests on.

    Attributes:
        n: how many examples.
        missing: why the metric is undefined, if it is.
    """

    n: int
    missing: str


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95 % interval of a metric, or why there is none."""

    low: float | None
    high: float | None
    reason: str | None = None


def estimates(
    statistics: Statistics,
    bases: Mapping[str, Basis],
    resampling: Resampling,
    fewest: int = 0,
) -> dict[str, Estimate]:
    """Return each metric with its 95 % interval.

    Args:
        statistics: computes the metrics under any weights.
        bases: what each of them rests on, by name.
        resampling: how to compute the intervals.
        fewest: metrics that rest on fewer examples get no value, and that as the reason.
    """
    values = statistics(np.ones((1, resampling.groups.size)))
    intervals = bootstrap(statistics, resampling.groups, resampling.seed, resampling.resamples)

    def estimate(name: str, basis: Basis) -> Estimate:
        value = float(values[name][0])
        reason = basis.missing if np.isnan(value) else None
        if basis.n < fewest:
            reason = f"only {pluralize(basis.n, 'example')}; below {fewest} no figure is given"
        if reason:
            return Estimate(value=None, low=None, high=None, n=basis.n, reason=reason)
        interval = intervals[name]
        return Estimate(
            value=value, low=interval.low, high=interval.high, n=basis.n, reason=interval.reason
        )

    return {name: estimate(name, basis) for name, basis in bases.items()}


def bootstrap(
    statistics: Statistics, groups: NDArray[Any], seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Return the 95 % interval of every statistic; the same seed gives the same intervals.

    Raises:
        MetricError: no resamples, or no examples.
    """
    if resamples < 1 or groups.ndim != 1 or groups.size == 0:
        raise MetricError("A bootstrap needs at least one example with a group, and one resample.")
    chunks: dict[str, list[FloatArray]] = {}
    for weights in resampled_weights(groups, resamples, np.random.default_rng(seed)):
        for name, values in statistics(weights).items():
            chunks.setdefault(name, []).append(values)
    return {name: percentile_interval(np.concatenate(values)) for name, values in chunks.items()}


def resampled_weights(
    groups: NDArray[Any], resamples: int, generator: np.random.Generator
) -> Iterator[FloatArray]:
    """Draw whole groups with replacement, as many as there are.

    Args:
        groups: shape [n], the group of each example (a lesion's name), any sortable type.
        resamples: how many resamples.
        generator: source of randomness; the same one gives the same weights.

    Yields:
        float64 [b, n], b at most `resamples`: how often each example was drawn.
    """
    names, places = np.unique(groups, return_inverse=True)
    chances = np.full(names.size, 1 / names.size)
    step = max(1, WEIGHTS_AT_ONCE // places.size)
    for start in range(0, resamples, step):
        draws = generator.multinomial(names.size, chances, size=min(step, resamples - start))
        yield draws[:, places].astype(np.float64)


def percentile_interval(values: FloatArray) -> Interval:
    """Return the middle 95 % of the values, [b], without NaN."""
    defined = values[~np.isnan(values)]
    if defined.size < LEAST_DEFINED_SHARE * values.size:
        missing = values.size - defined.size
        return Interval(
            None, None, f"too few lesions: undefined in {missing} of {values.size} resamples"
        )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return Interval(float(low), float(high))


def mean(
    values: FloatArray | BoolArray, weights: FloatArray, among: BoolArray | None = None
) -> FloatArray:
    """Average values [n] over all examples, or over those `among`, in each resample: [b].

    Args:
        values: of n examples.
        weights: how often each of b resamples holds each example, [b, n]; all ones give the value
            on the data themselves.
        among: the examples to average over, bool [n].

    Returns:
        NaN where a resample has none of them.
    """
    counted = np.ones(values.size) if among is None else among.astype(np.float64)
    return ratio(weights @ (values * counted), weights @ counted)


def ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Divide, with NaN where `whole` is not above 0."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def share_of(chosen: BoolArray, resampling: Resampling) -> Estimate:
    """Return the share of the examples that are chosen, bool [n], with its interval."""
    found = estimates(
        lambda weights: {"share": mean(chosen, weights)},
        {"share": Basis(chosen.size, "")},
        resampling,
    )
    return found["share"]
