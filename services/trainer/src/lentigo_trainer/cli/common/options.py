"""Options that several commands of `lentigo-train` share, and how each is read."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lentigo_contract.system.resources import available_cores
from lentigo_trainer.config.cluster import read_cluster
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import default_recipe, read_recipe
from lentigo_trainer.config.training import TrainingConfig, WorkFolder
from lentigo_trainer.models.architecture import Weights
from lentigo_trainer.system.progress import Progress

if TYPE_CHECKING:
    from lentigo_trainer.data.dataset import Prepared
    from lentigo_trainer.system.ray_cluster import RayCluster


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
        help="Folder with ImageNet weights under the names of their publishers, such as "
        "mobilenet_1_0_224_tf_no_top.h5. Those of the default recipe come with the trainer; "
        "without a folder, Keras downloads others.",
        show_default="installed or downloaded",
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
TeacherOption = Annotated[
    Path | None,
    typer.Option(
        help="File of out-of-fold answers whose networks teach, for a recipe with "
        "fine_tuning.teacher_share.",
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
RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Train on the Ray cluster at this address, such as 10.0.0.1:6379, which `ray start` "
        "prints. --work and the weights must lie on a file system that every node shares.",
        show_default="this machine",
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


def require_alone() -> None:
    """Check that this process is not one of several workers of one training.

    Raises:
        ClusterError: `TF_CONFIG` is not valid.
        typer.BadParameter: it names others.
    """
    if read_cluster(os.environ) is not None:
        raise typer.BadParameter(
            "TF_CONFIG is for one training on several machines, by `run` or `fit`. Unset it; many "
            "trainings share machines by --ray."
        )


@contextmanager
def cluster_at(
    address: str, work: Path, weights: Weights, extra: Sequence[Path], progress: Progress
) -> "Iterator[RayCluster]":
    """Connect to a Ray cluster whose nodes see what a training reads; see `ray_cluster`."""
    from lentigo_trainer.system.ray_cluster import connected_cluster  # noqa: PLC0415 - see cli

    read = [weights, *extra] if isinstance(weights, Path) else list(extra)
    with connected_cluster(address, work, read, progress) as cluster:
        yield cluster


def absolute(config: TrainingConfig, cores: int) -> TrainingConfig:
    """Return a configuration that means the same on every node of a cluster.

    Args:
        config: of this machine.
        cores: that a task has there.
    """
    weights = config.weights
    return replace(
        config,
        work=WorkFolder(config.work.root.absolute()),
        weights=weights.absolute() if isinstance(weights, Path) else weights,
        extra=tuple(folder.absolute() for folder in config.extra),
        cores=cores,
    )


def prepared_from(source: Path, work: Path, progress: Progress) -> "Prepared":
    """Decode the data set, or open what an earlier command decoded."""
    from lentigo_trainer.data.dataset import prepare  # noqa: PLC0415 - pandas takes a second to load
    from lentigo_trainer.data.ham10000 import find_source  # noqa: PLC0415 - pandas takes a second

    return prepare(find_source(source), work / "prepared", available_cores(), progress)
