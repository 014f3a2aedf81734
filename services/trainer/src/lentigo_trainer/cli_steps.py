"""What several commands of `lentigo-train` do with their options."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lentigo_contract.system.resources import available_cores
from lentigo_trainer.config.recipe import Recipe, own_recipe, read_recipe
from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.models.registry import Weights
from lentigo_trainer.system.progress import Progress

if TYPE_CHECKING:
    from lentigo_trainer.data.dataset import Prepared


def recipe_from(path: Path | None, epochs: int | None) -> Recipe:
    """Read a recipe, or take Lentigo's own, and change its epochs if asked to."""
    recipe = own_recipe() if path is None else read_recipe(path)
    return recipe if epochs is None else recipe.for_epochs(epochs)


def weights_from(folder: Path | None, random: bool) -> Weights:
    """Say where the frozen values come from.

    Raises:
        typer.BadParameter: two places were given.
    """
    if random and folder is not None:
        raise typer.BadParameter("Give either --random-weights or --weights-dir, not both.")
    return "random" if random else folder or "imagenet"


def prepared_from(source: Path, work: Path, progress: Progress) -> "Prepared":
    """Decode the data set, or open what an earlier command decoded."""
    from lentigo_trainer.data.dataset import prepare  # noqa: PLC0415 - pandas takes a second to load

    return prepare(find_source(source), work / "prepared", available_cores(), progress)
