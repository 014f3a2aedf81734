"""A sweep's report in a folder: `sweep.json`, `README.md` and the plots that it shows."""

from pathlib import Path
from typing import Final

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_trainer.config.sweep_file import BASE
from lentigo_trainer.reporting.rendering import render_markdown
from lentigo_trainer.reporting.text import (
    out_of_fold_difference,
    out_of_fold_name,
    out_of_fold_text,
)
from lentigo_trainer.sweep.plots import differences, learning_curves
from lentigo_trainer.sweep.records import SweepRecord, VariantRecord
from lentigo_trainer.system.storage import storage_errors, write_whole

RECORD: Final = "sweep.json"
PAGE: Final = "README.md"
CURVES: Final = "curves.png"
DIFFERENCES: Final = "differences.png"

SHOWN: Final = (
    "balanced_accuracy",
    "accuracy",
    "malignant_auc",
    "referral sensitivity",
    "referral specificity",
    "log_loss",
)
"""Metrics in the page's table; the record has all."""


def write_report(record: SweepRecord, folder: Path) -> tuple[Path, ...]:
    """Write the whole report; files of an earlier one are replaced or removed.

    Returns:
        The files.

    Raises:
        StorageError: the disk is full or not writable.
    """
    files = {
        RECORD: record.model_dump_json(indent=2).encode(),
        PAGE: sweep_page(record).encode(),
        CURVES: learning_curves(record),
    }
    if _compared(record):
        files[DIFFERENCES] = differences(_compared(record))
    for name, content in files.items():
        write_whole(folder / name, content)
    if DIFFERENCES not in files:
        with storage_errors(folder):
            (folder / DIFFERENCES).unlink(missing_ok=True)
    return tuple(folder / name for name in files)


def sweep_page(record: SweepRecord) -> str:
    """Write the page in Markdown; the plots it shows lie beside it."""
    finished = [each for each in record.variants if each.metrics is not None]
    return render_markdown(
        "sweep.md.j2",
        notice=RESEARCH_NOTICE,
        record=record,
        variants=[_row(each) for each in record.variants],
        failed=[each for each in record.variants if each.state == "failed"],
        head=["Metric (95 % interval, by lesion)", *(each.name for each in finished)],
        metrics=[
            [out_of_fold_name(name), *(_cell(name, each) for each in finished)] for name in SHOWN
        ],
        compared=_compared(record),
    )


def _compared(record: SweepRecord) -> list[VariantRecord]:
    return [each for each in record.variants if each.differences is not None]


def _row(variant: VariantRecord) -> list[str]:
    changes = ", ".join(f"{key} = {value}" for key, value in variant.changes.items())
    last = [curve[-1] for curve in variant.curves if curve]
    score = f"{100 * sum(last) / len(last):.1f} %" if last else "not measured"
    name = "nothing" if variant.name == BASE else ""
    return [variant.name, changes or name, variant.state, str(variant.epochs), score]


def _cell(name: str, variant: VariantRecord) -> str:
    if variant.metrics is None:
        return "not measured"
    text = out_of_fold_text(name, variant.metrics[name])
    if variant.differences is None:
        return text
    return f"{text}; {out_of_fold_difference(name, variant.differences[name])}"
