"""Seeds of a self-generating forest, chosen by a genetic algorithm, and how many there are.

The fitness of a set of seeds is the SD index of the clusters that its nearest seeds make. Xie and
Bovik measure the grown forest's; that would grow some hundred forests for each image, so here the
forest is grown once for each number of trees, from the best seeds. Their population and rates are
not in the abstract; ours are below.
"""

import random
from typing import Final

import numpy as np
from deap import algorithms, base, tools

from lentigo_trainer.segmentation.self_generating import (
    Forest,
    Numbers,
    Samples,
    Weights,
    grow_forest,
    scatter,
    separation,
)
from lentigo_trainer.system.genetic import Individual, seeded

POPULATION: Final = 16
GENERATIONS: Final = 6
_CROSSOVER: Final = 0.6
_MUTATION: Final = 0.4
_GENE: Final = 0.3
"""Chance of a gene to be exchanged or changed, once its individual is."""


def best_forest(
    samples: Samples, weights: Weights, counts: tuple[int, ...], seed: int = 0
) -> Forest | None:
    """Grow a forest for each number of trees, and return the one with the smallest SD index.

    Args:
        samples: the points, [n, dimensions].
        weights: how often each occurs, [n].
        counts: numbers of trees to try, ascending, each at least 2.
        seed: of the genetic algorithm; the same seed gives the same forest.

    Returns:
        None where no number of trees makes as many clusters, as with fewer samples than trees: the
        search found nothing.
    """
    forests = []
    for count in counts:
        if len(samples) < count:
            continue
        forest = grow_forest(samples, weights, evolve_seeds(samples, weights, count, seed))
        spread, means = scatter(samples, weights, forest.sample_tree, count)
        forests.append((spread, separation(means), forest))
    # Scatter counts as much as the separation of the most clusters does (Halkidi et al. 2000).
    found = [each for each in forests if np.isfinite(each[0]) and np.isfinite(each[1])]
    if not found:
        return None
    factor = found[-1][1]
    return min(found, key=lambda each: factor * each[0] + each[1])[2]


def evolve_seeds(samples: Samples, weights: Weights, count: int, seed: int) -> Numbers:
    """Search for samples that make good seeds.

    Args:
        samples: the points, [n, dimensions], n at least `count`.
        weights: how often each occurs; a frequent sample is drawn more often.
        count: number of seeds.
        seed: the same seed gives the same result.

    Returns:
        `count` different numbers of samples, ascending.
    """
    numbers = range(len(samples))
    chances = weights.tolist()
    toolbox = base.Toolbox()
    toolbox.register("clone", Individual.copy)
    toolbox.register("evaluate", lambda genes: (_index(samples, weights, np.array(genes)),))
    toolbox.register("mate", tools.cxUniform, indpb=_GENE)
    toolbox.register("mutate", tools.mutUniformInt, low=0, up=len(samples) - 1, indpb=_GENE)
    toolbox.register("select", tools.selTournament, tournsize=3)
    best = tools.HallOfFame(1)
    with seeded(seed):
        population = [
            Individual(random.choices(numbers, chances, k=count))  # noqa: S311 - no secret
            for _ in range(POPULATION)
        ]
        algorithms.eaSimple(
            population, toolbox, _CROSSOVER, _MUTATION, GENERATIONS, halloffame=best, verbose=False
        )
    found = np.unique(best[0])
    # A search that found nothing has twins among its seeds; the most frequent samples fill up.
    others = np.argsort(-weights, kind="stable")
    return np.sort(np.concatenate([found, others[~np.isin(others, found)][: count - len(found)]]))


def _index(samples: Samples, weights: Weights, seeds: Numbers) -> float:
    if len(np.unique(seeds)) < len(seeds):
        return np.inf
    away = ((samples[:, None] - samples[seeds][None]) ** 2).sum(axis=2)
    spread, means = scatter(samples, weights, away.argmin(axis=1), len(seeds))
    return spread + separation(means)
