"""The images of imported sets that train beside HAM10000: their training parts, as one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from lentigo_contract.wording import pluralize
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.extra.duplicates import archive_name
from lentigo_trainer.data.extra.imported_set import ImportedSet, SetSummary, open_set
from lentigo_trainer.data.ham10000 import join_names
from lentigo_trainer.data.provenance import fingerprint_columns
from lentigo_trainer.errors import ImportedSetError, RecipeError

_AGAIN: Final = "Import the set again, under another --to, with"


@dataclass(frozen=True, slots=True)
class ExtraImages:
    """The training parts of imported sets, one after another.

    Attributes:
        parts: the training part of each of s sets.
        labels: class numbers in the order of `labels.CODES`, int64 [n].
        sets: the set of each image, int64 [n], 0 to s - 1.
        known: which diagnoses each set knows, bool [s, 7].
        aspects: width over height of each original, float32 [n].
    """

    parts: tuple[ImportedSet, ...]
    labels: npt.NDArray[np.int64]
    sets: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    aspects: npt.NDArray[np.float32]

    @property
    def records(self) -> pd.DataFrame:
        """What is known of each image, n rows."""
        return pd.concat([part.records for part in self.parts], ignore_index=True)

    def training_set(self) -> pd.DataFrame:
        """Return what a version says of the images that trained it; see `provenance`."""
        return self.records.assign(**fingerprint_columns(self._images()))

    def _images(self) -> Iterator[npt.NDArray[np.uint8]]:
        for part in self.parts:
            pixels = part.pixels()
            yield from (pixels[row] for row in part.rows)

    @property
    def summaries(self) -> tuple[SetSummary, ...]:
        """What each set is."""
        return tuple(part.summary for part in self.parts)

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return some images: float32 [len(rows), 224, 224, 3] in 0 to 255."""
        first, blocks = 0, []
        places = np.argsort(self.sets[rows], kind="stable")
        for number, part in enumerate(self.parts):
            of_part = rows[places][self.sets[rows[places]] == number] - first
            blocks.append(part.pixels()[part.rows[of_part]].astype(np.float32))
            first += len(part.rows)
        taken = np.concatenate(blocks)
        back: npt.NDArray[np.float32] = taken[np.argsort(places, kind="stable")]
        return back


def open_extra_images(config: TrainingConfig, prepared: Prepared) -> ExtraImages | None:
    """Open the training parts of a run's imported sets; None without any.

    Args:
        config: of the run.
        prepared: HAM10000, of which they may not hold an image.

    Raises:
        RecipeError: the recipe cannot train with them.
        ImportedSetError: a set is missing or damaged, has no training image, or holds images of
            HAM10000 or of another of these sets.
    """
    if not config.extra:
        return None
    if config.recipe.fine_tuning is None:
        raise RecipeError(
            "Only a recipe with a table fine_tuning can train with --extra. Choose another "
            "--recipe, or leave --extra out."
        )
    parts = tuple(open_set(folder, "training") for folder in config.extra)
    for part in parts:
        if not len(part.rows):
            raise ImportedSetError(f"{part.folder} has no image to train with.")
        _require_disjoint(part, "HAM10000", prepared.records, f"{_AGAIN} --source.")
    for part in parts:
        for other in parts:
            if other is not part:
                whole = open_set(other.folder).records
                remedy = f"{_AGAIN} --exclude {other.folder}."
                _require_disjoint(part, f"{other.folder}", whole, remedy)
    return ExtraImages(
        parts=parts,
        labels=np.concatenate([part.labels for part in parts]),
        sets=np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts]),
        known=np.stack([part.known for part in parts]),
        aspects=np.concatenate([part.aspects for part in parts]),
    )


def _require_disjoint(part: ImportedSet, owner: str, others: pd.DataFrame, remedy: str) -> None:
    theirs = {archive_name(name) or name for name in others["image_id"]} | set(others["sha256"])
    ours = zip(part.records["image_id"], part.records["sha256"], strict=True)
    shared = [name for name, digest in ours if {archive_name(name) or name, digest} & theirs]
    if shared:
        images = pluralize(len(shared), "training image that is", "training images that are")
        raise ImportedSetError(
            f"{part.folder} has {images} in {owner} too: {join_names(shared)}. {remedy}"
        )
