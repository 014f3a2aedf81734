"""Images that a table lists, by path or URL: CSV with a header, or Parquet.

A relative path is below the folder of the table. Absolute paths and URLs are taken as they are.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lentigo_inference.errors import FetchError, FetchFailure, MissingExtraError, SourceError
from lentigo_inference.scoring.items import LocalFile, Place, Unusable, Url
from lentigo_inference.scoring.sources.found import Found, leaves_archive, printable

TABLE_SUFFIXES: Final = (".csv", ".parquet")

COLUMNS: Final = ("path", "url", "image")
"""Names of the column, if none is given; a table with one column needs none of them."""

_URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*(::[a-zA-Z][a-zA-Z0-9+.-]*)*://")
_ROWS_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table of paths or URLs."""

    file: Path
    column: str | None = None

    @property
    def identity(self) -> dict[str, str]:
        """See `Source`."""
        path = printable(str(self.file.resolve()))
        return {"kind": "table", "path": path, "column": self.column or ""}

    def images(self) -> Iterator[Found]:
        """See `Source`."""
        parquet = self.file.suffix.lower() == ".parquet"
        values = self._parquet_values() if parquet else self._csv_values()
        folder = self.file.resolve().parent
        for value in values:
            yield Found(printable(value), "", lambda value=value: _place(folder, value))  # type: ignore[misc]

    def _csv_values(self) -> Iterator[str]:
        line = 1
        try:
            with self.file.open(newline="", encoding="utf-8-sig") as text:
                reader = csv.reader(text)
                header = next(reader, None)
                if header is None:
                    raise SourceError(f"{printable(str(self.file))} is empty.")
                place = header.index(self._column_among(header))
                for row in reader:
                    line = reader.line_num
                    if row:
                        yield row[place]
        except (csv.Error, UnicodeDecodeError, IndexError) as error:
            raise SourceError(
                f"{printable(str(self.file))} cannot be read after line {line:,}: it is no CSV in "
                "UTF-8, or a row is too short."
            ) from error
        except OSError as error:
            raise _unreadable(self.file, error) from error

    def _parquet_values(self) -> Iterator[str]:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError(
                "Parquet needs pyarrow. Install lentigo-inference[score]."
            ) from error
        try:
            with pq.ParquetFile(self.file) as table:
                column = self._column_among(table.schema_arrow.names)
                for batch in table.iter_batches(_ROWS_AT_ONCE, columns=[column]):
                    yield from map(str, batch.column(0).to_pylist())
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.file, error) from error

    def _column_among(self, names: Sequence[str]) -> str:
        if self.column is not None:
            if self.column in names:
                return self.column
        elif len(names) == 1:
            return names[0]
        else:
            found = [name for name in COLUMNS if name in names]
            if len(found) == 1:
                return found[0]
        raise SourceError(
            f"{printable(str(self.file))} has the columns {', '.join(names)}. Name the one of the "
            "images with --column."
        )


def _place(folder: Path, value: str) -> Place:
    if _URL.match(value):
        return Url(value)
    path = Path(value)
    if not path.is_absolute() and leaves_archive(value):
        return Unusable(
            FetchError(
                "This relative path leads out of the folder of the table. Write it absolute.",
                FetchFailure.UNSAFE_PATH,
            )
        )
    file = folder / path
    try:
        return LocalFile(file, file.stat().st_size)
    except (OSError, ValueError):
        # Fetching it says what is wrong.
        return LocalFile(file)


def _unreadable(file: Path, error: Exception) -> SourceError:
    reason = getattr(error, "strerror", None) or "it is damaged"
    return SourceError(f"{printable(str(file))} cannot be read ({reason}).")
