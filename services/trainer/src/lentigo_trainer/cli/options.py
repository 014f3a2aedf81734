"""Options that several commands of `lentigo-train` share, and how each is read."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lentigo_contract.system.resources import available_cores
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import default_recipe, read_recipe
from lentigo_trainer.models.registry import Weights
from lentigo_trainer.system.progress import Progress

if TYPE_CHECKING:
    from lentigo_trainer.data.dataset import Prepared


SourceOption = Annotated[
    Path,
    typer.Option(
        help="Folder with HAM10000: HAM10000_metadata.csv and HAM10000_images_part_1 and _2, "
        "as .zip archives or unpacked.",
    ),
]
WorkOption = Annotated[
    Path,
    typer.Option(help="Folder for finished work. All of HAM10000 needs about 10 GB."),
]
ModelsOption = Annotated[
    Path, typer.Option(help="Model repository to publish into; the service watches it.")
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with ImageNet weights under Keras' own file names, such as "
        "mobilenet_1_0_224_tf_no_top.h5. Without it Keras downloads them.",
        show_default="Keras downloads",
    ),
]
RandomWeightsOption = Annotated[
    bool,
    typer.Option(
        "--random-weights",
        help="Start from random values instead of ImageNet's, for a smoke test without weights "
        "and without network. Such a model is worth nothing.",
    ),
]
RecipeOption = Annotated[
    Path | None,
    typer.Option(help="Recipe, such as recipes/paper.toml.", show_default="Lentigo's own"),
]
EpochsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1_000,
        help="Epochs, in place of the recipe's; its stages and warm-up are scaled.",
        show_default="the recipe's",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        min=50,
        help="Train on about this many images, for a quick run through every step. "
        "Such a model is worth nothing, and is published only with --force.",
        show_default="all",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=256, help="Processes that look at images.", show_default="one for each core"
    ),
]
ExtraOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of an imported set, see `lentigo-train import`: also train with its training "
        "part; may be given several times.",
        show_default=False,
    ),
]
OutOfFoldOption = Annotated[
    Path | None,
    typer.Option(
        help="File of out-of-fold answers, from `fit --folds-only` by the same recipe: use them "
        "and train no fold.",
        show_default=False,
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Publish even if the run was trained with --limit or a version in --models is "
        "better. The version then says that it was forced, and why.",
    ),
]
SignOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Sign the version with this private key, by OpenSSF Model Signing: on the curve "
        "P-256, P-384 or P-521, in PEM, and only its user may read it.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**31 - 1,
        help="The same seed, recipe, processor and number of cores give the same model.",
    ),
]


def recipe_from(path: Path | None, epochs: int | None) -> Recipe:
    """Read a recipe, or take Lentigo's own, and change its epochs if asked to."""
    recipe = default_recipe() if path is None else read_recipe(path)
    return recipe if epochs is None else recipe.for_epochs(epochs)


def weights_from(folder: Path | None, random: bool) -> Weights:
    """Return where the frozen values come from.

    Raises:
        typer.BadParameter: two places were given.
    """
    if random and folder is not None:
        raise typer.BadParameter("Give either --random-weights or --weights-dir, not both.")
    return "random" if random else folder or "imagenet"


def prepared_from(source: Path, work: Path, progress: Progress) -> "Prepared":
    """Decode the data set, or open what an earlier command decoded."""
    from lentigo_trainer.data.dataset import prepare  # noqa: PLC0415 - pandas takes a second to load
    from lentigo_trainer.data.ham10000 import find_source  # noqa: PLC0415 - pandas takes a second

    return prepare(find_source(source), work / "prepared", available_cores(), progress)
