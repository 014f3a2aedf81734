"""A figure and its interval from one and the same function, so that they cannot disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lentigo_trainer.intervals import RESAMPLES, Figure, Statistics, bootstrap

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


def measured(
    statistics: Statistics,
    bases: Mapping[str, Basis],
    resampling: Resampling,
    fewest: int = 0,
) -> dict[str, Figure]:
    """Give each figure its value and its 95 % interval.

    Args:
        statistics: gives the figures for any weights.
        bases: what each of them rests on, by its name.
        resampling: how to make the intervals.
        fewest: figures that rest on fewer examples are left out, with that as the reason.
    """
    values = statistics(np.ones((1, resampling.groups.size)))
    intervals = bootstrap(statistics, resampling.groups, resampling.seed, resampling.resamples)

    def figure(name: str, basis: Basis) -> Figure:
        value = float(values[name][0])
        reason = basis.missing if np.isnan(value) else None
        if basis.n < fewest:
            reason = f"only {basis.n} examples; below {fewest} no figure is given"
        if reason:
            return Figure(value=None, low=None, high=None, n=basis.n, reason=reason)
        interval = intervals[name]
        return Figure(
            value=value, low=interval.low, high=interval.high, n=basis.n, reason=interval.reason
        )

    return {name: figure(name, basis) for name, basis in bases.items()}
