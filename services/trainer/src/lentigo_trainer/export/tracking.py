"""What a finished run adds to its run in MLflow; see `training.tracking`."""

from pathlib import Path

from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.export.publishing import candidate_files
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.tracking.mlflow import tracked_before


def track_results(folder: Path, evaluation: Evaluation, progress: Progress) -> None:
    """Send the metrics of the exported model, the report, the manifest and the model card.

    Args:
        folder: of the run.
        evaluation: of its exported model.
        progress: is told when the server does not answer.

    Raises:
        TrackingError: runs are tracked, but MLflow is not installed.
    """
    run = tracked_before(folder, progress)
    if run is None:
        return
    estimates = {
        "final_accuracy": evaluation.accuracy,
        "final_balanced_accuracy": evaluation.balanced_accuracy,
        "final_melanoma_sensitivity": evaluation.melanoma_sensitivity,
        "final_malignant_auc": evaluation.malignant_auc,
    }
    run.add_metrics({name: e.value for name, e in estimates.items() if e.value is not None})
    files = candidate_files(folder)
    run.add_files([folder / "report", files / "manifest.json", files / "model-card.md"])


def track_version(folder: Path, version: int, objection: str | None, progress: Progress) -> None:
    """Send which version a run was published as.

    Args:
        folder: of the run.
        version: its number in the repository.
        objection: what spoke against it, if it was forced.
        progress: is told when the server does not answer.

    Raises:
        TrackingError: runs are tracked, but MLflow is not installed.
    """
    run = tracked_before(folder, progress)
    if run is not None:
        run.set_tag("lentigo.published_version", str(version))
        run.set_tag("lentigo.forced", str(objection is not None).lower())
