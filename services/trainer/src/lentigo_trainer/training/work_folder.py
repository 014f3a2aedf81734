"""The folder of one run: made by one recipe on one data set."""

import json
from pathlib import Path
from typing import Final

from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.errors import WorkFolderError
from lentigo_trainer.system.storage import write_whole
from lentigo_trainer.training.loop import EpochMetrics

_IDENTITY: Final = "run.json"
_HISTORY: Final = "history.json"


def identity_of(config: TrainingConfig, dataset: str, trunk: str) -> dict[str, object]:
    """What a run's results depend on; another identity needs another folder.

    Args:
        config: how to train.
        dataset: digest of the prepared images.
        trunk: digest of the frozen network and its values.
    """
    return {
        "recipe": config.recipe.model_dump(mode="json"),
        "seed": config.seed,
        "limit": config.limit,
        "dataset": dataset,
        "trunk": trunk,
    }


def adopt(folder: Path, identity: dict[str, object]) -> None:
    """Make a folder this run's, or check that it is.

    Raises:
        WorkFolderError: it was made by another recipe, seed or limit, or from other images or
            weights; the message names which.
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
    differing = [key for key, value in identity.items() if found.get(key) != value]
    if differing:
        raise WorkFolderError(
            f"{folder} was made with another {', '.join(differing)}. Choose another --work, "
            "or delete that folder to start again."
        )


def _damaged(path: Path) -> WorkFolderError:
    return WorkFolderError(f"{path} is damaged. Delete {path.parent} to start again.")


def keep_history(folder: Path, history: tuple[EpochMetrics, ...]) -> None:
    """Write every epoch's figures beside the run's other results."""
    rows = [epoch.row() for epoch in history]
    write_whole(folder / _HISTORY, lambda file: file.write(json.dumps(rows, indent=2).encode()))
