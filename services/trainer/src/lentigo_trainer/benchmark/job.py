"""One architecture of a benchmark: its recipe, and the result that the work folder keeps.

This module does not load TensorFlow, so that recipes are checked before anything starts.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from pydantic import JsonValue, ValidationError

from lentigo_trainer import __version__
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import read_recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.models.registry import ARCHITECTURES, find_weights
from lentigo_trainer.system.storage import write_whole

_FILE: Final = "measured.json"

_PAPER: Final = "paper"
"""Name of the shipped recipe for MobileNet; the others are named after their architectures."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to train and evaluate.

    Attributes:
        config: how to train.
        dataset: digest of the prepared images.
    """

    config: TrainingConfig
    dataset: str

    @property
    def folder(self) -> Path:
        """The folder of its run, inside the work folder."""
        return self.config.work.run(self.config.recipe)

    def key(self) -> dict[str, JsonValue]:
        """Return everything that the result depends on."""
        return {
            "recipe": self.config.recipe.model_dump(mode="json"),
            "weights": _weights_digest(self.config),
            **self.data(),
        }

    def data(self) -> dict[str, JsonValue]:
        """Return the part of the key that all rows of one report share."""
        return {
            "dataset": self.dataset,
            "seed": self.config.seed,
            "limit": self.config.limit,
            "code_version": __version__,
        }


def recipe_of(name: str, folder: Path | None = None) -> Recipe:
    """Return an architecture's recipe: `NAME.toml` of a folder if it exists, or the shipped one.

    Raises:
        RecipeError: the file has an unknown key or an impossible value, or another architecture.
    """
    if folder is not None and (folder / f"{name}.toml").exists():
        recipe = read_recipe(folder / f"{name}.toml")
        if recipe.architecture != name:
            raise RecipeError(
                f"The recipe {folder / f'{name}.toml'} is one for {recipe.architecture}. Name it "
                "after its architecture."
            )
        return recipe
    shipped = _PAPER if name == Recipe().architecture else name
    with as_file(files("lentigo_trainer") / "recipes" / f"{shipped}.toml") as path:
        return read_recipe(path)


def write_result(job: Job, result: BenchmarkResult) -> None:
    """Keep the result of a finished job, so that it does not run again.

    Raises:
        StorageError: the disk is full or not writable.
    """
    content = {"key": job.key(), "measured": result.model_dump(mode="json")}
    text = json.dumps(content, indent=2, allow_nan=False)
    write_whole(job.folder / _FILE, text.encode())


def read_result(job: Job) -> BenchmarkResult | None:
    """Return the result of the same job if it has finished, else None."""
    return _read_matching(job, job.key())


def read_result_of_any_recipe(job: Job) -> BenchmarkResult | None:
    """Return the result of a job on the same rows, by any recipe and weights, else None."""
    return _read_matching(job, job.data())


def _read_matching(job: Job, expected: dict[str, JsonValue]) -> BenchmarkResult | None:
    try:
        content = json.loads((job.folder / _FILE).read_text())
        key = content["key"]
        if any(key.get(name) != value for name, value in expected.items()):
            return None
        return BenchmarkResult.model_validate_json(json.dumps(content["measured"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ValidationError):
        # Evaluating again takes minutes; the trained network is kept elsewhere.
        return None


def _weights_digest(config: TrainingConfig) -> str:
    chosen = ARCHITECTURES[config.recipe.architecture]
    if chosen.weights_file is None:
        return "none"
    if not isinstance(config.weights, Path):
        return config.weights
    file = find_weights(config.weights, chosen)
    try:
        return "missing" if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "missing"
