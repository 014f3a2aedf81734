"""Options that several commands of `lentigo-train` share."""

from pathlib import Path
from typing import Annotated

import typer

SourceOption = Annotated[
    Path,
    typer.Option(
        help="Folder with HAM10000: HAM10000_metadata.csv and HAM10000_images_part_1 and _2, "
        "as .zip archives or unpacked.",
    ),
]
WorkOption = Annotated[
    Path,
    typer.Option(help="Folder for what is finished. All of HAM10000 needs about 10 GB."),
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
        "and network. Such a model is worth nothing.",
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
        help="Epochs, in place of the recipe's; a longer cooldown shrinks to fit.",
        show_default="the recipe's",
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        min=50,
        help="Train on about this many images, for a quick run through every step. "
        "Such a model is worth nothing.",
        show_default="all",
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
