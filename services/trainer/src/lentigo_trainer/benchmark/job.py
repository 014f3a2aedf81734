"""One architecture of a benchmark: its recipe, and the result that the work folder keeps.

It loads no TensorFlow, so that recipes are checked before anything is done.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue, ValidationError

from lentigo_trainer import __version__
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import read_recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.models.registry import ARCHITECTURES, architecture
from lentigo_trainer.system.storage import write_whole

_FILE: Final = "measured.json"


@dataclass(frozen=True, slots=True)
class Job:
    """What to train and measure.

    Attributes:
        config: how to train.
        dataset: digest of the prepared images.
    """

    config: TrainingConfig
    dataset: str

    @property
    def folder(self) -> Path:
        """Where everything about it is kept."""
        return self.config.work.run(self.config.recipe)

    def key(self) -> dict[str, JsonValue]:
        """What the figures depend on; other values of these are other figures."""
        return {
            "recipe": self.config.recipe.model_dump(mode="json"),
            "weights": _weights_digest(self.config),
            **self.data(),
        }

    def data(self) -> dict[str, JsonValue]:
        """What rows of one report have in common."""
        return {
            "dataset": self.dataset,
            "seed": self.config.seed,
            "limit": self.config.limit,
            "code_version": __version__,
        }


def recipe_of(name: str, folder: Path | None = None) -> Recipe:
    """Return an architecture's recipe: `NAME.toml` of a folder, if it is there, or our own.

    Raises:
        RecipeError: the file has an unknown key or an impossible value, or another architecture.
    """
    entry = architecture(name)
    if folder is not None and (folder / f"{name}.toml").exists():
        recipe = read_recipe(folder / f"{name}.toml")
        if recipe.architecture != name:
            raise RecipeError(
                f"The recipe {folder / f'{name}.toml'} is one for {recipe.architecture}. Name it "
                "after its architecture."
            )
        return recipe
    return Recipe(architecture=name).for_epochs(entry.epochs)


def keep(job: Job, measured: BenchmarkResult) -> None:
    """Keep the figures of a finished job, so that it is not done again.

    Raises:
        StorageError: the disk is full or not writable.
    """
    content = {"key": job.key(), "measured": measured.model_dump(mode="json")}
    text = json.dumps(content, indent=2, allow_nan=False)
    write_whole(job.folder / _FILE, lambda file: file.write(text.encode()))


def finished(job: Job) -> BenchmarkResult | None:
    """Return the result that the very same job left, if it has finished."""
    return _found(job, job.key())


def finished_by_any_recipe(job: Job) -> BenchmarkResult | None:
    """Return the result that a job on the same rows left, by any recipe and weights."""
    return _found(job, job.data())


def _found(job: Job, expected: dict[str, JsonValue]) -> BenchmarkResult | None:
    try:
        found = json.loads((job.folder / _FILE).read_text())
        key = found["key"]
        if any(key.get(name) != value for name, value in expected.items()):
            return None
        return BenchmarkResult.model_validate_json(json.dumps(found["measured"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ValidationError):
        # Measuring again costs minutes; training is kept elsewhere.
        return None


def _weights_digest(config: TrainingConfig) -> str:
    file = ARCHITECTURES[config.recipe.architecture].weights_file
    if file is None:
        return "none"
    if not isinstance(config.weights, Path):
        return config.weights
    try:
        return hashlib.sha256((config.weights / file).read_bytes()).hexdigest()
    except OSError:
        return "missing"
