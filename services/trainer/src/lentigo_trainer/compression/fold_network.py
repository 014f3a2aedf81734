"""The network that is compressed: that of one fold, trained here or taken from a checkpoint."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.errors import TrainingError, WorkFolderError
from lentigo_trainer.models.classifier import Network
from lentigo_trainer.training.loop import Examples, cross_entropy, finished_epochs, logits_of

_RECORD: Final = "run.json"

_TOLERANCE: Final = 0.005
_TOLERANCE_IN_BFLOAT16: Final = 0.02
"""By how much the loss may differ from what the checkpoint says, relative: another processor rounds
in another way, and a training in bfloat16 much more. Networks of other folds are further away."""


def load_checkpoint_average(
    network: Network, file: Path, recipe: Recipe, held_out: Examples, fold: int
) -> None:
    """Give a network the moving average of the weights in a fold's checkpoint.

    The checkpoint says which validation loss the network had on its fold. The loaded network must
    have the same on this fold, so one that learnt from these images is not taken.

    Args:
        network: built by the recipe; changed in place.
        file: `checkpoint.npz` of a fold, after its last epoch.
        recipe: that it was trained by.
        held_out: the images of the fold.
        fold: its number.

    Raises:
        TrainingError: the file is missing or damaged, has another network, has not reached its last
            epoch, or is of another fold.
    """
    if not file.is_file():
        raise TrainingError(f"There is no {file}. Name the checkpoint.npz of a fold.")
    named = re.fullmatch(r"fold_(\d+)", file.absolute().parent.name)
    if named and int(named[1]) != fold:
        raise TrainingError(
            f"{file} is of fold {named[1]}, and the images are those of fold {fold}, which it "
            f"learnt from. Use --fold {named[1]}."
        )
    history = finished_epochs(file)
    if not history or history[-1].epoch != recipe.epochs:
        done = history[-1].epoch if history else 0
        raise TrainingError(
            f"{file} has {done} of the {recipe.epochs} epochs of {recipe.name}. Finish that run, "
            "or name the recipe that it was trained by."
        )
    _set_average(network, file, recipe)
    logits = logits_of(network.head, held_out.features, len(held_out.labels))
    found, expected = cross_entropy(logits, held_out.labels), history[-1].validation_loss
    settings = recipe.fine_tuning
    tolerance = _TOLERANCE_IN_BFLOAT16 if settings and settings.bfloat16 else _TOLERANCE
    if not abs(found - expected) <= tolerance * max(abs(expected), 0.1):
        raise TrainingError(
            f"{file} had a validation loss of {expected:.4f}, and has {found:.4f} on the images of "
            f"fold {fold}: it is of another fold, another --limit or other images. Name that "
            "fold's checkpoint, or leave --network out to train the network."
        )


def require_record(file: Path) -> None:
    """Check that a checkpoint has a `run.json` beside it, which says what trained it.

    Raises:
        TrainingError: it has none, so a version made of it could not name its training images.
    """
    if not (file.parent / _RECORD).is_file():
        raise TrainingError(
            f"There is no {file.parent / _RECORD}, so it is not known which images trained {file}. "
            "Copy it from the folder of that fold too, or leave --network out to train the "
            "network."
        )


def require_same_run(file: Path, expected: dict[str, Any]) -> None:
    """Check the `run.json` beside a checkpoint, if it is there, against what a run should be.

    Args:
        file: the checkpoint.
        expected: some of its values.

    Raises:
        WorkFolderError: it was made by another recipe or from other images.
    """
    try:
        found = json.loads((file.parent / _RECORD).read_text())
    except (OSError, ValueError):
        return
    differing = [key for key, value in expected.items() if found.get(key) != value]
    if differing:
        raise WorkFolderError(
            f"{file} was made with another {', '.join(differing)}. Name the recipe, the data and "
            "every --extra of that run, or leave --network out."
        )


def _set_average(network: Network, file: Path, recipe: Recipe) -> None:
    variables, weights = network.head.variables, network.head.weights
    try:
        with np.load(io.BytesIO(file.read_bytes())) as arrays:
            count = sum(name.startswith("v") for name in arrays.files)
            # The weights come first, and their moving average last; see `fine_tuning.fine_tune`.
            first, last = (
                [arrays[f"v{number}"] for number in range(start, start + len(group))]
                for start, group in ((0, variables), (count - len(weights), weights))
            )
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _of_another_network(file, recipe) from error
    if not (_fit(first, variables) and _fit(last, weights)):
        raise _of_another_network(file, recipe)
    for variable, value in zip(weights, last, strict=True):
        variable.assign(value)


def _fit(values: list[npt.NDArray[Any]], variables: list[Any]) -> bool:
    return [each.shape for each in values] == [tuple(each.shape) for each in variables]


def _of_another_network(file: Path, recipe: Recipe) -> TrainingError:
    return TrainingError(
        f"{file} does not hold the network of the recipe {recipe.name or recipe.architecture} "
        f"({recipe.architecture}). Name the recipe that it was trained by."
    )
