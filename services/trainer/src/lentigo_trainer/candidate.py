"""A candidate: a version as it will be published, still in the work folder.

`candidate/` holds the files, `candidate.json` the manifest without number and check sums. The
manifest is written last, so a candidate that has one is whole.
"""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

from lentigo_contract.errors import WorkFolderError
from lentigo_contract.manifest import (
    Calibration,
    DatasetRecord,
    Manifest,
    MapGeometry,
    Parameters,
    PlanRecord,
    SplitRecord,
    Thresholds,
)
from lentigo_contract.store import ModelStore, StoredVersion
from lentigo_trainer import __version__
from lentigo_trainer.architectures import Totals
from lentigo_trainer.config import TrainingConfig
from lentigo_trainer.evaluation import Evaluation
from lentigo_trainer.model_card import model_card
from lentigo_trainer.operating_point import OperatingPoint
from lentigo_trainer.prepare import Prepared
from lentigo_trainer.run_folder import digest_of
from lentigo_trainer.storage import write_whole
from lentigo_trainer.training_rows import TrainingRows

VALIDATION_SET: Final = "the paper's validation images of HAM10000"

_FILES: Final = "candidate"
_MANIFEST: Final = "candidate.json"
_CARD: Final = "model-card.md"


def candidate_files(run: Path) -> Path:
    """Where a run's candidate keeps its files."""
    return run / _FILES


def describe(
    config: TrainingConfig,
    prepared: Prepared,
    rows: TrainingRows,
    totals: Totals,
    geometry: MapGeometry,
    evaluation: Evaluation,
    point: OperatingPoint,
    created: datetime,
) -> Manifest:
    """Write down what a candidate is; `store` adds its number and its check sums."""
    names = prepared.records["image_id"].to_numpy()
    sides = {"train": rows.used.train, "validation": rows.whole.validation}
    return Manifest(
        created=created,
        architecture=config.recipe.architecture,
        parameters=Parameters(total=totals.total, trainable=totals.trainable, frozen=totals.frozen),
        activation_map=geometry,
        calibration=Calibration(method="none", temperature=1.0, note=""),
        thresholds=Thresholds(malignancy=point.threshold, source=point.source()),
        metrics=evaluation.to_json(),
        dataset=DatasetRecord(
            name="HAM10000",
            source="doi:10.7910/DVN/DBW86T",
            license="CC BY-NC 4.0",
            images=len(prepared.records),
            digest=prepared.digest,
        ),
        split=SplitRecord(
            train=len(rows.used.train),
            validation=len(rows.whole.validation),
            digest=digest_of(
                f"{side} {name}" for side, chosen in sides.items() for name in sorted(names[chosen])
            ),
        ),
        plan=PlanRecord(
            rows=len(rows.plan), per_class=rows.plan.per_class(), digest=rows.plan.digest()
        ),
        recipe=config.recipe.model_dump(mode="json"),
        seed=config.seed,
        code_version=__version__,
    )


def finish_candidate(run: Path, manifest: Manifest, evaluation: Evaluation) -> None:
    """Add the model card and the manifest; from here on the candidate can be published.

    Raises:
        StorageError: the disk is full or not writable.
    """
    card = model_card(manifest, evaluation, VALIDATION_SET)
    write_whole(run / _FILES / _CARD, lambda file: file.write(card.encode()))
    write_whole(run / _MANIFEST, lambda file: file.write(manifest.to_json().encode()))


def discard_candidate(run: Path) -> None:
    """Remove an earlier candidate, its manifest first, so that half of one is never published."""
    (run / _MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(run / _FILES, ignore_errors=True)


def publish_candidate(run: Path, models: Path) -> StoredVersion:
    """Copy a finished candidate into a model repository under its next number.

    Raises:
        WorkFolderError: the run has not finished.
        StorageError: the repository's disk is full or not writable; it is as it was.
    """
    if not (run / _MANIFEST).is_file():
        raise WorkFolderError(
            f"{run} holds no finished run. Run `lentigo-train fit` with this --work first."
        )
    manifest = Manifest.read(run / _MANIFEST)

    def fill(staging: Path) -> Manifest:
        shutil.copytree(run / _FILES, staging, dirs_exist_ok=True)
        return manifest

    return ModelStore(models).publish(fill)
