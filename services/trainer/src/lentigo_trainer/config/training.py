"""The configuration of one run, as values that are passed in."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.models.architecture import Weights


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Where runs keep what is finished, so that the same command resumes from there."""

    root: Path

    @property
    def prepared(self) -> Path:
        """Folder of the decoded images, shared by all recipes."""
        return self.root / "prepared"

    def run(self, recipe: Recipe) -> Path:
        """Return the folder for everything that depends on a recipe."""
        return self.root / (recipe.name or recipe.architecture)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Attributes:
        work: where finished steps are kept.
        recipe: what to train and how.
        weights: where the pretrained weights come from.
        seed: of the plan, random initial weights, shuffling, augmentation and dropout.
        limit: about how many images to use in all; None for all of them.
        cores: number of processor cores to use.
        extra: folders of imported sets to train with besides.
        out_of_fold: a file of out-of-fold answers to use in place of training the folds; None to
            train them.
        teacher: a file of out-of-fold answers, for a recipe with a teacher; None without one.
        pause_after: the epoch after which to leave the rest for later; None to train to the end.
    """

    work: WorkFolder
    recipe: Recipe
    weights: Weights
    seed: int
    limit: int | None
    cores: int
    extra: tuple[Path, ...] = ()
    out_of_fold: Path | None = None
    teacher: Path | None = None
    pause_after: int | None = None


class SelectionMetric(StrEnum):
    """A figure of an evaluation on the validation images; higher is better."""

    ACCURACY = "accuracy"
    BALANCED_ACCURACY = "balanced_accuracy"
