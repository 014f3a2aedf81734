"""Images in zip and tar files, read as streams: nothing is unpacked to the disk.

A member is read up to the limit of an image, whatever size it declares or expands to.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from lentigo_inference.errors import FetchError, FetchFailure, SourceError
from lentigo_inference.scoring.items import Content, Place, Unusable
from lentigo_inference.scoring.sources.found import (
    Found,
    is_image_name,
    leaves_archive,
    printable,
)

ZIP_SUFFIXES: Final = (".zip",)
TAR_SUFFIXES: Final = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

_ENCRYPTED: Final = 0x1
_TAR_DAMAGE: Final = (tarfile.TarError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class ArchiveSource:
    """A zip or tar file."""

    file: Path
    max_bytes: int

    @property
    def identity(self) -> dict[str, str]:
        """See `Source`."""
        return {"kind": "archive", "path": printable(str(self.file.resolve()))}

    def images(self) -> Iterator[Found]:
        """See `Source`."""
        return archive_images(self.file, self.max_bytes)


def is_archive_name(name: str) -> bool:
    """Return whether a file is read as an archive, by its name."""
    return name.lower().endswith((*ZIP_SUFFIXES, *TAR_SUFFIXES))


def archive_images(file: Path, max_bytes: int) -> Iterator[Found]:
    """Give the images of a zip or tar file, in its order.

    Args:
        file: the archive.
        max_bytes: of an image.

    Raises:
        SourceError: it is damaged, or ends in the middle.
    """
    try:
        if file.name.lower().endswith(ZIP_SUFFIXES):
            yield from _zip_images(file, max_bytes)
        else:
            yield from _tar_images(file, max_bytes)
    except OSError as error:
        raise SourceError(
            f"{printable(str(file))} cannot be read any further ({error.strerror or error})."
        ) from error


def _zip_images(file: Path, max_bytes: int) -> Iterator[Found]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise SourceError(
            f"{printable(str(file))} is no zip file, or ends in the middle: its list of members "
            "is missing or damaged. Get it again."
        ) from error
    with archive:
        for info in archive.infolist():
            if not info.is_dir() and is_image_name(info.filename):
                stamp = f"{info.file_size}:{info.CRC:08x}"
                yield _member(
                    info.filename,
                    stamp,
                    lambda info=info: _zip_content(archive, info, max_bytes),  # type: ignore[misc]
                )


def _zip_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> Place:
    if info.flag_bits & _ENCRYPTED:
        return Unusable(
            FetchError("This member has a password. Unpack it first.", FetchFailure.ENCRYPTED)
        )
    try:
        with archive.open(info) as member:
            return Content(member.read(max_bytes + 1))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        return Unusable(_damaged_member(error))


def _damaged_member(error: Exception) -> FetchError:
    return FetchError(
        f"This member of the archive is damaged ({type(error).__name__}). Get the archive again.",
        FetchFailure.DAMAGED_MEMBER,
    )


def _tar_images(file: Path, max_bytes: int) -> Iterator[Found]:
    found = 0

    def read(archive: tarfile.TarFile, info: tarfile.TarInfo, before: int) -> Place:
        # Here the stream may end, too.
        try:
            return _tar_content(archive, info, max_bytes)
        except _TAR_DAMAGE as error:
            raise _damaged_tar(file, before, error) from error

    try:
        with file.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            for info in _members(archive):
                if not info.isfile() or not is_image_name(info.name):
                    continue
                yield _member(
                    info.name,
                    str(info.size),
                    lambda info=info, found=found: read(archive, info, found),  # type: ignore[misc]
                )
                found += 1
    except _TAR_DAMAGE as error:
        raise _damaged_tar(file, found, error) from error


def _damaged_tar(file: Path, found: int, error: Exception) -> SourceError:
    return SourceError(
        f"{printable(str(file))} is damaged or ends in the middle, after {found:,} images "
        f"({error}). Get it again; the same command then goes on."
    )


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (info := archive.next()) is not None:
        yield info
        # `tarfile` keeps all that it has seen, even of a stream.
        archive.members = []  # type: ignore[attr-defined]


def _tar_content(archive: tarfile.TarFile, info: tarfile.TarInfo, max_bytes: int) -> Place:
    member: IO[bytes] | None = archive.extractfile(info)
    if member is None:
        return Unusable(_damaged_member(ValueError(info.name)))
    return Content(member.read(max_bytes + 1))


def _member(name: str, stamp: str, place: Callable[[], Place]) -> Found:
    if leaves_archive(name):
        error = FetchError(
            "The name of this member leads out of the archive.", FetchFailure.UNSAFE_PATH
        )
        return Found(printable(name), stamp, lambda: Unusable(error))
    return Found(printable(name), stamp, place)
