"""Decode every image once, with the service's own function, to one array on disk.

Encoded images to pixels, by the service's own function, several at a time.
"""

import hashlib
import json
import mmap
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from lentigo_contract.errors import ImageError
from lentigo_contract.imaging.read import MODEL_SIDE, ModelImage, read_image
from lentigo_contract.labels import index_of
from lentigo_trainer.data.ham10000 import (
    COLUMNS,
    ImageReader,
    Source,
    open_images,
    read_metadata,
    require_images,
)
from lentigo_trainer.errors import DamagedImagesError, WorkFolderError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked, require_space, write_whole

# So many are handed out at a time: what is decoded waits in memory for its turn to be written.
_CHUNK: Final = 256

# The archive's directory is whole, but a member is not, or is locked with a password.
UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


def decode(
    chosen: Sequence[tuple[str, ImageReader]], workers: int, progress: Progress
) -> Iterator[tuple[str, ModelImage]]:
    """Read and decode images, in their order.

    Args:
        chosen: name and reader of each image.
        workers: threads that decode; Pillow lets them run side by side.
        progress: told how many images are done.

    Yields:
        SHA-256 of the encoded bytes, hex, and the image.

    Raises:
        DamagedImagesError: after the last image, naming every one that cannot be decoded.
    """
    damaged: list[str] = []
    with (
        ThreadPoolExecutor(workers) as pool,
        progress.track("Decoding", total=len(chosen), unit="images") as step,
    ):
        for start in range(0, len(chosen), _CHUNK):
            for outcome in pool.map(_decode_one, chosen[start : start + _CHUNK]):
                if isinstance(outcome, str):
                    damaged.append(outcome)
                else:
                    yield outcome
                step.advance()
    if damaged:
        raise DamagedImagesError(
            f"{len(damaged)} of {len(chosen):,} images cannot be read: {', '.join(damaged)}. "
            "Fetch them again, or take their rows out of the table that lists them."
        )


def _decode_one(item: tuple[str, ImageReader]) -> tuple[str, ModelImage] | str:
    name, read = item
    try:
        data = read()
        return hashlib.sha256(data).hexdigest(), read_image(data)
    except ImageError:
        return name
    except UNREADABLE:
        return name


# Raised when `read_image` changes what it gives for the same bytes, so that old arrays are redone.
DECODER: Final = "bilinear-squash-1"

