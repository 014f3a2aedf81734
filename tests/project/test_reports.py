"""Committed reports are what their records say: nobody edits a figure by hand."""

from pathlib import Path

from lentigo_trainer.benchmark.records import Benchmark
from lentigo_trainer.benchmark.report import report_page
from lentigo_trainer.compression.records import CompressionRecord
from lentigo_trainer.compression.report import compression_page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_the_benchmark_is_made_from_its_record() -> None:
    folder = DOCS / "benchmark"
    assert report_page(Benchmark.read(folder / "benchmark.json")) == page(folder)


def test_the_page_of_the_compression_is_made_from_its_record() -> None:
    folder = DOCS / "compression"
    record = CompressionRecord.model_validate_json((folder / "compression.json").read_bytes())
    assert compression_page(record) == page(folder)


def page(folder: Path) -> str:
    return (folder / "README.md").read_text()
