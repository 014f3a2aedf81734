"""The folder of one run: who made it, and the metrics of its epochs.

A run keeps its features, checkpoint and results in a folder of its own. `run.json` says which
recipe, seed, data, code and arithmetic they come from, so that a run resumes only what is its own.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from lentigo_trainer import __version__
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.system.storage import write_whole

_IDENTITY: Final = "run.json"
_HISTORY: Final = "history.json"

_NAMES: Final = {"tensorflow": "TensorFlow", "code_version": "code version"}

_CHOOSE_ANOTHER: Final = "Choose another --work, or delete that folder to start again."


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


@dataclass(frozen=True, slots=True)
class Computation:
    """What computes a run: other code, another runtime or coarser numbers give other results.

    Attributes:
        tensorflow: its version.
        arithmetic: in which the training and the pass through frozen layers compute on this
            machine, whatever the recipe allows.
        code_version: of this package.
    """

    tensorflow: str
    arithmetic: Literal["float32", "bfloat16"]
    code_version: str = __version__


def identity_of(
    config: TrainingConfig,
    dataset: str,
    backbone: str,
    computation: Computation,
    extra: Sequence[str] = (),
    teacher: str | None = None,
) -> dict[str, object]:
    """Return what a run's results depend on; another identity needs another folder.

    Args:
        config: how to train.
        dataset: digest of the prepared images.
        backbone: digest of the layers that the run starts from, and their values.
        computation: what computes it.
        extra: digests of the imported sets that it trains with.
        teacher: digest of a teacher's answers, if it has one.
    """
    return {
        "recipe": config.recipe.model_dump(mode="json"),
        "seed": config.seed,
        "limit": config.limit,
        "dataset": dataset,
        "backbone": backbone,
        # None without any, as in folders that lack these keys.
        "extra": list(extra) or None,
        "teacher": teacher,
        **asdict(computation),
    }


def adopt(folder: Path, identity: dict[str, object]) -> None:
    """Write a run's identity into its folder, or check the one that is there.

    Folders of releases that did not write down what computes a run are refused as well: it cannot
    be told whether their epochs and features are the same as this machine's.

    Raises:
        WorkFolderError: the folder was made by another recipe, seed or limit, from other images or
            weights, or by another computation; the message names which.
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
    if "code_version" not in found:
        raise WorkFolderError(
            f"{folder} was made by an older release, which did not write down its code version, "
            "TensorFlow version and arithmetic. `lentigo-train publish` still publishes what has "
            f"finished there. {_CHOOSE_ANOTHER}"
        )
    differing = [
        _difference(key, found.get(key), value)
        for key, value in identity.items()
        if found.get(key) != value
    ]
    if differing:
        raise WorkFolderError(
            f"{folder} was made with another {', '.join(differing)}. {_CHOOSE_ANOTHER}"
        )


def _difference(key: str, found: object, wanted: object) -> str:
    """Name what differs, and both values of what is no more than a word."""
    if key not in Computation.__dataclass_fields__:
        return key
    return f"{_NAMES.get(key, key)} ({found}, now {wanted})"


def keep_history(folder: Path, history: tuple[EpochMetrics, ...]) -> None:
    """Write the metrics of every epoch beside the run's other results.

    Raises:
        StorageError: the disk is full or not writable.
    """
    rows = [epoch.row() for epoch in history]
    write_whole(folder / _HISTORY, lambda file: file.write(json.dumps(rows, indent=2).encode()))


def kept_history(folder: Path) -> tuple[EpochMetrics, ...]:
    """Read what `keep_history` wrote; nothing if it wrote nothing.

    Raises:
        WorkFolderError: the file is damaged.
    """
    path = folder / _HISTORY
    try:
        return tuple(EpochMetrics(**row) for row in json.loads(path.read_text()))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> WorkFolderError:
    return WorkFolderError(f"{path} is damaged. Delete {path.parent} to start again.")
