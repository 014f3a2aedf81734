"""A benchmark's report in a folder: `benchmark.json`, the page, and the pictures it shows.

The report's page, in Markdown, from nothing but a benchmark's record.
"""

from pathlib import Path
from typing import Final

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_trainer.benchmark.plots import accuracy_by_latency, recalls
from lentigo_trainer.benchmark.records import Benchmark, BenchmarkResult, Entry
from lentigo_trainer.benchmark.tables import (
    accuracy_table,
    baselines,
    class_table,
    cost_table,
    machines,
    measured_of,
    paper_table,
    recall_table,
    row_name,
    timed_name,
)
from lentigo_trainer.reporting.plots import confusion, curves
from lentigo_trainer.system.storage import storage_errors, write_whole


def page(benchmark: Benchmark) -> str:
    """Write the page; the pictures it shows lie beside it."""
    parts = [_opening(benchmark), _results(benchmark)]
    if measured_of(benchmark):
        parts.append(_comparison(benchmark))
    parts.append(_published(benchmark))
    parts += [_one(benchmark, entry, found) for entry, found in measured_of(benchmark)]
    parts.append(_method(benchmark))
    return "\n".join(parts)


def _opening(benchmark: Benchmark) -> str:
    majority, share, balanced = baselines(benchmark)
    held_back = sum(benchmark.validation.values())
    quick = (
        ""
        if benchmark.limit is None
        else f"\n**A quick run on about {benchmark.limit:,} of {benchmark.images:,} images. Its "
        "networks are worth nothing.**\n"
    )
    return f"""# Architectures, compared

{RESEARCH_NOTICE}
{quick}
{len(measured_of(benchmark))} of {len(benchmark.entries)} networks were measured, on the same
{held_back:,} validation images of HAM10000, which trained none of them. {share:.1f} % of these are
{majority}: a program that always answers "{majority}" has that accuracy, and a balanced accuracy of
{balanced:.1f} %. Read accuracy against the first, and balanced accuracy, the mean of the recalls of
all classes, against the second. Figures in brackets are 95 % intervals.
"""


def _results(benchmark: Benchmark) -> str:
    missing = "".join(
        f"- {entry.title}: not measured. Reason: {entry.reason}.\n"
        for entry in benchmark.entries
        if entry.measured is None
    )
    return f"""## Results

{accuracy_table(benchmark)}
{missing}"""


def _comparison(benchmark: Benchmark) -> str:
    return f"""## Every class

Recall, per cent; in brackets how many images the class has. Their intervals are in the picture.

{recall_table(benchmark)}
![Recall of each class by each network, with intervals](recalls.png)

## Size and speed

Latency is the median time of one picture, activation map included, on the processor alone.
{_apart(benchmark)}
{cost_table(benchmark)}
![Accuracy and balanced accuracy against latency](accuracy-latency.png)
"""


def _apart(benchmark: Benchmark) -> str:
    if len(machines(benchmark)) < 2:
        return ""
    return (
        "Not all networks were timed on the same machine. Compare times only where the letter is\n"
        'the same; "How it was measured" says what it stands for.\n'
    )


def _published(benchmark: Benchmark) -> str:
    return f"""## The paper's table, and ours

The last epoch of each network. The paper's minutes are those of an Apple M1's GPU, ours those of
the processors named below. Training figures are taken while learning, with augmentation and dropout
at work. {_majority_of_rows(benchmark)}

{paper_table(benchmark)}"""


def _majority_of_rows(benchmark: Benchmark) -> str:
    found = measured_of(benchmark)
    if not found:
        return ""
    rows = found[0][1].rows
    majority = max(rows, key=rows.__getitem__)
    share = 100 * rows[majority] / sum(rows.values())
    return (
        "On the training rows, where the classes are filled up, always answering "
        f'"{majority}" comes to {share:.1f} %.'
    )


