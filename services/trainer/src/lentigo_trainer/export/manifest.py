"""Describe a trained version: the manifest of a candidate."""

from datetime import datetime

from lentigo_contract.manifest.manifest import (
    DatasetRecord,
    Manifest,
    Parameters,
    PlanRecord,
    SplitRecord,
    Thresholds,
)
from lentigo_trainer import __version__
from lentigo_trainer.calibration.thresholds import ChosenThresholds
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.image_files import summarize_files
from lentigo_trainer.data.provenance import digest_of, split_digest
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.models.registry import Totals


def describe(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    totals: Totals,
    evaluation: Evaluation,
    thresholds: ChosenThresholds,
    created: datetime,
) -> Manifest:
    """Return the manifest of a candidate; `store` adds its number and its checksums."""
    point, abstention = thresholds.point, thresholds.abstention
    names = prepared.records["image_id"].to_numpy()
    sides = {
        "train": rows.used.train,
        "validation": rows.whole.validation,
        "tuning": rows.tuning,
        "hold-out": rows.hold_out,
    }
    return Manifest(
        created=created,
        architecture=config.recipe.architecture,
        parameters=Parameters(total=totals.total, trainable=totals.trainable, frozen=totals.frozen),
        activation_map=thresholds.geometry,
        calibration=thresholds.meaning.calibration,
        prevalence=thresholds.meaning.prevalence,
        malignancy_calibration=thresholds.meaning.malignancy_calibration,
        thresholds=Thresholds(
            malignancy=point.threshold,
            source=point.source(),
            abstention=abstention.threshold,
            abstention_source=abstention.source,
        ),
        unlikeness=thresholds.ood,
        metrics=evaluation.to_json(),
        dataset=DatasetRecord(
            name="HAM10000",
            source="doi:10.7910/DVN/DBW86T",
            license="CC BY-NC 4.0",
            images=len(prepared.records),
            digest=prepared.digest,
            files=summarize_files(prepared.records, _files_digest(prepared)),
        ),
        split=SplitRecord(
            train=len(rows.used.train),
            validation=len(rows.whole.validation),
            tuning=len(rows.tuning),
            hold_out=len(rows.hold_out),
            digest=split_digest({side: names[chosen] for side, chosen in sides.items()}),
        ),
        plan=PlanRecord(
            rows=len(rows.plan), per_class=rows.plan.per_class(), digest=rows.plan.digest()
        ),
        recipe=config.recipe.model_dump(mode="json"),
        seed=config.seed,
        limit=effective_limit(config, rows),
        code_version=__version__,
    )


def effective_limit(config: TrainingConfig, rows: TrainingRows) -> int | None:
    """Return the run's limit; None if it left out no image that would have trained."""
    return config.limit if len(rows.used.train) < len(rows.whole.train) else None


def _files_digest(prepared: Prepared) -> str:
    named = zip(prepared.records["image_id"], prepared.digests, strict=True)
    return digest_of(digest for _, digest in sorted(named))
