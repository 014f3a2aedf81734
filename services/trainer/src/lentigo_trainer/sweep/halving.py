"""Successive halving: which variants of a sweep go on, and to which epoch.

All variants train for a few epochs; one in `reduction` goes on, with `reduction` times as many, and
so on to the end (Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", AISTATS 2016). The base goes on in any case: the others are compared with it.
"""

import math
from collections.abc import Mapping, Sequence

from lentigo_trainer.config.sweep_file import BASE, Sweep
from lentigo_trainer.errors import RecipeError


def rungs(epochs: int, first: int, reduction: int) -> tuple[int, ...]:
    """Return the epochs after which variants are compared; the last is the end of the recipe.

    Args:
        epochs: of the recipe.
        first: of the first comparison.
        reduction: by how much each is later than the one before.
    """
    found = []
    at = first
    while at < epochs:
        found.append(at)
        at *= reduction
    return (*found, epochs)


def epochs_at(rung: int, whole: int, epochs: int) -> int:
    """Return how far a variant of another length trains for a rung.

    Args:
        rung: an epoch of the base recipe.
        whole: epochs of the base recipe.
        epochs: of the variant.
    """
    return math.ceil(epochs * rung / whole)


def going_on(scores: Mapping[str, float], reduction: int) -> tuple[str, ...]:
    """Return the variants that go on, in the order of `scores`.

    Args:
        scores: of each variant that has not failed; higher is better. Among equals the earlier
            ones go on.
        reduction: one in so many does, at least one, and the base.
    """
    count = math.ceil(len(scores) / reduction)
    best = sorted(scores, key=lambda name: -scores[name])[:count]
    return tuple(name for name in scores if name in best or name == BASE)


def most_epochs(sweep: Sweep, folds: int) -> int:
    """Return how many epochs a sweep trains at most, over all variants and folds."""
    lengths = {variant.name: variant.recipe.epochs for variant in sweep.variants}
    whole, left, total = lengths[BASE], list(lengths), 0
    before = 0
    for rung in rungs(whole, sweep.first_epochs, sweep.reduction):
        # The longest are taken to go on, and the base besides, so the sum is a bound.
        total += sum(
            epochs_at(rung, whole, lengths[name]) - epochs_at(before, whole, lengths[name])
            for name in left
        )
        others = {name: float(lengths[name]) for name in left if name != BASE}
        count = math.ceil(len(left) / sweep.reduction)
        left = [BASE, *sorted(others, key=lambda name: -others[name])[:count]]
        before = rung
    return total * folds


def require_budget(sweep: Sweep, folds: int) -> None:
    """Check that a sweep keeps to its budget.

    Raises:
        RecipeError: it may need more epochs.
    """
    needed = most_epochs(sweep, folds)
    if sweep.budget_epochs is not None and needed > sweep.budget_epochs:
        raise RecipeError(
            f"The sweep {sweep.name} trains up to {needed:,} epochs over all variants and folds, "
            f"its budget_epochs are {sweep.budget_epochs:,}. Take out variants, lower first_epochs "
            "or raise reduction, or raise the budget."
        )


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return math.fsum(values) / len(values)
