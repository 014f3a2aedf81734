"""Describe a trained version: the manifest of a candidate."""

from datetime import datetime
from typing import Final

from lentigo_contract.manifest.dataset import (
    DatasetRecord,
    ExtraDatasetRecord,
    PlanRecord,
    SplitRecord,
)
from lentigo_contract.manifest.manifest import Manifest, Parameters, Thresholds
from lentigo_trainer import __version__
from lentigo_trainer.calibration.thresholds import ChosenThresholds
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.extra.imported_set import ImportedSet
from lentigo_trainer.data.extra.licenses import parse_license, strictest
from lentigo_trainer.data.extra.training_images import ExtraImages
from lentigo_trainer.data.image_files import summarize_files
from lentigo_trainer.data.provenance import digest_of, split_digest
from lentigo_trainer.data.splits import TrainingRows
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.models.architecture import Totals

HAM10000_LICENSE: Final = "CC BY-NC 4.0"


def describe(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    totals: Totals,
    evaluation: Evaluation,
    thresholds: ChosenThresholds,
    created: datetime,
    extra: ExtraImages | None = None,
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
            license=HAM10000_LICENSE,
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
        license=_license(extra),
        extra_datasets=None if extra is None else tuple(map(_extra_dataset, extra.parts)),
    )


def _license(extra: ExtraImages | None) -> str:
    """Return the licence with every condition of every image that trained."""
    texts = [HAM10000_LICENSE, *(part.license for part in (extra.summaries if extra else ()))]
    return str(strictest(each for each in map(parse_license, texts) if each))


def _extra_dataset(part: ImportedSet) -> ExtraDatasetRecord:
    found = part.summary
    return ExtraDatasetRecord(
        name=found.name,
        license=found.license,
        licenses=found.licenses,
        attributions=found.attributions,
        images=len(part.rows),
        kept_out=found.images - len(part.rows),
        classes=found.classes,
        knows=found.knows,
        left_out=found.left_out,
        compared_with=found.compared_with,
        digest=found.digest,
    )


def effective_limit(config: TrainingConfig, rows: TrainingRows) -> int | None:
    """Return the run's limit; None if it left out no image that would have trained."""
    return config.limit if len(rows.used.train) < len(rows.whole.train) else None


def _files_digest(prepared: Prepared) -> str:
    named = zip(prepared.records["image_id"], prepared.digests, strict=True)
    return digest_of(digest for _, digest in sorted(named))
