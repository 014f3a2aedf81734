"""Which images a version was trained on, kept with it so that an evaluation can exclude them.

`training-set.csv.gz` has one row per image, sorted by name: the SHA-256 of the encoded bytes, the
perceptual hash, the colours, the lesion, and the name. Older versions have no hash or
no colours. The manifest has the file's checksum, as for every file.
"""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.repository.layout import TRAINING_SET_NAME
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.perceptual_hash import (
    GRID,
    HASH_BYTES,
    Fingerprints,
    cell_colours,
    image_hash,
)
from lentigo_trainer.data.splits import Rows
from lentigo_trainer.system.storage import write_whole

_COLUMNS: Final = ("sha256", "lesion_id", "image_id")

_HASH: Final = "perceptual_hash"

_COLOURS: Final = "colours"


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The training images of a version.

    Attributes:
        digests: SHA-256 of each image's encoded bytes, hex; empty if only names are known.
        lesions: the lesions they show.
        names: their names, without suffix.
        fingerprints: of n images; n is 0 if they are not known.
        hashed: the name of each of these images.
    """

    digests: frozenset[str]
    lesions: frozenset[str]
    names: frozenset[str]
    fingerprints: Fingerprints = field(
        default_factory=lambda: Fingerprints(np.zeros((0, HASH_BYTES), np.uint8))
    )
    hashed: tuple[str, ...] = ()


def write_training_set(
    folder: Path, prepared: Prepared, rows: Rows, extra: pd.DataFrame | None = None
) -> None:
    """Write which images a version was trained on; the same images give the same bytes.

    Args:
        folder: the version's files.
        prepared: the data set.
        rows: which of its images were trained on.
        extra: the same columns of the images of imported sets that were trained on besides.

    Raises:
        StorageError: the disk is full or not writable.
    """
    table = prepared.records.iloc[rows].assign(
        sha256=[prepared.digests[row] for row in rows],
        **fingerprint_columns(prepared.images[row] for row in rows),
    )
    columns = ["sha256", _HASH, _COLOURS, "lesion_id", "image_id"]
    if extra is not None:
        table = pd.concat([table[columns], extra[columns]])
    text = table.sort_values("image_id").to_csv(columns=columns, index=False)
    # Without the time of writing, so that the bytes are reproducible.
    packed = gzip.compress(text.encode(), mtime=0)
    write_whole(folder / TRAINING_SET_NAME, lambda file: file.write(packed))


def fingerprint_columns(images: Iterable[npt.NDArray[np.uint8]]) -> dict[str, list[str]]:
    """Return the columns by which copies of images, uint8 [224, 224, 3], are recognised."""
    pairs = [(image_hash(image), cell_colours(image)) for image in images]
    return {
        _HASH: [bits.tobytes().hex() for bits, _ in pairs],
        _COLOURS: [colours.tobytes().hex() for _, colours in pairs],
    }


def read_training_set(folder: Path) -> TrainingSet | None:
    """Read which images a version was trained on; None if it does not say.

    Raises:
        DamagedVersionError: the file exists but cannot be read.
    """
    path = folder / TRAINING_SET_NAME
    try:
        with gzip.open(path) as packed:
            rows = list(csv.DictReader(io.StringIO(packed.read().decode())))
        columns = zip(*([row[name] for name in _COLUMNS] for row in rows), strict=True)
        digests, lesions, names = map(frozenset, columns)
        hashed = [row["image_id"] for row in rows if _HASH in row]
        fingerprints = Fingerprints(
            _bytes_of(rows, _HASH).reshape(len(hashed), HASH_BYTES),
            _bytes_of(rows, _COLOURS).reshape(len(hashed), GRID, GRID, 3)
            if _COLOURS in rows[0]
            else None,
        )
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, csv.Error) as error:
        raise DamagedVersionError(
            f"{path} cannot be read as a list of training images. Publish the version again."
        ) from error
    return TrainingSet(digests, lesions, names, fingerprints, tuple(hashed))


def _bytes_of(rows: Sequence[Mapping[str, str]], column: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex("".join(row.get(column, "") for row in rows)), np.uint8)


def digest_of(lines: Iterator[str]) -> str:
    """SHA-256 of lines of text, hex."""
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode() + b"\n")
    return total.hexdigest()


def split_digest(sides: Mapping[str, Iterable[str]]) -> str:
    """SHA-256 of the image names on each side of a split, regardless of their order, hex."""
    return digest_of(f"{side} {name}" for side, names in sides.items() for name in sorted(names))
