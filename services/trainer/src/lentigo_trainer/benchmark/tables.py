"""Tables in Markdown, and figures as their cells have them."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final

from lentigo_contract.labels import CODES
from lentigo_trainer.benchmark.records import Benchmark, BenchmarkResult, Entry, Machine
from lentigo_trainer.reporting import text
from lentigo_trainer.reporting.text import NOT_MEASURED, share_text

MISSING: Final = "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table of figures, as a block that ends in a line feed."""
    return text.table(head, rows) + "\n"


def row_name(benchmark: Benchmark, entry: Entry) -> str:
    """Name an architecture, and say what it had less of than its recipe asks for."""
    found = entry.measured
    if found is None:
        return entry.title
    notes = []
    if found.epochs < entry.recipe_epochs:
        notes.append(f"{found.epochs} of {entry.recipe_epochs} epochs")
    if benchmark.limit is not None:
        notes.append(f"{sum(found.rows.values()):,} rows")
    if found.weights == "random":
        notes.append("random frozen weights")
    return f"{entry.title} ({'; '.join(notes)})" if notes else entry.title


def machines(benchmark: Benchmark) -> dict[Machine, str]:
    """Letter the machines that networks were measured on, in the order of their first network."""
    different = dict.fromkeys(found.machine for _, found in measured_of(benchmark))
    return dict(zip(different, ascii_uppercase, strict=False))


def timed_name(benchmark: Benchmark, entry: Entry) -> str:
    """Name an architecture where times are compared: with its machine, if there are several."""
    name, lettered = row_name(benchmark, entry), machines(benchmark)
    if entry.measured is None or len(lettered) < 2:
        return name
    return f"{name}, machine {lettered[entry.measured.machine]}"


def accuracy_table(benchmark: Benchmark) -> str:
    """Accuracy and balanced accuracy of every network, beside the paper's and the baselines."""
    rows = []
    for entry in benchmark.entries:
        paper = benchmark.paper.get(entry.name)
        published = f"{paper.validation_accuracy:.2f} %" if paper else MISSING
        found = entry.measured
        rows.append(
            [row_name(benchmark, entry), *_overall(found), published]
            if found
            else [row_name(benchmark, entry), NOT_MEASURED, NOT_MEASURED, NOT_MEASURED, published]
        )
    majority, share, balanced = baselines(benchmark)
    sensitivity = "100.0 %" if majority == "mel" else "0.0 %"
    rows.append(
        [f"*always {majority}*", f"{share:.1f} %", f"{balanced:.1f} %", sensitivity, MISSING]
    )
    head = ("", "Accuracy", "Balanced accuracy", "Melanoma sensitivity", "Accuracy, paper")
    return table(head, rows)


def baselines(benchmark: Benchmark) -> tuple[str, float, float]:
    """Give the most frequent class of the validation images, and what always answering it comes to.

    Returns:
        Its code, its accuracy and its balanced accuracy, per cent.
    """
    counts = benchmark.validation
    majority = max(counts, key=counts.__getitem__)
    present = sum(1 for count in counts.values() if count)
    return majority, 100 * counts[majority] / sum(counts.values()), 100 / present


def recall_table(benchmark: Benchmark) -> str:
    """Recall of every class by every architecture, per cent."""
    head = ("", *(f"{code} ({benchmark.validation[code]})" for code in CODES))
    rows = [
        [row_name(benchmark, entry), *(_per_cent(found, code) for code in CODES)]
        for entry, found in measured_of(benchmark)
    ]
    return table(head, rows)


def paper_table(benchmark: Benchmark) -> str:
    """The paper's Table 1, each column beside ours."""
    rows = []
    for entry in benchmark.entries:
        paper = benchmark.paper.get(entry.name)
        found = entry.measured
        if found is not None:
            rows.append([f"{row_name(benchmark, entry)}, here", *_training(found)])
        elif paper is not None:
            rows.append([f"{entry.title}, here", *[NOT_MEASURED] * 6])
        if paper is not None:
            rows.append(
                [
                    f"{entry.title}, paper",
                    f"{paper.epochs}",
                    f"{paper.minutes:.1f}",
                    f"{paper.accuracy:.2f} %",
                    f"{paper.loss:.4f}",
                    f"{paper.validation_accuracy:.2f} %",
                    f"{paper.validation_loss:.4f}",
                ]
            )
    head = ("", "Epochs", "Minutes", "Training accuracy", "loss", "Validation accuracy", "loss")
    return table(head, rows)


def cost_table(benchmark: Benchmark) -> str:
    """Size and speed of every network, and what it was timed on if that differs."""
    lettered = machines(benchmark)
    rows = [
        [
            entry.title,
            *([lettered[found.machine]] if len(lettered) > 1 else []),
            f"{found.parameters.total:,}",
            f"{found.parameters.trainable:,}",
            f"{found.saved_model_bytes / 1e6:.1f} MB",
            f"{found.litert_bytes / 1e6:.1f} MB",
            f"{found.latency['savedmodel'].median_ms:.1f} ms",
            f"{found.latency['litert'].median_ms:.1f} ms",
            "-" if found.peak_memory_bytes is None else f"{found.peak_memory_bytes / 1e9:.1f} GB",
        ]
        for entry, found in measured_of(benchmark)
    ]
    head = (
        "",
        *(["Machine"] if len(lettered) > 1 else []),
        "Parameters",
        "learnt",
        "SavedModel",
        "LiteRT",
        "SavedModel, one picture",
        "LiteRT, one picture",
        "Most memory while training",
    )
    return table(head, rows)


def class_table(found: BenchmarkResult) -> str:
    """Recall and precision of each class by one architecture, with their intervals."""
    rows = [
        [code, f"{figures.recall.n:,}", share_text(figures.recall), share_text(figures.precision)]
        for code, figures in found.evaluation.classes.items()
    ]
    return table(("", "n", "Recall", "Precision"), rows)


def measured_of(benchmark: Benchmark) -> list[tuple[Entry, BenchmarkResult]]:
    """Give the entries that have figures, with them."""
    return [(entry, entry.measured) for entry in benchmark.entries if entry.measured is not None]


def _overall(found: BenchmarkResult) -> list[str]:
    figures = found.evaluation
    shown = (figures.accuracy, figures.balanced_accuracy, figures.melanoma_sensitivity)
    return [share_text(figure) for figure in shown]


def _per_cent(found: BenchmarkResult, code: str) -> str:
    value = found.evaluation.classes[code].recall.value
    return MISSING if value is None else f"{100 * value:.1f}"


def _training(found: BenchmarkResult) -> list[str]:
    last = found.history[-1]
    return [
        f"{found.epochs}",
        NOT_MEASURED if found.minutes is None else f"{found.minutes:.1f}",
        f"{100 * last.accuracy:.2f} %",
        f"{last.loss:.4f}",
        f"{100 * last.validation_accuracy:.2f} %",
        f"{last.validation_loss:.4f}",
    ]
