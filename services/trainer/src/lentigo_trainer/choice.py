"""Which run to publish: the best that has finished, and none worse than what is served."""

from pathlib import Path

from lentigo_contract.errors import MetricError, PublishError, WorkFolderError
from lentigo_contract.manifest.manifest import Manifest
from lentigo_contract.repository.store import ModelStore
from lentigo_trainer.candidate import candidate_manifest, has_candidate
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.yardstick import Yardstick


def best_run(work: Path, by: Yardstick) -> Path:
    """Find the finished run with the highest figure; of equal ones, the first by name.

    Raises:
        WorkFolderError: no run has finished, or none has the figure.
        DamagedVersionError: a finished run's manifest cannot be read.
    """
    runs = sorted(folder for folder in work.glob("*/") if has_candidate(folder))
    figures = {folder: _figure(candidate_manifest(folder), by) for folder in runs}
    measured = {folder: value for folder, value in figures.items() if value is not None}
    if not measured:
        raise WorkFolderError(
            f"{work} holds no finished run to choose from. Run `lentigo-train benchmark` or "
            "`lentigo-train fit` with this --work first."
        )
    return max(measured, key=measured.__getitem__)


def require_no_worse(run: Path, models: Path, by: Yardstick) -> None:
    """Check that publishing a run would not replace the served version by a worse one.

    Args:
        run: the finished run.
        models: the model repository; its newest version is the one that is served.
        by: the figure that is compared.

    Raises:
        PublishError: the served version is better, or it cannot be told.
    """
    store = ModelStore(models)
    served = store.latest()
    if served is None:
        return
    candidate, manifest = candidate_manifest(run), store.open(served).manifest
    ours, theirs = _figure(candidate, by), _figure(manifest, by)
    name = by.replace("_", " ")
    if candidate.dataset.digest != manifest.dataset.digest or ours is None or theirs is None:
        raise PublishError(
            f"The {name} of {run.name} cannot be compared with that of version {served}, which "
            "was not measured on the same images. Publish it anyway with --force."
        )
    if ours < theirs:
        raise PublishError(
            f"{run.name} has {name} {ours:.4f}, version {served} has {theirs:.4f}. Publish the "
            "worse one anyway with --force."
        )


def _figure(manifest: Manifest, by: Yardstick) -> float | None:
    try:
        evaluation = Evaluation.from_json(manifest.metrics)
    except MetricError:
        return None
    found = {
        Yardstick.ACCURACY: evaluation.accuracy,
        Yardstick.BALANCED_ACCURACY: evaluation.balanced_accuracy,
    }
    return found[by].value
