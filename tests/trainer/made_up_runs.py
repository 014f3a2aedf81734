"""Made-up data and configurations for tests that train in seconds."""

from pathlib import Path

from lentigo_trainer.config.fine_tuning import FineTuning, Stage
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.data.dataset import Prepared, prepare
from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.system.progress import SilentProgress
from tests.fakes import synthetic_ham10000


def prepared_images(folder: Path) -> Prepared:
    """Prepare a synthetic HAM10000 of twelve images for each diagnosis."""
    source = synthetic_ham10000(folder / "ham", 12, "folders", size=(64, 48))
    return prepare(find_source(source), folder / "prepared", 1, SilentProgress())


def run_of(recipe: Recipe, work: Path) -> TrainingConfig:
    """Configure a run from random weights."""
    return TrainingConfig(WorkFolder(work), recipe, "random", seed=0, limit=None, cores=1)


def folded(small_epochs: int) -> Recipe:
    """Return a recipe with two folds and two epochs, some of them on images of 32 pixels."""
    stages = (Stage(side=32, epochs=small_epochs),)
    return Recipe(
        name="folded",
        folds=2,
        epochs=2,
        batch_size=8,
        fine_tuning=FineTuning(images_per_epoch=16, stages=stages),
    )
