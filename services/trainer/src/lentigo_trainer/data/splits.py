"""Which images train, tune and validate: the paper's split, the hold-out, and the rows of a run.

The paper's split: of the 5,514 lesions with a single image, a stratified 17 % drawn with seed 101
validates, 938 images; all other images train. So a lesion with several images never validates, and
no lesion is on both sides.

The hold-out: those 938 images are single images, four in five of them nevi, and every published
result is for them, so a recipe must not be chosen on them. A recipe with `hold_out` keeps 15 % of
the training *lesions*, with all their images, out of training to compare recipes on. It also keeps
8 % of the remaining lesions for tuning: temperatures, thresholds and the metrics after each epoch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from lentigo_contract.labels import CODES
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.duplicates.known import merged_lesions
from lentigo_trainer.data.oversampling import Plan, augmented, originals
from lentigo_trainer.errors import MetadataError

VALIDATION_SHARE: Final = 0.17

SPLIT_SEED: Final = 101

HOLD_OUT_SHARE: Final = 0.15

TUNING_SHARE: Final = 0.08

HOLD_OUT_SEED: Final = 707

FOLD_SEED: Final = 505

_FOLDS_OF_QUICK_RUN: Final = 2
"""A run with `--limit` shows every step, and has few lesions of each class."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the metadata, ascending; no lesion is on both sides.

    Attributes:
        train: rows that train.
        validation: rows that validate.
    """

    train: Rows
    validation: Rows


@dataclass(frozen=True, slots=True)
class Parts:
    """The paper's training images in three parts without a common lesion; row numbers, ascending.

    Attributes:
        train: images to train on.
        tuning: images that temperature and thresholds are chosen on.
        hold_out: images that recipes are compared on.
    """

    train: Rows
    tuning: Rows
    hold_out: Rows


@dataclass(frozen=True, slots=True)
class Folds:
    """The training images in folds without a common lesion.

    Attributes:
        count: number of folds; 0 if the recipe has none.
        rows: row numbers of the images, ascending, [n].
        fold: each image's fold, from 1, [n].
    """

    count: int
    rows: Rows
    fold: Rows


NO_FOLDS: Final = Folds(0, np.array([], np.intp), np.array([], np.intp))


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The images and rows of one run.

    Attributes:
        whole: the paper's split of all images, without what the recipe holds out of its training
            side; the metrics of a run are for its validation side.
        used: the part of it that a limit leaves; all of it without a limit.
        plan: the rows to train on.
        tuning: images for temperatures, thresholds and the metrics after each epoch; none if the
            recipe trains on all.
        hold_out: images that recipes are compared on; none if the recipe trains on all.
        folds: the training images in folds, if the recipe has any.
    """

    whole: Split
    used: Split
    plan: Plan
    tuning: Rows
    hold_out: Rows
    folds: Folds = NO_FOLDS

    @property
    def outside_training(self) -> Rows:
        """The images that trained nothing, ascending: validation, tuning and hold-out."""
        return np.sort(np.concatenate([self.whole.validation, self.tuning, self.hold_out]))

    @property
    def watched(self) -> Rows:
        """Images to evaluate after every epoch; with a hold-out, not those of the final metrics."""
        return self.tuning if len(self.tuning) else self.used.validation


def choose_rows(config: TrainingConfig, prepared: Prepared) -> TrainingRows:
    """Split the data set and plan the training rows.

    Raises:
        MetadataError: too few lesions to split, or to hold out.
    """
    paper_split = split(prepared.records)
    none = np.array([], np.intp)
    parts = Parts(paper_split.train, none, none)
    if config.recipe.hold_out:
        parts = parts_of(paper_split.train, prepared.records)
    whole = Split(train=parts.train, validation=paper_split.validation)
    used, target = whole, config.recipe.class_target
    if config.limit is not None:
        used = limited(whole, prepared.records, config.limit, config.seed)
        target = max(1, round(target * len(used.train) / len(whole.train)))
    if config.recipe.fine_tuning:
        plan = originals(used.train, prepared.labels)
    else:
        plan = augmented(used.train, prepared.labels, config.seed, target)
    count = config.recipe.folds
    if config.limit is not None:
        count = min(count, _FOLDS_OF_QUICK_RUN)
    folds = folds_of(used.train, prepared.records, count) if count else NO_FOLDS
    return TrainingRows(whole, used, plan, parts.tuning, parts.hold_out, folds)


def rows_without_fold(
    rows: TrainingRows, labels: npt.NDArray[np.int64], number: int
) -> TrainingRows:
    """Return the rows of a network that never sees one fold; that fold is its tuning part.

    Args:
        rows: all training rows of a run with folds.
        labels: of every image of the data set.
        number: of the fold, from 1.
    """
    inside = rows.folds.fold == number
    train = rows.folds.rows[~inside]
    return replace(
        rows,
        used=replace(rows.used, train=train),
        plan=originals(train, labels),
        tuning=rows.folds.rows[inside],
        folds=NO_FOLDS,
    )


