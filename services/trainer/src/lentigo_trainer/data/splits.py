"""The paper's split: 938 lesions validate, everything else trains, no lesion on both sides.

Of the 5,514 lesions with a single image, a stratified 17 % drawn with seed 101 is validation. The
other images of the data set train, so a lesion with several images never validates.

The hold-out: lesions of the paper's training images that judge a recipe and teach it nothing.

The paper's 938 validation images are lesions with a single image, four in five of them nevi, and
everybody's figures speak of them. A recipe chosen on them would flatter itself there. So 15 % of
the training *lesions* are held out, with all their images, to compare recipes; and 8 % of those
left are for tuning: temperature and thresholds, and the figures behind each epoch.

Which images a run uses: the split, what a limit leaves of it, and the plan.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from lentigo_contract.labels import CODES
from lentigo_trainer.config.training import TrainingConfig
from lentigo_trainer.data.dataset import Prepared
from lentigo_trainer.data.oversampling import Plan, augmented, originals
from lentigo_trainer.errors import MetadataError

VALIDATION_SHARE: Final = 0.17
SPLIT_SEED: Final = 101

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the metadata, ascending; the two sides share no lesion.

    Attributes:
        train: rows that train.
        validation: rows that validate.
    """

    train: Rows
    validation: Rows


def split(table: pd.DataFrame) -> Split:
    """Divide the images as the paper did.

    Args:
        table: metadata as `ham10000.read_metadata` gives it, in the published order, on which the
            draw depends.

    Raises:
        MetadataError: too few lesions with a single image to draw from every class.
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


def limited(whole: Split, table: pd.DataFrame, limit: int, seed: int) -> Split:
    """Take about `limit` images of a split, for a quick run through every step.

    Both sides keep their share of the images and every class keeps its share of its side, with at
    least two images of each class to train and one to validate wherever the split has them.

    Args:
        whole: the split to take from.
        table: the metadata the split numbers.
        limit: how many images to take in all.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    share = min(1.0, limit / len(table))
    diagnoses = table["dx"].to_numpy()

    def take(rows: Rows, least: int) -> Rows:
        taken = []
        for code in CODES:
            of_class = rows[diagnoses[rows] == code]
            count = min(len(of_class), max(least, round(share * len(of_class))))
            taken.append(draw.permutation(of_class)[:count])
        return np.sort(np.concatenate(taken))

    return Split(train=take(whole.train, 2), validation=take(whole.validation, 1))


HOLD_OUT_SHARE: Final = 0.15
TUNING_SHARE: Final = 0.08
HOLD_OUT_SEED: Final = 707


@dataclass(frozen=True, slots=True)
class Parts:
    """The paper's training images in three parts that share no lesion; row numbers, ascending.

    Attributes:
        train: images that a network learns from.
        tuning: images that temperature and thresholds are chosen on.
        hold_out: images that recipes are compared on.
    """

    train: Rows
    tuning: Rows
    hold_out: Rows


def parts_of(train: Rows, table: pd.DataFrame) -> Parts:
    """Divide the paper's training images by lesion, each diagnosis in the same shares.

    The draw depends on the lesions' names and diagnoses alone, not on the order of the images.

    Args:
        train: rows of the table that train in the paper.
        table: metadata as `ham10000.read_metadata` gives it.

    Raises:
        MetadataError: a diagnosis has too few lesions for all three parts.
    """
    lesions = table["lesion_id"].to_numpy()[train]
    # A lesion has one diagnosis in HAM10000; if it had two, its first would decide.
    diagnosis_of = pd.Series(table["dx"].to_numpy()[train], index=lesions).groupby(level=0).first()
    draw = np.random.default_rng(HOLD_OUT_SEED)
    held_out: set[str] = set()
    tuning: set[str] = set()
    for code, of_class in sorted(diagnosis_of.groupby(diagnosis_of)):
        names = draw.permutation(np.sort(of_class.index.to_numpy(str)))
        first = max(1, round(HOLD_OUT_SHARE * len(names)))
        second = first + max(1, round(TUNING_SHARE * (len(names) - first)))
        if second >= len(names):
            raise MetadataError(
                f"Holding out takes three lesions of {code} among the training images; there are "
                f"{len(names)}. Add images, or use a recipe without hold_out."
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


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The images and rows of one run.

    Attributes:
        whole: the paper's split of all images, its training side without what the recipe holds
            out; its validation side is what figures speak of.
        used: what a limit leaves of it; the same without a limit.
        plan: the rows that train.
        tuning: images for temperature, thresholds and the figures behind each epoch; none where
            the recipe trains on all.
        hold_out: images that recipes are compared on; none where the recipe trains on all.
    """

    whole: Split
    used: Split
    plan: Plan
    tuning: Rows
    hold_out: Rows

    @property
    def watched(self) -> Rows:
        """Images that are measured behind every epoch: never those of the final figures, if any."""
        return self.tuning if len(self.tuning) else self.used.validation


def choose_rows(config: TrainingConfig, prepared: Prepared) -> TrainingRows:
    """Split the data set and plan the training rows.

    Raises:
        MetadataError: too few lesions to split, or to hold out.
    """
    papers = split(prepared.records)
    none = np.array([], np.intp)
    parts = Parts(papers.train, none, none)
    if config.recipe.hold_out:
        parts = parts_of(papers.train, prepared.records)
    whole = Split(train=parts.train, validation=papers.validation)
    used, target = whole, config.recipe.class_target
    if config.limit is not None:
        used = limited(whole, prepared.records, config.limit, config.seed)
        target = max(1, round(target * len(used.train) / len(whole.train)))
    if config.recipe.fine_tuning:
        plan = originals(used.train, prepared.labels)
    else:
        plan = augmented(used.train, prepared.labels, config.seed, target)
    return TrainingRows(whole, used, plan, parts.tuning, parts.hold_out)
