"""Figures with their 95 % intervals: shares, means of shares, and distances of distributions.

Each is in closed form and holds for few examples too. Examples count as independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FEWEST: Final = 10
"""Examples below which a share is not given; evaluation reports have the same bound."""

_MISSED: Final = 0.05
_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        value: None where too few examples were measured.
        low: lower end of the interval; None without a value.
        high: upper end.
        n: the examples that it rests on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def not_measured(n: int = 0) -> Estimate:
    """Return a figure that n examples are too few for."""
    return Estimate(None, None, None, n)


def share(part: int, n: int, fewest: int = FEWEST) -> Estimate:
    """Return the share that `part` is of n, with Wilson's score interval.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (JASA 22, 1927).
    It is also right at 0 and at 1.

    Args:
        part: 0 to n.
        n: examples.
        fewest: examples below which there is no figure; at least 1.
    """
    if n < fewest:
        return not_measured(n)
    value = part / n
    centre = (part + _Z**2 / 2) / (n + _Z**2)
    half = _Z / (n + _Z**2) * math.sqrt(part * (1 - value) + _Z**2 / 4)
    return Estimate(
        value, max(0.0, min(centre - half, value)), min(1.0, max(centre + half, value)), n
    )


def mean_of(shares: Sequence[Estimate]) -> Estimate:
    """Return the mean of independent shares, of at least two; without them it is not measured.

    The interval is recovered from those of the shares: Zou and Donner, "Construction of confidence
    limits about effect measures: a general approach" (Statistics in Medicine 27, 2008).
    """
    n = sum(each.n for each in shares)
    known = [
        (each.value, each.value - each.low, each.high - each.value)
        for each in shares
        if each.value is not None and each.low is not None and each.high is not None
    ]
    if len(known) < max(2, len(shares)):
        return not_measured(n)
    values, below, above = zip(*known, strict=True)
    mean = sum(values) / len(known)
    return Estimate(
        mean, mean - math.hypot(*below) / len(known), mean + math.hypot(*above) / len(known), n
    )


def distance(value: float, n: int, reference: int, outcomes: int = 2) -> Estimate:
    """Return the distance of two empirical distributions, with an interval for the true one.

    Of Kolmogorov and Smirnov's distance: Massart, "The Tight Constant in the
    Dvoretzky-Kiefer-Wolfowitz Inequality" (Annals of Probability 18, 1990). Of the total variation
    distance: Weissman et al., "Inequalities for the L1 Deviation of the Empirical Distribution" (HP
    Labs, 2003). Both hold for one sample, whatever is distributed how, and become the same form.
    For the second sample n is replaced as in the two-sample test, which is an approximation.

    Args:
        value: the distance that was found, 0 to 1.
        n: examples of one distribution.
        reference: examples of the other.
        outcomes: kinds of outcomes for the total variation distance; 2 for the other.
    """
    events = 2**outcomes - 2
    half = math.sqrt(math.log(events / _MISSED) / 2 * (1 / n + 1 / reference))
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), n)
