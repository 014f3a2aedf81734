"""The folder of one run: who made it, and the metrics of its epochs.

A run keeps its features, checkpoint and results in a folder of its own. `run.json` says which
recipe, seed and data they come from, so that a run resumes only what is its own.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.system.storage import write_whole

_IDENTITY: Final = "run.json"
_HISTORY: Final = "history.json"


@dataclass(frozen=True, slots=True)
class EpochMetrics:
    """Metrics of one epoch; accuracies are shares 0..1, losses are cross-entropies in nats.

    Training metrics are taken during training, with augmentation and dropout, so they can be worse
    than the validation metrics.

    Attributes:
        epoch: counted from 1.
        accuracy: on the training rows.
        loss: on the training rows.
        validation_accuracy: on the validation images.
        validation_loss: on the validation images.
        seconds: duration of the epoch, including its evaluation.
        validation_balanced_accuracy: mean recall of the classes on the validation images; None if
            a run does not compute it.
    """

    epoch: int
    accuracy: float
    loss: float
    validation_accuracy: float
    validation_loss: float
    seconds: float
    validation_balanced_accuracy: float | None = None

    def row(self) -> dict[str, float]:
        """Return the metrics that were computed, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def line(self) -> str:
        """Return the metrics as one line of text."""
        balanced = self.validation_balanced_accuracy
        return (
            f"Epoch {self.epoch}: loss {self.loss:.4f}, accuracy {self.accuracy:.4f}; "
            f"validation loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.4f}"
            + ("" if balanced is None else f", balanced accuracy {balanced:.4f}")
        )


def identity_of(
    config: TrainingConfig, dataset: str, backbone: str, extra: Sequence[str] = ()
) -> dict[str, object]:
    """Return what a run's results depend on; another identity needs another folder.

    Args:
        config: how to train.
        dataset: digest of the prepared images.
        backbone: digest of the layers that the run starts from, and their values.
        extra: digests of the imported sets that it trains with.
    """
    return {
        "recipe": config.recipe.model_dump(mode="json"),
        "seed": config.seed,
        "limit": config.limit,
        "dataset": dataset,
        # The key of older versions, so that their runs resume.
        "trunk": backbone,
        # None without any, as in the folders of older versions, which lack the key.
        "extra": list(extra) or None,
    }


def adopt(folder: Path, identity: dict[str, object]) -> None:
    """Write a run's identity into its folder, or check the one that is there.

    Raises:
        WorkFolderError: the folder was made by another recipe, seed or limit, or from other images
            or weights; the message names which.
    """
    path = folder / _IDENTITY
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        write_whole(path, lambda file: file.write(json.dumps(identity, indent=2).encode()))
        return
    except (OSError, ValueError) as error:
        raise _damaged(path) from error
    if not isinstance(found, dict):
        raise _damaged(path)
    found["recipe"] = _with_current_keys(found.get("recipe"))
    differing = [key for key, value in identity.items() if found.get(key) != value]
    if differing:
        raise WorkFolderError(
            f"{folder} was made with another {', '.join(differing)}. Choose another --work, "
            "or delete that folder to start again."
        )


def keep_history(folder: Path, history: tuple[EpochMetrics, ...]) -> None:
    """Write the metrics of every epoch beside the run's other results.

    Raises:
        StorageError: the disk is full or not writable.
    """
    rows = [epoch.row() for epoch in history]
    write_whole(folder / _HISTORY, lambda file: file.write(json.dumps(rows, indent=2).encode()))


def _with_current_keys(recipe: object) -> object:
    """Return a kept recipe with today's names of its keys; anything else as it is."""
    try:
        return Recipe.model_validate_json(json.dumps(recipe)).model_dump(mode="json")
    except ValidationError:
        return recipe


def _damaged(path: Path) -> WorkFolderError:
    return WorkFolderError(f"{path} is damaged. Delete {path.parent} to start again.")
