"""Folders and zip archives that hold images and tables, opened without trusting them.

Nothing is unpacked to disk: members are read by name from the open archive. An archive whose
members point outside it, or which unpacks to far more than it holds, is refused as a whole.
"""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from lentigo_contract.imaging.read import ImageLimits
from lentigo_trainer.data.ham10000 import ImageReader
from lentigo_trainer.errors import DamagedArchiveError, SourceNotFoundError, UnsafeArchiveError

IMAGE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

MOST_EXPANSION: Final = 100
"""Times its own size that an archive may unpack to. Images hardly shrink in an archive, and a table
of metadata to about a tenth."""

MOST_TABLE_BYTES: Final = 512 * 2**20

_HARMLESS: Final = 16 * 2**20
"""Bytes that an archive may unpack to whatever its own size."""

_NOT_OURS: Final = "__MACOSX"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image in a folder or archive.

    Attributes:
        suffix: of its name, in lower case, such as ".jpg".
        read: returns its bytes.
    """

    suffix: str
    read: ImageReader


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table in a folder or archive, or named by itself.

    Attributes:
        name: of the file, for messages.
        read: returns its bytes.
    """

    name: str
    read: ImageReader


@dataclass(frozen=True, slots=True)
class Contents:
    """What folders and archives hold together.

    Attributes:
        images: by name without suffix; a name may stand for several files.
        tables: every `.csv`.
    """

    images: dict[str, list[ImageFile]] = field(default_factory=dict)
    tables: list[TableFile] = field(default_factory=list)

    def add(self, path: PurePosixPath, read: ImageReader) -> None:
        """Add a file if it is an image or a table."""
        suffix = path.suffix.lower()
        if path.name.startswith(".") or _NOT_OURS in path.parts:
            return
        if suffix in IMAGE_SUFFIXES:
            self.images.setdefault(path.stem, []).append(ImageFile(suffix, read))
        elif suffix == ".csv":
            self.tables.append(TableFile(path.name, read))


@contextmanager
def open_contents(parts: Sequence[Path]) -> Iterator[Contents]:
    """Open folders and archives; readers work within the block, also from several threads.

    Archives that lie directly in a folder are opened too.

    Raises:
        SourceNotFoundError: a part does not exist or cannot be opened.
        DamagedArchiveError: an archive is cut off or is not an archive.
        UnsafeArchiveError: an archive has paths that lead out of it, or is a zip bomb.
    """
    contents = Contents()
    with ExitStack() as stack:
        for part in parts:
            if part.is_dir():
                for path in sorted(part.rglob("*")):
                    if path.is_file():
                        contents.add(PurePosixPath(path.relative_to(part)), path.read_bytes)
                for path in sorted(part.glob("*.zip")):
                    _add_archive(contents, path, stack)
            else:
                _add_archive(contents, part, stack)
        yield contents


def table_at(path: Path) -> TableFile:
    """Return a table on disk.

    Raises:
        SourceNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise SourceNotFoundError(f"{path} does not exist. Give --metadata a CSV file.")
    return TableFile(path.name, path.read_bytes)


@dataclass(frozen=True, slots=True)
class _Member:
    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    def __call__(self) -> bytes:
        # With a limit, a member that unpacks to more than it states is not unpacked any further.
        with self.archive.open(self.entry) as member:
            return member.read(self.entry.file_size + 1)


def _add_archive(contents: Contents, path: Path, stack: ExitStack) -> None:
    archive = _open(path, stack)
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    _require_safe_paths(path, entries)
    _require_no_bomb(path, entries)
    for entry in entries:
        contents.add(PurePosixPath(entry.filename), _Member(archive, entry))


def _open(path: Path, stack: ExitStack) -> zipfile.ZipFile:
    try:
        return stack.enter_context(zipfile.ZipFile(path))
    except zipfile.BadZipFile as error:
        raise DamagedArchiveError(
            f"{path} is cut off or is not a zip archive. Fetch it again, or give a folder."
        ) from error
    except OSError as error:
        raise SourceNotFoundError(
            f"{path} cannot be opened ({error.strerror}). Give a folder or a zip archive of images."
        ) from error


def _require_safe_paths(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
            raise UnsafeArchiveError(
                f"{path} has a member whose path leads out of it ({entry.filename!r}), as no "
                "collection of images has. Nothing of it was read; get the archive from its source."
            )


def _require_no_bomb(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Check the sizes that an archive states; `zipfile` never unpacks more than they say."""
    held, stated = path.stat().st_size, sum(entry.file_size for entry in entries)
    if stated > max(_HARMLESS, MOST_EXPANSION * held):
        raise UnsafeArchiveError(
            f"{path} would unpack from {held / 1e6:,.1f} to {stated / 1e6:,.1f} MB: a zip bomb. "
            "Nothing of it was read; get the archive from its source."
        )
    for entry in entries:
        suffix = PurePosixPath(entry.filename).suffix.lower()
        most = ImageLimits().max_bytes if suffix in IMAGE_SUFFIXES else MOST_TABLE_BYTES
        shrunk = entry.file_size > MOST_EXPANSION * max(1, entry.compress_size)
        if entry.file_size > most and shrunk:
            raise UnsafeArchiveError(
                f"{path} has a member of {entry.file_size / 1e6:,.1f} MB in "
                f"{entry.compress_size / 1e6:,.3f} MB ({entry.filename!r}): a zip bomb. Nothing of "
                "it was read; get the archive from its source."
            )
