"""Images with a known diagnosis to evaluate a version on.

They come from a folder or archive with ground truth, or from the part of HAM10000 that was held
back. Nothing is decoded here, and no image is read before it is needed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lentigo_contract.labels import CODES, index_of
from lentigo_contract.wording import pluralize
from lentigo_trainer.data.duplicates.known import shown_elsewhere
from lentigo_trainer.data.ham10000 import (
    ImageReader,
    Source,
    images_of,
    join_names,
    open_images,
    read_metadata,
    require_images,
)
from lentigo_trainer.data.provenance import digest_of
from lentigo_trainer.data.splits import Parts, Rows, parts_of, split
from lentigo_trainer.errors import MetadataError, SourceNotFoundError, TruthError
from lentigo_trainer.evaluation.images.ground_truth import read_ground_truth
from lentigo_trainer.metrics.arrays import LabelArray


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images that a version is evaluated on.

    Attributes:
        description: the images in words.
        names: of the images, without suffix, [n].
        truth: class numbers, int64 [n].
        readers: functions that return the encoded bytes, [n].
        people: HAM10000's metadata of these images, n rows in the same order; None if unknown.
        metadata: all of HAM10000's metadata, as read; None if unknown.
        unlisted: how many further images were found that the ground truth does not list.
        imported_set: the name of the imported set that they are of; None for other images.
    """

    description: str
    names: tuple[str, ...]
    truth: LabelArray
    readers: tuple[ImageReader, ...]
    people: pd.DataFrame | None = None
    metadata: pd.DataFrame | None = None
    unlisted: int = 0
    imported_set: str | None = None

    @property
    def groups(self) -> NDArray[Any]:
        """What a bootstrap draws whole: the lesion of each image, or its name."""
        if self.people is None:
            return np.array(self.names)
        return self.people["lesion_id"].to_numpy()

    @property
    def duplicated(self) -> NDArray[np.bool_]:
        """Which images outside the paper's training images show one of its lesions all the same.

        Known duplicates tell, so it takes the metadata; without them it is none.
        """
        none = np.zeros(len(self.names), np.bool_)
        if self.people is None or self.metadata is None:
            return none
        try:
            train = split(self.metadata).train
        except MetadataError:
            return none
        rows = pd.Index(self.metadata["image_id"]).get_indexer(list(self.names))
        return shown_elsewhere(self.metadata, rows, train)

    @property
    def digest(self) -> str:
        """SHA-256 over the names and diagnoses of the images, in any order, hex."""
        pairs = zip(self.names, self.truth, strict=True)
        return digest_of(f"{name} {CODES[label]}" for name, label in sorted(pairs))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of HAM10000 that is held back from training.

    Attributes:
        description: the images in words.
        rows_of: returns their rows in the metadata.
    """

    description: str
    rows_of: Callable[[pd.DataFrame], Rows]


VALIDATION: Final = Part(
    "the paper's validation images of HAM10000", lambda records: split(records).validation
)
TUNING: Final = Part(
    "the tuning part of HAM10000's training lesions", lambda records: _parts(records).tuning
)
HOLD_OUT: Final = Part(
    "the hold-out of HAM10000's training lesions", lambda records: _parts(records).hold_out
)


def _parts(records: pd.DataFrame) -> Parts:
    return parts_of(split(records).train, records)


@contextmanager
def open_held_back(source: Source, part: Part = VALIDATION) -> Iterator[ImageSet]:
    """Open images of HAM10000 that were held back.

    Args:
        source: where HAM10000 is.
        part: which of them.

    Raises:
        DatasetError: the data cannot be used.
    """
    records = read_metadata(source.metadata)
    people = records.iloc[part.rows_of(records)]
    with open_images(source) as readers:
        require_images(people, readers.keys(), source.metadata)
        yield ImageSet(
            description=part.description,
            names=tuple(people["image_id"]),
            truth=np.array([index_of(code) for code in people["dx"]], np.int64),
            readers=tuple(readers[name] for name in people["image_id"]),
            people=people,
            metadata=records,
        )


@contextmanager
def open_isic_set(images: Sequence[Path], truth: Path, metadata: Path | None) -> Iterator[ImageSet]:
    """Open a set of images in the format of ISIC 2018 Task 3.

    Args:
        images: folders or zip archives; images may be in folders within.
        truth: the CSV that `ground_truth` describes.
        metadata: HAM10000's metadata, if these are images of it.

    Raises:
        TruthError: the ground truth contradicts itself, the images or the metadata.
        DatasetError: images or metadata cannot be read.
    """
    known = read_ground_truth(truth)
    records = None if metadata is None else read_metadata(metadata)
    people = None
    if records is not None and metadata is not None:
        people = _people(known.names, known.labels, records, truth, metadata)
    for part in images:
        if not part.exists():
            raise SourceNotFoundError(
                f"{part} does not exist. Give --images a folder or a zip archive of images."
            )
    places = " and ".join(map(str, images))
    with ExitStack() as stack:
        listed_names = set(known.names)
        readers: dict[str, ImageReader] = {}
        unlisted, twice = 0, []
        for name, reader in (found for part in images for found in images_of(part, stack)):
            if name not in listed_names:
                unlisted += 1
            elif name in readers:
                twice.append(name)
            readers.setdefault(name, reader)
        missing = [name for name in known.names if name not in readers]
        _refuse(
            truth,
            "image",
            f"that {places} does not hold as .jpg, .jpeg or .png (names are without suffix)",
            missing,
        )
        _refuse(truth, "image", f"of which {places} holds several", twice)
        yield ImageSet(
            description=f"{', '.join(part.name for part in images)} with the truth of {truth.name}",
            names=known.names,
            truth=known.labels,
            readers=tuple(readers[name] for name in known.names),
            people=people,
            metadata=records,
            unlisted=unlisted,
        )


def _people(
    names: tuple[str, ...], labels: LabelArray, records: pd.DataFrame, truth: Path, metadata: Path
) -> pd.DataFrame:
    """Return the metadata of each image, which must not contradict the ground truth."""
    rows = records.set_index("image_id", drop=False)
    _refuse(truth, "image", f"that {metadata} lacks", [n for n in names if n not in rows.index])
    people = rows.loc[list(names)]
    pairs = zip(names, labels, people["dx"], strict=True)
    _refuse(
        truth,
        "image",
        f"with another diagnosis than in {metadata}",
        [f"{name} ({CODES[label]}, not {dx})" for name, label, dx in pairs if CODES[label] != dx],
    )
    return people


def _refuse(path: Path, noun: str, what: str, items: list[str]) -> None:
    if items:
        raise TruthError(f"{path} lists {pluralize(len(items), noun)} {what}: {join_names(items)}.")
