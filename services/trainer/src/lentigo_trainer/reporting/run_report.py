"""Write a run's results into a folder: metrics as JSON, and plots beside them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from lentigo_contract.wording import pluralize
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.reporting import plots
from lentigo_trainer.reporting.reliability import OF_MALIGNANCY, malignancy_of, reliability
from lentigo_trainer.reporting.text import class_rows, reasons, rows_with_rest
from lentigo_trainer.system.storage import write_whole
from lentigo_trainer.training.work_folder import EpochMetrics

METRICS_NAME: Final = "metrics.json"


def write_report(folder: Path, result: Evaluation, epochs: Sequence[EpochMetrics] = ()) -> None:
    """Write `metrics.json` and the plots.

    These are `confusion.png`, `reliability.png`, `malignancy.png` and, with epochs, `curves.png`.

    Args:
        folder: where to write; made if missing, files of an earlier report are replaced.
        result: the evaluation.
        epochs: the history of training, if it is known.

    Raises:
        StorageError: the disk is full or not writable.
    """
    write_metrics(folder / METRICS_NAME, result)
    files = {
        "confusion.png": plots.confusion(result),
        "reliability.png": reliability(result),
    }
    if result.malignant_calibration_error is not None:
        files["malignancy.png"] = reliability(malignancy_of(result), OF_MALIGNANCY)
    baseline = result.majority_baseline.value
    if epochs and baseline is not None:
        files["curves.png"] = plots.curves(epochs, baseline, result.majority)
    for name, content in files.items():
        write_whole(folder / name, content)


def write_metrics(path: Path, result: Evaluation) -> None:
    """Write every metric as JSON.

    Raises:
        StorageError: the disk is full or not writable.
    """
    text = json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n"
    write_whole(path, text.encode())


def tables(result: Evaluation, lesions_known: bool = True) -> tuple[Table, Table]:
    """Return two tables for a terminal: of the whole classifier, and of each class."""
    lesions = f" of {pluralize(result.lesions, 'lesion')}" if lesions_known else ""
    overall = _table(
        ("Figure", "Value (95 % interval)", "n", f"Always {result.majority}"),
        title=pluralize(result.examples, "image") + lesions,
    )
    for row in rows_with_rest(result):
        overall.add_row(*row)
    by_class = _table(("Class", "n", "Recall", "Precision", "Answers", "AUC"))
    by_class.caption = "\n".join(reasons(result))
    for cells in class_rows(result):
        by_class.add_row(*cells)
    return overall, by_class


def _table(columns: Sequence[str], title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in ("n", "Answers") else "left")
    return table