_IMAGES: Final = "images.npy"
_RECORDS: Final = "records.csv"
_SUMMARY: Final = "prepared.json"
_TYPES: Final[dict[str, type]] = {**dict.fromkeys((*COLUMNS, "sha256"), str), "age": float}
_IMAGE_BYTES: Final = MODEL_SIDE * MODEL_SIDE * 3


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data set, ready to train from.

    Attributes:
        images: uint8 [n, 224, 224, 3], memory-mapped.
        records: the metadata, one row an image, in the order of `images`.
        labels: int64 [n], indices into `labels.CODES`.
        digests: SHA-256 of every encoded image, hex, in the same order.
        digest: SHA-256 over the names, diagnoses and sums of all images, hex.
    """

    images: npt.NDArray[np.uint8]
    records: pd.DataFrame
    labels: npt.NDArray[np.int64]
    digests: tuple[str, ...]
    digest: str

    def release_pages(self) -> None:
        """Give back the pages of the images that were read: until then they count as ours.

        They are read from disk, or from the kernel's cache, when they are asked for again.
        """
        if isinstance(self.images.base, mmap.mmap):
            self.images.base.madvise(mmap.MADV_DONTNEED)


def prepare(source: Source, folder: Path, workers: int, progress: Progress) -> Prepared:
    """Read, check and decode a data set, or open what an earlier run prepared from it.

    Args:
        source: where the data lie.
        folder: where the prepared array is kept.
        workers: threads that decode; Pillow lets them run side by side.
        progress: told how many images are done.

    Raises:
        MetadataError: the metadata contradicts itself or the images.
        DamagedArchiveError: an archive is cut off.
        DamagedImagesError: images that cannot be decoded, all of them named.
        WorkFolderError: another process is preparing into this folder.
        StorageError: the disk is full or not writable.
    """
    records = read_metadata(source.metadata)
    stamp = _stamp(source)
    if _is_finished(folder, stamp):
        with suppress(WorkFolderError):
            prepared = open_prepared(folder)
            progress.say(f"Prepared images found in {folder}")
            return prepared
    with locked(folder), open_images(source) as readers:
        require_images(records, readers.keys(), source.metadata)
        require_space(folder, len(records) * _IMAGE_BYTES)
        chosen = [(name, readers[name]) for name in records["image_id"]]
        digests = _write_images(folder / _IMAGES, chosen, workers, progress)
        _warn_of_copies(records, digests, progress)
        records = records.assign(sha256=digests)
        write_whole(folder / _RECORDS, lambda file: records.to_csv(file, index=False))
        summary = {"source": stamp, "images": len(records), "digest": _digest(records)}
        write_whole(folder / _SUMMARY, lambda file: file.write(json.dumps(summary).encode()))
    return open_prepared(folder)


def open_prepared(folder: Path) -> Prepared:
    """Open what `prepare` left in a folder.

    Raises:
        WorkFolderError: there is nothing finished.
    """
    try:
        summary = json.loads((folder / _SUMMARY).read_text())
        images = np.load(folder / _IMAGES, mmap_mode="r")
        records = pd.read_csv(
            folder / _RECORDS,
            dtype=_TYPES,
            keep_default_na=False,
            na_values={"age": ""},
        )
    except (OSError, ValueError) as error:
        raise WorkFolderError(
            f"{folder} holds no prepared images. Run `lentigo-train prepare` first."
        ) from error
    return Prepared(
        images=images,
        records=records,
        labels=np.array([index_of(code) for code in records["dx"]], np.int64),
        digests=tuple(records["sha256"]),
        digest=str(summary["digest"]),
    )


def _write_images(
    path: Path, chosen: Sequence[tuple[str, ImageReader]], workers: int, progress: Progress
) -> list[str]:
    """Decode into one array on disk; give the SHA-256 of every image's bytes."""
    digests: list[str] = []

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, _header(len(chosen)))
        for digest, image in decode(chosen, workers, progress):
            digests.append(digest)
            file.write(image.pixels.tobytes())
        # From here on an earlier summary would vouch for other images than its own.
        path.with_name(_SUMMARY).unlink(missing_ok=True)

    write_whole(path, write)
    return digests


def _header(images: int) -> dict[str, object]:
    shape = (images, MODEL_SIDE, MODEL_SIDE, 3)
    return {"descr": "|u1", "fortran_order": False, "shape": shape}


def _stamp(source: Source) -> dict[str, object]:
    """What tells one source from another without reading it: names, sizes, times of change."""
    stamp: dict[str, object] = {"decoder": DECODER}
    for path in (source.metadata, *source.parts):
        status = path.stat()
        stamp[path.name] = [status.st_size, status.st_mtime_ns]
    return stamp


def _is_finished(folder: Path, stamp: dict[str, object]) -> bool:
    try:
        return bool(json.loads((folder / _SUMMARY).read_text())["source"] == stamp)
    except (OSError, ValueError, KeyError):
        return False


def _digest(records: pd.DataFrame) -> str:
    total = hashlib.sha256(DECODER.encode())
    for row in zip(records["image_id"], records["dx"], records["sha256"], strict=True):
        total.update("\0".join(row).encode())
    return total.hexdigest()


def _warn_of_copies(records: pd.DataFrame, digests: list[str], progress: Progress) -> None:
    copies = pd.Series(digests).duplicated(keep=False)
    lesions = records["lesion_id"][copies.to_numpy()].nunique()
    if copies.any():
        progress.say(
            f"Note: {int(copies.sum())} images of {lesions} lesions are byte for byte the same"
        )
