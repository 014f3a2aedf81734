"""Keep a run's candidate, choose the best run, and publish it.

A candidate is a version that is ready to publish, in the work folder: `candidate/` holds the files,
`candidate.json` the manifest without number and checksums. The manifest is written last, so a
candidate that has one is complete.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore, StoredVersion
from lentigo_trainer.config.training import SelectionMetric
from lentigo_trainer.errors import MetricError, WorkFolderError
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.system.storage import write_whole

_FILES: Final = "candidate"
_MANIFEST: Final = "candidate.json"
_CARD: Final = "model-card.md"


def candidate_files(run: Path) -> Path:
    """Return the folder of the files of a run's candidate."""
    return run / _FILES


def has_candidate(run: Path) -> bool:
    """Check whether a run has finished, so that its candidate can be published."""
    return (run / _MANIFEST).is_file()


def candidate_manifest(run: Path) -> Manifest:
    """Read the manifest of a finished run's candidate.

    Raises:
        WorkFolderError: the run has not finished.
    """
    if not has_candidate(run):
        raise WorkFolderError(
            f"{run} holds no finished run. Run `lentigo-train fit` with this --work first."
        )
    return Manifest.read(run / _MANIFEST)


def finish_candidate(run: Path, manifest: Manifest, card: str) -> None:
    """Add the model card and the manifest; from here on the candidate can be published.

    Args:
        run: the run's folder, with the candidate's other files.
        manifest: of the candidate, without number and checksums.
        card: its model card, in Markdown.

    Raises:
        StorageError: the disk is full or not writable.
    """
    write_whole(run / _FILES / _CARD, card.encode())
    write_whole(run / _MANIFEST, manifest.to_json().encode())


def discard_candidate(run: Path) -> None:
    """Remove an earlier candidate, manifest first, so that half a candidate is never published."""
    (run / _MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(run / _FILES, ignore_errors=True)


def publish_candidate(
    run: Path,
    models: Path,
    forced: str | None = None,
    sign: Callable[[Path], object] | None = None,
) -> StoredVersion:
    """Copy a finished candidate into a model repository under its next number.

    Whether it should be published is for `release_gate.find_objection` to say.

    Args:
        run: the run's folder.
        models: the model repository.
        forced: the objection in spite of which it is published; it goes into the manifest.
        sign: writes the signature of the whole version into its folder.

    Raises:
        WorkFolderError: the run has not finished.
        StorageError: the repository's disk is full or not writable; the repository is unchanged.
    """
    manifest = candidate_manifest(run).model_copy(update={"forced": forced})

    def fill(staging: Path) -> Manifest:
        _copy(run / _FILES, staging)
        return manifest

    return ModelStore(models).publish(fill, sign)


def _copy(folder: Path, target: Path) -> None:
    # `shutil.copytree` would continue after a full disk, and hide its error among others.
    for path in sorted(folder.rglob("*")):
        copy = target / path.relative_to(folder)
        if path.is_dir():
            copy.mkdir()
        else:
            shutil.copyfile(path, copy)


def best_run(work: Path, by: SelectionMetric) -> Path:
    """Find the finished run with the highest value of a metric; of equal ones, the first by name.

    Raises:
        WorkFolderError: no run has finished, or none has a value.
        DamagedVersionError: a finished run's manifest cannot be read.
    """
    runs = sorted(folder for folder in work.glob("*/") if has_candidate(folder))
    values = {folder: _figure(candidate_manifest(folder), by) for folder in runs}
    known = {folder: value for folder, value in values.items() if value is not None}
    if not known:
        raise WorkFolderError(
            f"{work} holds no finished run to choose from. Run `lentigo-train benchmark` or "
            "`lentigo-train fit` with this --work first."
        )
    return max(known, key=known.__getitem__)


def _figure(manifest: Manifest, by: SelectionMetric) -> float | None:
    try:
        evaluation = Evaluation.from_json(manifest.metrics)
    except MetricError:
        return None
    estimates = {
        SelectionMetric.ACCURACY: evaluation.accuracy,
        SelectionMetric.BALANCED_ACCURACY: evaluation.balanced_accuracy,
    }
    return estimates[by].value
