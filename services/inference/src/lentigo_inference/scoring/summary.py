"""What all rows together say: counts, and the distribution of P(malignant)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lentigo_contract.labels import CODES, RESEARCH_NOTICE
from lentigo_inference.errors import ResultFolderError

BINS: Final = 20
"""Of the histogram, each 0.05 wide."""

_COLUMNS: Final = ("diagnosis", "malignancy", "refer", "refer_reasons", "refusal", "error")


@dataclass(slots=True)
class Summary:
    """Counts of images.

    Attributes:
        images: all.
        diagnoses: by decided diagnosis.
        refer: that a physician should see.
        refer_reasons: by reason; an image may have several.
        refused: that cannot be judged.
        refusals: by reason; an image may have several.
        errors: without an answer, by error.
        malignancy: by P(malignant), [BINS], from 0 to 1.
    """

    images: int = 0
    diagnoses: Counter[str] = field(default_factory=Counter)
    refer: int = 0
    refer_reasons: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    malignancy: list[int] = field(default_factory=lambda: [0] * BINS)

    @property
    def answered(self) -> int:
        """Images with a diagnosis."""
        return self.diagnoses.total()

    @property
    def failed(self) -> int:
        """Images without any answer."""
        return self.errors.total()

    def add(self, row: dict[str, Any]) -> None:
        """Count one row."""
        self.images += 1
        if row["error"] is not None:
            self.errors[row["error"]] += 1
            return
        self.refer += bool(row["refer"])
        self.refer_reasons.update(row["refer_reasons"])
        self.refused += bool(row["refusal"])
        self.refusals.update(row["refusal"])
        if row["diagnosis"] is not None:
            self.diagnoses[row["diagnosis"]] += 1
            self.malignancy[min(BINS - 1, int(row["malignancy"] * BINS))] += 1

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "notice": RESEARCH_NOTICE,
            "images": self.images,
            "answered": self.answered,
            "diagnoses": {code: self.diagnoses[code] for code in CODES},
            "refer": self.refer,
            "refer_reasons": dict(sorted(self.refer_reasons.items())),
            "refused": self.refused,
            "refusals": dict(sorted(self.refusals.items())),
            "failed": self.failed,
            "errors": dict(sorted(self.errors.items())),
            "malignancy_histogram": self.malignancy,
        }


def summarize(parts: Iterable[Path]) -> Summary:
    """Count the rows of all parts, one part in memory at a time.

    Raises:
        ResultFolderError: a part cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    summary = Summary()
    for path in parts:
        try:
            rows = pq.read_table(path, columns=list(_COLUMNS)).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise ResultFolderError(
                f"{path} cannot be read. Remove it and summary.json; the same command scores it "
                "again."
            ) from error
        for row in rows:
            summary.add(row)
    return summary


def parts_with_errors(parts: Iterable[Path], errors: frozenset[str]) -> list[Path]:
    """Return the parts in which an image has one of these errors.

    Raises:
        ResultFolderError: a part cannot be read.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    found = []
    for path in parts:
        try:
            column = pq.read_table(path, columns=["error"]).column("error")
        except OSError as error:
            raise ResultFolderError(f"{path} cannot be read ({error}).") from error
        if errors & set(column.to_pylist()):
            found.append(path)
    return found
