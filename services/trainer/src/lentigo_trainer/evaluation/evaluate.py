"""Evaluate a published version on a set of images, in this process or through a service."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lentigo_contract.repository.layout import MANIFEST_NAME
from lentigo_contract.repository.store import ModelStore, StoredVersion, open_version_folder
from lentigo_trainer.errors import RemoteServiceError
from lentigo_trainer.evaluation.images.image_sets import ImageSet
from lentigo_trainer.evaluation.images.leakage import require_no_leakage
from lentigo_trainer.evaluation.referral import refused_by
from lentigo_trainer.evaluation.remote import RemoteService, ServedVersion
from lentigo_trainer.evaluation.report import (
    EvaluatedModel,
    EvaluationReport,
    evaluated_model,
    score,
)
from lentigo_trainer.evaluation.turning import other_positions, unchanged_share
from lentigo_trainer.metrics.bootstrap import Resampling
from lentigo_trainer.metrics.decisions import decisions_by
from lentigo_trainer.system.native_output import quiet_tensorflow
from lentigo_trainer.system.progress import Progress

# Of the bootstrap: the same images and predictions give the same intervals everywhere.
EVALUATION_SEED: Final = 0


def open_version(path: Path) -> StoredVersion:
    """Open a version by its folder, or the newest of a repository, such as `models`.

    Raises:
        RepositoryError: no complete version.
    """
    for store in (ModelStore(path), ModelStore(path.parent, path.name)):
        newest = None if (path / MANIFEST_NAME).exists() else store.latest()
        if newest is not None:
            return store.open(newest)
    return open_version_folder(path)


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How to evaluate.

    Attributes:
        workers: threads that read and decode.
        progress: receives how far each step is.
        seed: of the intervals.
        allow_overlap: whether to go on, and say so in the report, where images trained the version.
        turned: whether to ask for every image in eight positions.
    """

    workers: int
    progress: Progress
    seed: int = EVALUATION_SEED
    allow_overlap: bool = False
    turned: bool = False


def evaluate_version(
    version: StoredVersion, images: ImageSet, options: EvaluationOptions
) -> EvaluationReport:
    """Evaluate a version in this process, by its SavedModel.

    Raises:
        LeakageError: an image or lesion trained it.
        DamagedVersionError: it cannot be loaded, or its manifest does not fit its network.
        DamagedImagesError: images that cannot be decoded, all of them named.
    """
    with quiet_tensorflow():
        from lentigo_trainer.evaluation.exported_model import predict_locally  # noqa: PLC0415 - a service needs no TensorFlow

    leakage = require_no_leakage(
        version, images, options.workers, options.progress, options.allow_overlap
    )
    outputs, flawed = predict_locally(version.path, images, options.workers, options.progress)
    manifest = version.manifest
    model = evaluated_model(manifest, version.version)
    refused = refused_by(manifest.unlikeness, outputs, flawed)
    report = score(model, images, leakage, outputs.probabilities, manifest, options.seed, refused)
    if not options.turned:
        return report
    further = [
        predict_locally(version.path, images, options.workers, options.progress, turn)[0]
        for turn in other_positions()
    ]
    diagnoses, *others = (
        decisions_by(manifest, each.probabilities).classes for each in (outputs, *further)
    )
    share = unchanged_share(diagnoses, others, Resampling(images.groups, options.seed))
    return report.model_copy(update={"unchanged_when_turned": share})


def evaluate_service(
    service: RemoteService,
    version: StoredVersion | None,
    images: ImageSet,
    options: EvaluationOptions,
) -> EvaluationReport:
    """Evaluate a version through a running service.

    Args:
        service: the service.
        version: the version it serves, if its folder is available: then leakage is checked, and
            the probabilities before calibration are known.
        images: what to evaluate on.
        options: see `EvaluationOptions`.

    Raises:
        LeakageError: an image or lesion trained the version.
        RemoteServiceError: no response, or the service serves another version.
        DamagedImagesError: images that it cannot decode, all of them named.
    """
    served = service.served()
    if version is not None:
        _require_served(version, served)
    leakage = require_no_leakage(
        version, images, options.workers, options.progress, options.allow_overlap
    )
    predictions = service.predict(images, options.progress)
    model = EvaluatedModel(
        name=served.name,
        version=served.version,
        architecture=served.architecture,
        created=served.created.isoformat(),
        asked=service.url,
        engine=served.engine,
        prevalence_source=served.prevalence_source,
    )
    manifest = None if version is None else version.manifest
    if manifest is not None:
        model = model.model_copy(update={"recipe": manifest.recipe.get("name")})
        # Where the service moves it to a clinic's prevalence, it is not the version's.
        thresholds = manifest.thresholds.model_copy(update={"malignancy": served.threshold})
        manifest = manifest.model_copy(update={"thresholds": thresholds})
    refused = np.isin(images.names, predictions.refused)
    return score(
        model,
        images,
        leakage,
        predictions.probabilities,
        manifest,
        options.seed,
        refused,
        decisions=predictions.decisions,
    )


def _require_served(version: StoredVersion, served: ServedVersion) -> None:
    manifest = version.manifest
    ours = (manifest.name, version.version, manifest.created)
    theirs = (served.name, served.version, served.created)
    if ours != theirs:
        raise RemoteServiceError(
            f"The service serves {served.name} {served.version}, trained "
            f"{served.created.isoformat()}; "
            f"--model holds {manifest.name} {version.version}, trained "
            f"{manifest.created.isoformat()}. Give the folder of what it serves, or leave "
            "--model out."
        )
