"""The hold-out: lesions of the paper's training images that judge a recipe and teach it nothing.

The paper's 938 validation images are lesions with a single image, four in five of them nevi, and
everybody's figures speak of them. A recipe chosen on them would flatter itself there. So 15 % of
the training *lesions* are held out, with all their images, to compare recipes; and 8 % of those
left are for tuning: temperature and thresholds, and the figures behind each epoch.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from lentigo_contract.errors import MetadataError
from lentigo_trainer.split import Rows

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
