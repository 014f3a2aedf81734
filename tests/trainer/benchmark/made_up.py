"""Made-up jobs, results and data set."""

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from lentigo_contract.labels import CODES, index_of
from lentigo_contract.manifest.manifest import Parameters
from lentigo_trainer.benchmark.job import recipe_of
from lentigo_trainer.benchmark.records import (
    PAPER,
    Benchmark,
    BenchmarkResult,
    Entry,
    Latency,
    Machine,
)
from lentigo_trainer.benchmark.run import BenchmarkConfig
from lentigo_trainer.config.training import WorkFolder
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.evaluation.summary import Evaluation, evaluate
from lentigo_trainer.models.architecture import Weights
from lentigo_trainer.models.registry import ARCHITECTURES
from lentigo_trainer.training.work_folder import EpochMetrics
from tests.trainer.metrics.made_up_answers import made_up_answers

NOW: Final = datetime(2026, 1, 2, tzinfo=UTC)


@functools.cache
def made_evaluation(seed: int = 1) -> Evaluation:
    return evaluate(*made_up_answers(seed, n=200), seed=1, resamples=50)


def made_result(seed: int = 1, epochs: int = 10, **changes: object) -> BenchmarkResult:
    history = tuple(
        EpochMetrics(
            epoch=number,
            accuracy=0.5 + number / 50,
            loss=1 / number,
            validation_accuracy=0.6 + number / 60,
            validation_loss=1.2 / number,
            seconds=60.0,
        )
        for number in range(1, epochs + 1)
    )
    fields: dict[str, object] = {
        "parameters": Parameters(total=30, trainable=10, frozen=20),
        "weights": "imagenet",
        "recipe": {"epochs": epochs},
        "images": 70,
        "rows": dict.fromkeys(CODES, 20),
        "history": history,
        "evaluation": made_evaluation(seed),
        "feature_seconds": 120.0,
        "saved_model_bytes": 2_000_000,
        "litert_bytes": 1_000_000,
        "latency": {
            "savedmodel": Latency(median_ms=20.0 * seed, p95_ms=22.0, runs=50, load=1.5),
            "litert": Latency(median_ms=10.0 * seed, p95_ms=12.0, runs=50, load=1.5),
        },
        "peak_memory_bytes": 2_000_000_000,
        "machine": Machine(
            processor="Made-up 1", cores=2, system="Linux x86_64", tensorflow="2", litert="2"
        ),
    }
    return BenchmarkResult.model_validate({**fields, **changes})


def made_benchmark(
    results: dict[str, BenchmarkResult], reasons: dict[str, str] | None = None, **changes: object
) -> Benchmark:
    """Return a benchmark in which every other architecture was left out."""
    given = reasons or {}
    entries = tuple(
        Entry(
            name=name,
            title=entry.title,
            recipe_epochs=entry.epochs,
            measured=results.get(name),
            reason=None if name in results else given.get(name, "left out of this benchmark"),
        )
        for name, entry in ARCHITECTURES.items()
    )
    fields: dict[str, object] = {
        "created": NOW,
        "code_version": "0.0.0",
        "dataset": "a" * 64,
        "images": 10_015,
        "validation": {code: 751 if code == "nv" else 30 for code in CODES},
        "limit": None,
        "seed": 0,
        "paper": PAPER,
        "entries": entries,
    }
    return Benchmark.model_validate({**fields, **changes})


def made_prepared(per_class: int = 12) -> Prepared:
    """Return lesions of one image each, without pixels."""
    codes = [code for code in CODES for _ in range(per_class)]
    return Prepared(
        images=np.zeros((0, 224, 224, 3), np.uint8),
        records=pd.DataFrame(
            {
                "lesion_id": [f"HAM_{n:07d}" for n in range(len(codes))],
                "image_id": [f"ISIC_{n:07d}" for n in range(len(codes))],
                "dx": codes,
            }
        ),
        labels=np.array([index_of(code) for code in codes], np.int64),
        digests=(),
        digest="d" * 64,
    )


def made_config(
    work: Path,
    *chosen: str,
    weights: Weights = "random",
    epochs: int | None = None,
    limit: int | None = None,
) -> BenchmarkConfig:
    recipes = {name: recipe_of(name) for name in ARCHITECTURES}
    if epochs is not None:
        recipes = {name: recipe.for_epochs(epochs) for name, recipe in recipes.items()}
    return BenchmarkConfig(
        work=WorkFolder(work),
        weights=weights,
        recipes=recipes,
        chosen=chosen or tuple(ARCHITECTURES),
        seed=0,
        limit=limit,
        cores=1,
    )
