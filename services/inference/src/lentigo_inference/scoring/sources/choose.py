"""Which kind of source a path is."""

from pathlib import Path

from lentigo_inference.errors import SourceError
from lentigo_inference.scoring.sources.archives import (
    TAR_SUFFIXES,
    ZIP_SUFFIXES,
    ArchiveSource,
    is_archive_name,
)
from lentigo_inference.scoring.sources.folder import FolderSource
from lentigo_inference.scoring.sources.found import Source, printable
from lentigo_inference.scoring.sources.table import TABLE_SUFFIXES, TableSource


def choose_source(path: Path, max_bytes: int, column: str | None = None) -> Source:
    """Return the source that a path names.

    Args:
        path: a folder, a zip or tar file, or a table.
        max_bytes: of an image.
        column: of a table.

    Raises:
        SourceError: it does not exist, or is none of them.
    """
    if path.is_dir():
        return FolderSource(path, max_bytes)
    if not path.is_file():
        raise SourceError(f"{printable(str(path))} does not exist. Name a folder or a file.")
    if is_archive_name(path.name):
        return ArchiveSource(path, max_bytes)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return TableSource(path, column)
    kinds = ", ".join((*ZIP_SUFFIXES, *TAR_SUFFIXES, *TABLE_SUFFIXES))
    raise SourceError(
        f"{printable(str(path))} is none of what can be scored: a folder, or a file that ends in "
        f"one of {kinds}."
    )