def _one(benchmark: Benchmark, entry: Entry, found: BenchmarkResult) -> str:
    epochs = "1 epoch" if found.epochs == 1 else f"{found.epochs} epochs"
    return f"""## {row_name(benchmark, entry)}

{epochs} on {sum(found.rows.values()):,} rows made of {found.images:,} images.

![Accuracy and loss of {entry.title} by epoch](curves-{entry.name}.png)

![Confusion matrix of {entry.title}](confusion-{entry.name}.png)

{class_table(found)}"""


def _method(benchmark: Benchmark) -> str:
    loads = [
        f"{entry.title} {found.latency['litert'].load}"
        for entry, found in measured_of(benchmark)
        if found.latency["litert"].load is not None
    ]
    busy = f" The system's load was then: {', '.join(loads)}." if loads else ""
    rounded = ", ".join(entry.title for entry, found in measured_of(benchmark) if found.bfloat16)
    arithmetic = (
        f" In bfloat16 while training: {rounded}; the pass through the frozen layers,\n"
        "  or every step where nothing is frozen. What is exported is in float32."
        if rounded
        else ""
    )
    return f"""## How it was measured

- Made by `lentigo-train benchmark` {benchmark.code_version}, seed {benchmark.seed}, last added to
  on {benchmark.created:%Y-%m-%d}. Everything here comes from [benchmark.json](benchmark.json).
- Each network follows its recipe; all see the same rows, and accuracy is that of the exported
  SavedModel.{arithmetic}
- Intervals: percentile bootstrap over lesions. Where few images stand behind a figure they are
  wide, and a share of 0 or 100 % has one of no width.
- {_machines(benchmark)}{busy}
- Data: {benchmark.images:,} images, digest `{benchmark.dataset[:16]}`.
"""


def _machines(benchmark: Benchmark) -> str:
    lettered = machines(benchmark)
    return (
        " ".join(
            f"Machine{f' {letter}' if len(lettered) > 1 else ''}: {machine.cores} cores of "
            f"{machine.processor}, {machine.system}, TensorFlow {machine.tensorflow}, "
            f"LiteRT {machine.litert}."
            for machine, letter in lettered.items()
        )
        or "Machine: nothing yet."
    )


RECORD: Final = "benchmark.json"
PAGE: Final = "README.md"


def read_report(folder: Path) -> Benchmark | None:
    """Read the report that a folder holds, if it holds one.

    Raises:
        MetricError: its record cannot be read.
    """
    return Benchmark.read(folder / RECORD) if (folder / RECORD).exists() else None


def write_report(benchmark: Benchmark, folder: Path) -> None:
    """Write the whole report; files of an earlier one are replaced or removed.

    Raises:
        StorageError: the disk is full or not writable.
    """
    drawn = _pictures(benchmark)
    files = {
        RECORD: benchmark.to_json().encode(),
        PAGE: page(benchmark).encode(),
        **drawn,
    }
    for name, content in files.items():
        write_whole(folder / name, content)
    with storage_errors(folder):
        for name in _possible_pictures(benchmark) - drawn.keys():
            (folder / name).unlink(missing_ok=True)


def _pictures(benchmark: Benchmark) -> dict[str, bytes]:
    found = measured_of(benchmark)
    if not found:
        return {}
    rows = [(row_name(benchmark, entry), measured) for entry, measured in found]
    timed = [(timed_name(benchmark, entry), measured) for entry, measured in found]
    drawn = {
        "recalls.png": recalls(rows),
        "accuracy-latency.png": accuracy_by_latency(timed),
    }
    for entry, measured in found:
        evaluation = measured.evaluation
        baseline = evaluation.majority_baseline.value or 0.0
        drawn[f"curves-{entry.name}.png"] = curves(measured.history, baseline, evaluation.majority)
        drawn[f"confusion-{entry.name}.png"] = confusion(evaluation)
    return drawn


def _possible_pictures(benchmark: Benchmark) -> set[str]:
    kinds = ("curves", "confusion")
    each = {f"{kind}-{entry.name}.png" for kind in kinds for entry in benchmark.entries}
    return each | {"recalls.png", "accuracy-latency.png"}
