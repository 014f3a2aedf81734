"""A benchmark's report in a folder: `benchmark.json`, the page, and the pictures it shows."""

from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from lentigo_trainer.benchmark import pictures
from lentigo_trainer.benchmark.page import page
from lentigo_trainer.benchmark.records import Benchmark
from lentigo_trainer.benchmark.tables import measured_of, row_name, timed_name
from lentigo_trainer.reporting import plots
from lentigo_trainer.system.storage import storage_errors, write_whole

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
        write_whole(folder / name, partial(_write, content))
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
        "recalls.png": pictures.recalls(rows),
        "accuracy-latency.png": pictures.accuracy_by_latency(timed),
    }
    for entry, measured in found:
        evaluation = measured.evaluation
        baseline = evaluation.majority_baseline.value or 0.0
        drawn[f"curves-{entry.name}.png"] = plots.curves(
            measured.history, baseline, evaluation.majority
        )
        drawn[f"confusion-{entry.name}.png"] = plots.confusion(evaluation)
    return drawn


def _possible_pictures(benchmark: Benchmark) -> set[str]:
    kinds = ("curves", "confusion")
    each = {f"{kind}-{entry.name}.png" for kind in kinds for entry in benchmark.entries}
    return each | {"recalls.png", "accuracy-latency.png"}


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)
