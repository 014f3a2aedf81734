"""A benchmark's report in a folder: `benchmark.json`, `README.md`, and the plots it shows.

The page is made from the record alone; its text is in `reporting/templates/benchmark.md.j2`.
"""

from pathlib import Path
from typing import Final

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_trainer.benchmark.plots import accuracy_by_latency, recalls
from lentigo_trainer.benchmark.records import Benchmark
from lentigo_trainer.benchmark.tables import (
    accuracy_rows,
    baselines,
    class_rows,
    cost_table,
    earlier_versions,
    machines,
    paper_rows,
    recall_table,
    results_of,
    row_name,
    timed_name,
    training_baseline,
)
from lentigo_trainer.reporting.plots import confusion, curves
from lentigo_trainer.reporting.rendering import render_markdown
from lentigo_trainer.system.storage import storage_errors, write_whole

RECORD: Final = "benchmark.json"
PAGE: Final = "README.md"


def read_report(folder: Path) -> Benchmark | None:
    """Read the record of a report, if the folder holds one.

    Raises:
        MetricError: the record cannot be read.
    """
    return Benchmark.read(folder / RECORD) if (folder / RECORD).exists() else None


def write_report(benchmark: Benchmark, folder: Path) -> None:
    """Write the whole report; files of an earlier one are replaced or removed.

    Raises:
        StorageError: the disk is full or not writable.
    """
    plots = _plots(benchmark)
    files = {
        RECORD: benchmark.to_json().encode(),
        PAGE: report_page(benchmark).encode(),
        **plots,
    }
    for name, content in files.items():
        write_whole(folder / name, content)
    with storage_errors(folder):
        for name in _possible_plots(benchmark) - plots.keys():
            (folder / name).unlink(missing_ok=True)


def report_page(benchmark: Benchmark) -> str:
    """Write the page in Markdown; the plots it shows lie beside it."""
    results = results_of(benchmark)
    recall_head, recall_rows = recall_table(benchmark)
    cost_head, cost_rows = cost_table(benchmark)
    return render_markdown(
        "benchmark.md.j2",
        notice=RESEARCH_NOTICE,
        benchmark=benchmark,
        baselines=baselines(benchmark),
        training_baseline=training_baseline(benchmark),
        networks=[
            {
                "key": entry.name,
                "title": entry.title,
                "name": row_name(benchmark, entry),
                "epochs": result.epochs,
                "rows": sum(result.rows.values()),
                "images": result.images,
                "class_rows": class_rows(result),
            }
            for entry, result in results
        ],
        machines=machines(benchmark),
        earlier_versions=earlier_versions(benchmark),
        in_bfloat16=[entry.title for entry, result in results if result.bfloat16],
        loads=[
            f"{entry.title} {result.latency['litert'].load}"
            for entry, result in results
            if result.latency["litert"].load is not None
        ],
        accuracy_rows=accuracy_rows(benchmark),
        recall_head=recall_head,
        recall_rows=recall_rows,
        cost_head=cost_head,
        cost_rows=cost_rows,
        paper_rows=paper_rows(benchmark),
    )


def _plots(benchmark: Benchmark) -> dict[str, bytes]:
    results = results_of(benchmark)
    if not results:
        return {}
    by_name = [(row_name(benchmark, entry), result) for entry, result in results]
    by_timed_name = [(timed_name(benchmark, entry), result) for entry, result in results]
    plots = {
        "recalls.png": recalls(by_name),
        "accuracy-latency.png": accuracy_by_latency(by_timed_name),
    }
    for entry, result in results:
        evaluation = result.evaluation
        baseline = evaluation.majority_baseline.value or 0.0
        plots[f"curves-{entry.name}.png"] = curves(result.history, baseline, evaluation.majority)
        plots[f"confusion-{entry.name}.png"] = confusion(evaluation)
    return plots


def _possible_plots(benchmark: Benchmark) -> set[str]:
    kinds = ("curves", "confusion")
    of_networks = {f"{kind}-{entry.name}.png" for kind in kinds for entry in benchmark.entries}
    return of_networks | {"recalls.png", "accuracy-latency.png"}
