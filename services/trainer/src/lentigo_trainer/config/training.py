"""What one run is told, as values that are passed in."""

from dataclasses import dataclass
from pathlib import Path

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.models.registry import Weights


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Where a run keeps what it has finished, so that the same command goes on from there."""

    root: Path

    @property
    def prepared(self) -> Path:
        """The decoded images, shared by every recipe."""
        return self.root / "prepared"

    def run(self, recipe: Recipe) -> Path:
        """Everything that depends on the recipe."""
        return self.root / (recipe.name or recipe.architecture)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Attributes:
        work: where finished steps are kept.
        recipe: what to train and how.
        weights: where the frozen part's values come from.
        seed: of the plan, the head's first values, shuffling and dropout.
        limit: about how many images to use in all; None for all of them.
        cores: how many to use.
    """

    work: WorkFolder
    recipe: Recipe
    weights: Weights
    seed: int
    limit: int | None
    cores: int
