"""The rows of a benchmark's tables, as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Final

from lentigo_contract.labels import CODES
from lentigo_contract.wording import pluralize
from lentigo_trainer.benchmark.records import Benchmark, BenchmarkResult, Entry, Machine
from lentigo_trainer.evaluation.summary import Evaluation
from lentigo_trainer.reporting.text import NOT_MEASURED, WITHOUT_DUPLICATES, share_text

MISSING: Final = "-"


Rows = list[list[str]]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Metrics of always answering the most frequent class.

    Attributes:
        majority: code of that class.
        accuracy: per cent.
        balanced_accuracy: per cent.
    """

    majority: str
    accuracy: float
    balanced_accuracy: float


def row_name(benchmark: Benchmark, entry: Entry) -> str:
    """Name an architecture, with what it had less of than its recipe asks for."""
    result = entry.measured
    if result is None:
        return entry.title
    notes = []
    if result.epochs < entry.recipe_epochs:
        notes.append(f"{result.epochs} of {pluralize(entry.recipe_epochs, 'epoch')}")
    if benchmark.limit is not None:
        notes.append(pluralize(sum(result.rows.values()), "row"))
    if result.weights == "random":
        notes.append("random frozen weights")
    return f"{entry.title} ({'; '.join(notes)})" if notes else entry.title


def machines(benchmark: Benchmark) -> dict[Machine, str]:
    """Assign a letter to each machine, in the order of the first network measured on it."""
    different = dict.fromkeys(result.machine for _, result in results_of(benchmark))
    return dict(zip(different, ascii_uppercase, strict=False))


def earlier_versions(benchmark: Benchmark) -> list[str]:
    """Name the networks that another version of the trainer measured, each with that version."""
    return [
        f"{entry.title} {result.code_version}"
        for entry, result in results_of(benchmark)
        if result.code_version not in (None, benchmark.code_version)
    ]


def timed_name(benchmark: Benchmark, entry: Entry) -> str:
    """Name an architecture where times are compared: with its machine, if there are several."""
    name, letters = row_name(benchmark, entry), machines(benchmark)
    if entry.measured is None or len(letters) < 2:
        return name
    return f"{name}, machine {letters[entry.measured.machine]}"


def accuracy_rows(benchmark: Benchmark) -> Rows:
    """Return accuracy and balanced accuracy of every network, of the paper and of the baseline."""
    rows = []
    for entry in benchmark.entries:
        paper = benchmark.paper.get(entry.name)
        published = f"{paper.validation_accuracy:.2f} %" if paper else MISSING
        result = entry.measured
        rows.append(
            [row_name(benchmark, entry), *_overall(result.evaluation), published]
            if result
            else [row_name(benchmark, entry), NOT_MEASURED, NOT_MEASURED, NOT_MEASURED, published]
        )
        rest = None if result is None else result.evaluation.without_known_duplicates
        if rest is not None:
            rows.append([WITHOUT_DUPLICATES, *_overall(rest), MISSING])
    always = baselines(benchmark)
    rows.append(
        [
            f"*always {always.majority}*",
            f"{always.accuracy:.1f} %",
            f"{always.balanced_accuracy:.1f} %",
            "100.0 %" if always.majority == "mel" else "0.0 %",
            MISSING,
        ]
    )
    return rows


def baselines(benchmark: Benchmark) -> Baseline:
    """Return the baseline on the validation images."""
    return _baseline(benchmark.validation)


def training_baseline(benchmark: Benchmark) -> Baseline | None:
    """Return the baseline on the training rows, which all networks share; None without a result."""
    results = results_of(benchmark)
    return _baseline(results[0][1].rows) if results else None


def _baseline(counts: Mapping[str, int]) -> Baseline:
    majority = max(counts, key=counts.__getitem__)
    present = sum(1 for count in counts.values() if count)
    return Baseline(majority, 100 * counts[majority] / sum(counts.values()), 100 / present)


def recall_table(benchmark: Benchmark) -> tuple[list[str], Rows]:
    """Return the recall of every class by every architecture, per cent."""
    head = ["", *(f"{code} ({benchmark.validation[code]})" for code in CODES)]
    rows = [
        [row_name(benchmark, entry), *(_per_cent(result, code) for code in CODES)]
        for entry, result in results_of(benchmark)
    ]
    return head, rows


def paper_rows(benchmark: Benchmark) -> Rows:
    """Return the paper's Table 1, each network beside ours."""
    rows = []
    for entry in benchmark.entries:
        paper = benchmark.paper.get(entry.name)
        result = entry.measured
        if result is not None:
            rows.append([f"{row_name(benchmark, entry)}, here", *_training(result)])
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
    return rows


def cost_table(benchmark: Benchmark) -> tuple[list[str], Rows]:
    """Return size and speed of every network, and its machine if there are several."""
    letters = machines(benchmark)
    rows = [_cost_row(entry, letters) for entry in benchmark.entries]
    head = [
        "",
        *(["Machine"] if len(letters) > 1 else []),
        "Parameters",
        "learnt",
        "SavedModel",
        "LiteRT",
        "SavedModel, one image",
        "LiteRT, one image",
        "Most memory while training",
    ]
    return head, [row for row in rows if row]


def _cost_row(entry: Entry, letters: Mapping[Machine, str]) -> list[str]:
    """Return the costs of one network; parameters alone where it was not measured, if known."""
    result = entry.measured
    counted = entry.parameters if result is None else result.parameters
    if counted is None:
        return []
    several = len(letters) > 1
    name = [entry.title, *([MISSING if result is None else letters[result.machine]] * several)]
    parameters = [f"{counted.total:,}", f"{counted.trainable:,}"]
    if result is None:
        return [*name, *parameters, *[NOT_MEASURED] * 5]
    memory = result.peak_memory_bytes
    return [
        *name,
        *parameters,
        f"{result.saved_model_bytes / 1e6:.1f} MB",
        f"{result.litert_bytes / 1e6:.1f} MB",
        f"{result.latency['savedmodel'].median_ms:.1f} ms",
        f"{result.latency['litert'].median_ms:.1f} ms",
        MISSING if memory is None else f"{memory / 1e9:.1f} GB",
    ]


def class_rows(result: BenchmarkResult) -> Rows:
    """Return each class's n, recall and precision by one architecture, with their intervals."""
    return [
        [code, f"{metrics.recall.n:,}", share_text(metrics.recall), share_text(metrics.precision)]
        for code, metrics in result.evaluation.classes.items()
    ]


def results_of(benchmark: Benchmark) -> list[tuple[Entry, BenchmarkResult]]:
    """Return the entries that have a result, each with its result."""
    return [(entry, entry.measured) for entry in benchmark.entries if entry.measured is not None]


def _overall(evaluation: Evaluation) -> list[str]:
    metrics = (
        evaluation.accuracy,
        evaluation.balanced_accuracy,
        evaluation.melanoma_sensitivity,
    )
    return [share_text(metric) for metric in metrics]


def _per_cent(result: BenchmarkResult, code: str) -> str:
    value = result.evaluation.classes[code].recall.value
    return MISSING if value is None else f"{100 * value:.1f}"


def _training(result: BenchmarkResult) -> list[str]:
    last = result.history[-1]
    return [
        f"{result.epochs}",
        NOT_MEASURED if result.minutes is None else f"{result.minutes:.1f}",
        f"{100 * last.accuracy:.2f} %",
        f"{last.loss:.4f}",
        f"{100 * last.validation_accuracy:.2f} %",
        f"{last.validation_loss:.4f}",
    ]
