"""The data set, prepared: every image decoded once, with the service's own function, to one array.

`prepare` checks the metadata, decodes the images in several threads and writes `images.npy`,
`records.csv` and, last, `prepared.json`, which names the source that they were made from.
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
from lentigo_contract.wording import pluralize
from lentigo_trainer.data.ham10000 import (
    COLUMNS,
    ImageReader,
    Source,
    open_images,
    read_metadata,
    require_images,
)
from lentigo_trainer.data.image_files import describe_files
from lentigo_trainer.errors import DamagedImagesError, WorkFolderError
from lentigo_trainer.system.progress import Progress
from lentigo_trainer.system.storage import locked, require_space, write_whole

# Change this whenever `read_image` returns other pixels for the same bytes: old arrays are redone.
DECODER: Final = "bilinear-squash-1"

# The archive's directory is intact, but a member is damaged or locked with a password.
UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)

# Images handed to the threads at a time; decoded images wait in memory until they are written.
_CHUNK: Final = 256

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
        records: the metadata, one row per image, in the order of `images`.
        labels: int64 [n], indices into `labels.CODES`.
        digests: SHA-256 of every encoded image, hex, in the same order.
        digest: SHA-256 of the names, diagnoses and digests of all images, hex.
    """

    images: npt.NDArray[np.uint8]
    records: pd.DataFrame
    labels: npt.NDArray[np.int64]
    digests: tuple[str, ...]
    digest: str

    def release_pages(self) -> None:
        """Release the memory pages of images that were read, which count as this process's memory.

        They are read again from disk, or from the kernel's cache, when they are needed.
        """
        if isinstance(self.images.base, mmap.mmap):
            self.images.base.madvise(mmap.MADV_DONTNEED)


def prepare(source: Source, folder: Path, workers: int, progress: Progress) -> Prepared:
    """Read, check and decode a data set, or open what an earlier run prepared.

    Args:
        source: where the data lie.
        folder: where the prepared array is kept.
        workers: number of decoding threads; Pillow lets them run in parallel.
        progress: shows the number of decoded images.

    Raises:
        MetadataError: the metadata contradicts itself or the images.
        DamagedArchiveError: an archive is cut off.
        DamagedImagesError: images cannot be decoded; the message names all of them.
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
        files = describe_files([reader for _, reader in chosen], workers)
        records = pd.concat([records.assign(sha256=digests), files], axis="columns")
        write_whole(folder / _RECORDS, lambda file: records.to_csv(file, index=False))
        summary = {"source": stamp, "images": len(records), "digest": _digest(records)}
        write_whole(folder / _SUMMARY, lambda file: file.write(json.dumps(summary).encode()))
    return open_prepared(folder)


def open_prepared(folder: Path) -> Prepared:
    """Open what `prepare` left in a folder.

    Raises:
        WorkFolderError: the folder holds no finished images.
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


def decode(
    images: Sequence[tuple[str, ImageReader]], workers: int, progress: Progress
) -> Iterator[tuple[str, ModelImage]]:
    """Read and decode images, in their order.

    Args:
        images: name and reader of each image.
        workers: number of decoding threads; Pillow lets them run in parallel.
        progress: shows the number of decoded images.

    Yields:
        The SHA-256 of the encoded bytes, hex, and the image.

    Raises:
        DamagedImagesError: after the last image; the message names every image that cannot be
            decoded.
    """
    damaged: list[str] = []
    with (
        ThreadPoolExecutor(workers) as pool,
        progress.track("Decoding", total=len(images), unit="images") as step,
    ):
        for start in range(0, len(images), _CHUNK):
            for outcome in pool.map(_decode_one, images[start : start + _CHUNK]):
                if isinstance(outcome, str):
                    damaged.append(outcome)
                else:
                    yield outcome
                step.advance()
    if damaged:
        raise DamagedImagesError(
            f"{len(damaged)} of {pluralize(len(images), 'image')} cannot be read: "
            f"{', '.join(damaged)}. "
            "Fetch them again, or remove their rows from the metadata."
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


def _write_images(
    path: Path, chosen: Sequence[tuple[str, ImageReader]], workers: int, progress: Progress
) -> list[str]:
    """Decode into one array on disk; return the SHA-256 of every image's bytes."""
    digests: list[str] = []

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, _header(len(chosen)))
        for digest, image in decode(chosen, workers, progress):
            digests.append(digest)
            file.write(image.pixels.tobytes())
        # An earlier summary must not stay beside images that it does not describe.
        path.with_name(_SUMMARY).unlink(missing_ok=True)

    write_whole(path, write)
    return digests


def _header(images: int) -> dict[str, object]:
    shape = (images, MODEL_SIDE, MODEL_SIDE, 3)
    return {"descr": "|u1", "fortran_order": False, "shape": shape}


def _stamp(source: Source) -> dict[str, object]:
    """Return what identifies a source without reading it: names, sizes, times of change."""
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
        images, of = pluralize(int(copies.sum()), "image"), pluralize(lesions, "lesion")
        progress.say(f"Note: {images} of {of} are byte for byte the same")
