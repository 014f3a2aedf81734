"""Which images a version was trained on, kept with it so that an evaluation can exclude them.

`training-set.csv.gz` has one row per image, sorted by name: the SHA-256 of the encoded bytes, the
lesion, and the name. The manifest has its checksum, as for every file.
"""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from lentigo_contract.errors import DamagedVersionError
from lentigo_contract.repository.layout import TRAINING_SET_NAME
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.splits import Rows
from lentigo_trainer.system.storage import write_whole

_COLUMNS: Final = ("sha256", "lesion_id", "image_id")


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The training images of a version.

    Attributes:
        digests: SHA-256 of each image's encoded bytes, hex; empty if only names are known.
        lesions: the lesions they show.
        names: their names, without suffix.
    """

    digests: frozenset[str]
    lesions: frozenset[str]
    names: frozenset[str]


def write_training_set(
    folder: Path, prepared: Prepared, rows: Rows, extra: pd.DataFrame | None = None
) -> None:
    """Write which images a version was trained on; the same images give the same bytes.

    Args:
        folder: the version's files.
        prepared: the data set.
        rows: which of its images were trained on.
        extra: records of the images of imported sets that were trained on besides.

    Raises:
        StorageError: the disk is full or not writable.
    """
    table = prepared.records.iloc[rows].assign(sha256=[prepared.digests[row] for row in rows])
    if extra is not None:
        table = pd.concat([table[list(_COLUMNS)], extra[list(_COLUMNS)]])
    text = table.sort_values("image_id").to_csv(columns=list(_COLUMNS), index=False)
    # Without the time of writing, so that the bytes are reproducible.
    packed = gzip.compress(text.encode(), mtime=0)
    write_whole(folder / TRAINING_SET_NAME, lambda file: file.write(packed))


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
    except FileNotFoundError:
        return None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, csv.Error) as error:
        raise DamagedVersionError(
            f"{path} cannot be read as a list of training images. Publish the version again."
        ) from error
    return TrainingSet(digests=digests, lesions=lesions, names=names)


def digest_of(lines: Iterator[str]) -> str:
    """SHA-256 of lines of text, hex."""
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode() + b"\n")
    return total.hexdigest()


def split_digest(sides: Mapping[str, Iterable[str]]) -> str:
    """SHA-256 of the image names on each side of a split, regardless of their order, hex."""
    return digest_of(f"{side} {name}" for side, names in sides.items() for name in sorted(names))
