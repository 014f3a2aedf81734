"""A compression's report in a folder: `compression.json`, `README.md` and `accuracy-cost.svg`."""

from pathlib import Path
from typing import Final

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_trainer.compression.plots import Point, accuracy_by_cost
from lentigo_trainer.compression.records import (
    NOTHING,
    CompressionRecord,
    VariantFile,
    VariantRecord,
)
from lentigo_trainer.metrics.bootstrap import Estimate
from lentigo_trainer.reporting.rendering import render_markdown
from lentigo_trainer.reporting.text import (
    NOT_MEASURED,
    out_of_fold_difference,
    out_of_fold_name,
    out_of_fold_text,
    points_text,
    share_text,
)
from lentigo_trainer.system.storage import write_whole

RECORD: Final = "compression.json"
PAGE: Final = "README.md"
PLOT: Final = "accuracy-cost.svg"

BOUND_BYTES: Final = 1_500_000
BOUND_LOSS: Final = -0.03
"""What is looked for: an int8 network of at most 1.5 MB that loses at most three points."""

_DETAILS: Final = (
    "accuracy",
    "malignant_auc",
    "referral sensitivity",
    "referral specificity",
    "recall mel",
)


def write_report(record: CompressionRecord, folder: Path) -> tuple[Path, ...]:
    """Write the whole report, in place of an earlier one; return its files.

    Raises:
        StorageError: the disk is full or not writable.
    """
    files = {
        RECORD: record.model_dump_json(indent=2).encode(),
        PAGE: compression_page(record).encode(),
        PLOT: accuracy_by_cost(
            [
                Point(
                    number,
                    kind_of(result),
                    result.compressed_bytes / 1e6,
                    each.latency.median_ms,
                    each.differences["balanced_accuracy"] if each.differences else None,
                )
                for number, each, result in _finished(record)
                if each.latency is not None
            ]
        ),
    }
    for name, content in files.items():
        write_whole(folder / name, content)
    return tuple(folder / name for name in files)


def compression_page(record: CompressionRecord) -> str:
    """Write the page in Markdown; the plot it shows lies beside it."""
    finished = _finished(record)
    return render_markdown(
        "compression.md.j2",
        notice=RESEARCH_NOTICE,
        record=record,
        rows=[_row(number, each) for number, each in enumerate(record.variants)],
        made=[_made(*each) for each in finished],
        details_head=["", "Variant", *(out_of_fold_name(name) for name in _DETAILS)],
        details=[_details(number, each) for number, each, _ in finished],
        missing=[each for each in record.variants if each.result is None],
        verdicts=[
            f"`{each.name}`: {verdict(each.differences['balanced_accuracy'])}"
            for _, each, _ in finished
            if each.differences is not None
        ],
        small=[each.name for _, each, result in finished if _is_small_and_good(each, result)],
        bound=f"{BOUND_BYTES / 1e6:.1f} MB",
        points=f"{-100 * BOUND_LOSS:.0f} points",
    )


def verdict(difference: Estimate) -> str:
    """Say what a difference in balanced accuracy comes to, with its interval."""
    text = points_text(difference)
    if difference.value is None or difference.low is None or difference.high is None:
        return f"{text}; these images cannot tell whether it is worse"
    if difference.high < 0:
        return f"{text}; worse than the uncompressed network"
    if difference.low > 0:
        return f"{text}; better than the uncompressed network"
    return f"{text}; these images cannot tell it from the uncompressed network"


def kind_of(result: VariantFile) -> str:
    """Return under which name of the plot's legend a variant stands; int8 comes first."""
    if result.method == NOTHING:
        return "uncompressed"
    if result.engine == "litert-int8":
        return "int8"
    if result.channels is not None:
        return "whole channels"
    return "narrower" if result.zeros is None else "single weights"


def _is_small_and_good(record: VariantRecord, result: VariantFile) -> bool:
    if record.differences is None or result.engine != "litert-int8":
        return False
    loss = record.differences["balanced_accuracy"].value
    return result.compressed_bytes <= BOUND_BYTES and loss is not None and loss >= BOUND_LOSS


def _finished(record: CompressionRecord) -> list[tuple[int, VariantRecord, VariantFile]]:
    return [
        (number, each, each.result)
        for number, each in enumerate(record.variants)
        if each.result is not None
    ]


def _row(number: int, record: VariantRecord) -> list[str]:
    result, metrics = record.result, record.metrics
    if result is None or metrics is None:
        return [str(number), record.name, NOT_MEASURED, *["-"] * 6]
    latency, referrals = record.latency, record.equal_referrals
    return [
        str(number),
        record.name,
        share_text(metrics["balanced_accuracy"]),
        points_text(record.differences["balanced_accuracy"]) if record.differences else "-",
        f"{result.file_bytes / 1e6:.2f} MB",
        f"{result.compressed_bytes / 1e6:.2f} MB",
        f"{result.multiplications / 1e6:,.1f} M",
        NOT_MEASURED if latency is None else f"{latency.median_ms:.1f} ms",
        "-" if referrals is None or not record.differences else share_text(referrals),
    ]


def _made(number: int, record: VariantRecord, result: VariantFile) -> list[str]:
    left = "-"
    if result.channels is not None:
        kept, whole = result.channels
        left = f"{kept:,} of {whole:,} channels"
    elif result.zeros is not None:
        left = f"{100 * (1 - result.zeros):.1f} % of the weights"
    return [
        str(number),
        record.name,
        result.method,
        result.start,
        str(result.epochs),
        f"{result.parameters:,}",
        left,
    ]


def _details(number: int, record: VariantRecord) -> list[str]:
    metrics = record.metrics or {}
    cells = [str(number), record.name]
    for name in _DETAILS:
        text = out_of_fold_text(name, metrics[name])
        if record.differences is not None:
            text += f"; {out_of_fold_difference(name, record.differences[name])}"
        cells.append(text)
    return cells
