"""The paper's split: 938 lesions validate, everything else trains, no lesion on both sides.

Of the 5,514 lesions with a single image, a stratified 17 % drawn with seed 101 is validation. The
other images of the data set train, so a lesion with several images never validates.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split

from lentigo_contract.errors import MetadataError
from lentigo_contract.labels import CODES

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
