"""Train one architecture of a benchmark and measure it, in its own process."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lentigo_contract.manifest.engines import LITERT_FILES
from lentigo_trainer import __version__
from lentigo_trainer.benchmark.job import Job, write_result
from lentigo_trainer.benchmark.profiling import (
    litert_latency,
    peak_memory_bytes,
    saved_model_latency,
    this_machine,
)
from lentigo_trainer.benchmark.records import BenchmarkResult
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import open_prepared
from lentigo_trainer.export.litert import float32_model
from lentigo_trainer.export.publishing import candidate_files, candidate_manifest
from lentigo_trainer.models.registry import architecture
from lentigo_trainer.pipeline import train
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.precision import bfloat16_is_faster


def run_job(job: Job, progress: Progress) -> BenchmarkResult:
    """Run a job, or resume it where it stopped, and keep its result.

    With a limit the candidate has no LiteRT models: they take longer than the quick run that a
    limit is for, and such a candidate is worth nothing anyway. A network of plain convolutions has
    none either: LiteRT does not suit it.

    Raises:
        LentigoError: see `pipeline.train`.
    """
    config = job.config
    chosen = architecture(config.recipe.architecture)
    fine_tuning = config.recipe.fine_tuning
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
    litert_file = files / LITERT_FILES["litert"]
    model = litert_file.read_bytes() if litert_file.is_file() else float32_model(files)
    peak = peak_memory_bytes()
    progress.say("Timing single images")
    result = BenchmarkResult(
        parameters=manifest.parameters,
        weights=_origin(config),
        recipe=config.recipe.model_dump(mode="json"),
        bfloat16=bfloat16_is_faster() and (fine_tuning.bfloat16 if fine_tuning else chosen.plain),
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
        code_version=__version__,
    )
    write_result(job, result)
    return result


def _origin(config: TrainingConfig) -> Literal["imagenet", "random", "none"]:
    if architecture(config.recipe.architecture).weights_file is None:
        return "none"
    return "random" if config.weights == "random" else "imagenet"


def _saved_model_bytes(folder: Path) -> int:
    values = (folder / "variables").iterdir()
    return sum(file.stat().st_size for file in (folder / "saved_model.pb", *values))
