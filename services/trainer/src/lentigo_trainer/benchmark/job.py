"""Train and measure one architecture of a benchmark, and keep the result in the work folder."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import JsonValue, ValidationError

from lentigo_contract.manifest.engines import LITERT_FILES
from lentigo_trainer import __version__
from lentigo_trainer.benchmark.profiling import (
    litert_latency,
    peak_memory_bytes,
    saved_model_latency,
    this_machine,
)
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.config.recipe import Recipe
from lentigo_trainer.config.recipe_file import read_recipe
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import open_prepared
from lentigo_trainer.errors import RecipeError
from lentigo_trainer.export.litert import float32_model
from lentigo_trainer.export.publishing import candidate_files, candidate_manifest
from lentigo_trainer.models.registry import ARCHITECTURES, architecture
from lentigo_trainer.pipeline import train
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import write_whole
from lentigo_trainer.training.precision import bfloat16_is_faster

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
    """Give an architecture's recipe: `NAME.toml` of a folder, if it is there, or our own.

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


def run_job(job: Job, progress: Progress) -> BenchmarkResult:
    """Do a job from where it was left, and keep its figures.

    With a limit the candidate has no LiteRT models: they take longer than the quick run that a
    limit is for, and it is worth nothing anyway. Nor has one of plain convolutions, which LiteRT
    does not suit.

    Raises:
        LentigoError: see `pipeline.train`.
    """
    config = job.config
    chosen = architecture(config.recipe.architecture)
    whole = config.recipe.fine_tuning
    prepared = open_prepared(config.work.prepared)
    trained = train(
        config,
        prepared,
        lambda: datetime.now(UTC),
        progress,
        lighter=config.limit is None and not chosen.plain,
    )
    files = candidate_files(trained.folder)
    manifest = candidate_manifest(trained.folder)
    light = files / LITERT_FILES["litert"]
    model = light.read_bytes() if light.is_file() else float32_model(files)
    peak = peak_memory_bytes()
    progress.say("Timing single images")
    measured = BenchmarkResult(
        parameters=manifest.parameters,
        weights=_origin(config),
        recipe=config.recipe.model_dump(mode="json"),
        bfloat16=bfloat16_is_faster() and (whole.bfloat16 if whole else chosen.plain),
        images=manifest.split.train,
        rows=manifest.plan.per_class,
        history=trained.history,
        evaluation=trained.evaluation,
        feature_seconds=trained.feature_seconds,
        saved_model_bytes=_saved_model_bytes(files),
        litert_bytes=len(model),
        latency={
            "savedmodel": saved_model_latency(files),
            "litert": litert_latency(model, config.cores),
        },
        peak_memory_bytes=peak,
        machine=this_machine(config.cores),
    )
    keep(job, measured)
    return measured


def _origin(config: TrainingConfig) -> Literal["imagenet", "random", "none"]:
    if architecture(config.recipe.architecture).weights_file is None:
        return "none"
    return "random" if config.weights == "random" else "imagenet"


def _saved_model_bytes(folder: Path) -> int:
    values = (folder / "variables").iterdir()
    return sum(file.stat().st_size for file in (folder / "saved_model.pb", *values))
