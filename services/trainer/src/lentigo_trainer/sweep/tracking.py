"""A sweep as a run of MLflow of its own, beside those of its networks; see `training.tracking`."""

from collections.abc import Sequence
from pathlib import Path

from lentigo_trainer.sweep.records import SweepRecord
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.training.tracking.mlflow import tracked


def track_sweep(
    record: SweepRecord, folder: Path, report: Sequence[Path], progress: Progress
) -> None:
    """Send what a sweep found, where runs are tracked.

    Args:
        record: what it found.
        folder: of the sweep; it keeps the number of the run.
        report: the files of its report.
        progress: is told when the server does not answer.

    Raises:
        TrackingError: MLflow is not installed, or its server does not answer.
    """
    parameters = {
        "dataset": record.dataset,
        "seed": record.seed,
        "limit": record.limit,
        "code_version": record.code_version,
        "folds": record.folds,
        "rungs": record.rungs,
        "variants": {each.name: each.changes or "nothing" for each in record.variants},
    }
    with tracked(folder, f"sweeps/{record.name}", parameters, progress) as run:
        if run is None:
            return
        run.add_metrics(
            {
                f"{each.name}.{name.replace(' ', '_')}": estimate.value
                for each in record.variants
                for name, estimate in (each.metrics or {}).items()
                if estimate.value is not None
            }
        )
        run.add_files(report)
