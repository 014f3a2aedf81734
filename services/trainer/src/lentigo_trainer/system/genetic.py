"""DEAP's genetic algorithm without its global state.

DEAP (Fortin et al., "DEAP: Evolutionary algorithms made easy", JMLR 13, 2012) makes its types at
run time and draws from Python's global source of randomness. Here the types are classes, and the
source is put back afterwards, so that the same seed gives the same result whatever ran before.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deap import base


class LowestFitness(base.Fitness):  # type: ignore[misc]  # DEAP has no types
    """One number to be minimised."""

    weights = (-1.0,)


class Individual(list[Any]):
    """The genes of one candidate, with its fitness."""

    def __init__(self, genes: list[Any]) -> None:
        super().__init__(genes)
        self.fitness = LowestFitness()

    def copy(self) -> "Individual":
        """Return the same genes with the same fitness; DEAP's own deep copy is slow."""
        twin = Individual(self)
        twin.fitness.values = self.fitness.values
        return twin


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let Python's global randomness start from a seed, and put it back afterwards."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