def folds_of(train: Rows, table: pd.DataFrame, count: int) -> Folds:
    """Divide training images into folds by lesion, each diagnosis in the same shares.

    The draw depends only on the names and diagnoses of the lesions, not on the order of the images.

    Args:
        train: rows of the table.
        table: metadata from `ham10000.read_metadata`.
        count: number of folds.

    Raises:
        MetadataError: a diagnosis has fewer lesions than there are folds.
    """
    lesions = merged_lesions(table)[train]
    fold_of: dict[str, int] = {}
    for code, names in _shuffled_lesions(lesions, table["dx"].to_numpy()[train], FOLD_SEED):
        if len(names) < count:
            raise MetadataError(
                f"{count} folds need at least {count} lesions of {code} among the training images, "
                f"but there are {len(names)}. Add images, or use a recipe with fewer folds."
            )
        # A fold that got one more of this diagnosis gets one fewer of the next.
        first = len(fold_of)
        fold_of |= {name: (first + place) % count + 1 for place, name in enumerate(names)}
    return Folds(count, train, np.array([fold_of[lesion] for lesion in lesions], np.intp))


def split(table: pd.DataFrame) -> Split:
    """Split the images as in the paper.

    Args:
        table: metadata from `ham10000.read_metadata`, in the published order, which the draw
            depends on.

    Raises:
        MetadataError: a class has too few lesions with a single image.
    """
    single = np.flatnonzero(~table["lesion_id"].duplicated(keep=False).to_numpy())
    diagnoses = table["dx"].to_numpy()[single]
    try:
        _, validation = train_test_split(
            single, test_size=VALIDATION_SHARE, random_state=SPLIT_SEED, stratify=diagnoses
        )
    except ValueError as error:
        raise MetadataError(
            f"The split needs lesions with a single image in every class; there are {len(single)}. "
            f"({error})"
        ) from error
    validation = np.sort(np.asarray(validation, dtype=np.intp))
    train = np.setdiff1d(np.arange(len(table), dtype=np.intp), validation)
    return Split(train=train, validation=validation)


def parts_of(train: Rows, table: pd.DataFrame) -> Parts:
    """Divide the paper's training images by lesion, every diagnosis in the same shares.

    Lesions that are known to be one count as one. The draw depends only on the names and diagnoses
    of the lesions, not on the order of the images.

    Args:
        train: rows of the table that train in the paper.
        table: metadata from `ham10000.read_metadata`.

    Raises:
        MetadataError: a diagnosis has too few lesions for all three parts.
    """
    lesions = merged_lesions(table)[train]
    held_out: set[str] = set()
    tuning: set[str] = set()
    for code, names in _shuffled_lesions(lesions, table["dx"].to_numpy()[train], HOLD_OUT_SEED):
        first = max(1, round(HOLD_OUT_SHARE * len(names)))
        second = first + max(1, round(TUNING_SHARE * (len(names) - first)))
        if second >= len(names):
            raise MetadataError(
                f"A hold-out needs at least three lesions of {code} among the training images, "
                f"but there are {len(names)}. Add images, or use a recipe without hold_out."
            )
        held_out.update(names[:first])
        tuning.update(names[first:second])
    in_hold_out = np.isin(lesions, list(held_out))
    in_tuning = np.isin(lesions, list(tuning))
    return Parts(
        train=train[~(in_hold_out | in_tuning)],
        tuning=train[in_tuning],
        hold_out=train[in_hold_out],
    )


def _shuffled_lesions(
    lesions: npt.NDArray[np.str_], diagnoses: npt.NDArray[np.object_], seed: int
) -> Iterator[tuple[str, npt.NDArray[np.str_]]]:
    """Yield each diagnosis and the names of its lesions, shuffled, from those of the images."""
    # A lesion has one diagnosis in HAM10000; otherwise the first by name counts.
    diagnosis_of = pd.Series(diagnoses, index=lesions).groupby(level=0).min()
    draw = np.random.default_rng(seed)
    for code, of_class in sorted(diagnosis_of.groupby(diagnosis_of)):
        yield code, draw.permutation(np.sort(of_class.index.to_numpy(str)))


def limited(whole: Split, table: pd.DataFrame, limit: int, seed: int) -> Split:
    """Return about `limit` images of a split, for a quick run through every step.

    Both sides keep their share of the images, and every class its share of its side, but at least
    two images of each class to train and one to validate if the split has them. Images of different
    lesions come first, so that there are enough lesions for folds.

    Args:
        whole: the full split.
        table: the metadata whose rows the split numbers.
        limit: number of images in all.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    share = min(1.0, limit / len(table))
    diagnoses = table["dx"].to_numpy()
    lesions = pd.Series(merged_lesions(table))

    def take(rows: Rows, least: int) -> Rows:
        taken = []
        for code in CODES:
            of_class = rows[diagnoses[rows] == code]
            count = min(len(of_class), max(least, round(share * len(of_class))))
            shuffled = draw.permutation(of_class)
            earlier = lesions[shuffled].groupby(lesions[shuffled]).cumcount().to_numpy()
            taken.append(shuffled[np.argsort(earlier, kind="stable")][:count])
        return np.sort(np.concatenate(taken))

    return Split(train=take(whole.train, 2), validation=take(whole.validation, 1))
