"""Fine-tuning with the images of imported sets beside HAM10000's.

An epoch shows the same images of HAM10000 as without them, and the extra images on top, so they
never take a place from a rare diagnosis. A set may know only some of the seven diagnoses: the loss
of its images then speaks of those alone (a softmax over the known ones), because nobody looked for
the others.

A target is packed, so that it stays one array: [n, 2, 8] for n images, each blended of two. The
first seven numbers are the weight of the image at its diagnosis, the last is its label space: 0 for
all seven, as for HAM10000, 1 and above for the others.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.labels import CODES
from lentigo_trainer.config.fine_tuning import FineTuning
from lentigo_trainer.data.extra.training_images import ExtraImages
from lentigo_trainer.data.random_augmentation import ASPECT
from lentigo_trainer.data.sampling import Shares, class_shares, epoch_rows, extra_count
from lentigo_trainer.training.loop import FeatureRows
from lentigo_trainer.training.optimization.losses import Loss, masked_cross_entropy

Rows = npt.NDArray[np.int64]

_LEAST: Final = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class ExtraSampling:
    """How the images of imported sets are drawn beside n images of HAM10000.

    Attributes:
        first: n; the rows of extra images begin here.
        extra: the images.
        shares: share of each class among the drawn extra images, [7].
        share: of the extra images in an epoch.
    """

    first: int
    extra: ExtraImages
    shares: Shares
    share: float

    @classmethod
    def of(cls, first: int, extra: ExtraImages, settings: FineTuning) -> "ExtraSampling":
        """Plan the draw by a recipe; within the sets, classes are drawn as in HAM10000."""
        shares = class_shares(extra.labels, settings.class_power)
        return cls(first, extra, shares, settings.extra_share)

    def add_to(self, drawn: Rows, seed: int) -> Rows:
        """Draw extra images for an epoch of HAM10000's; return both, shuffled.

        Args:
            drawn: the epoch's rows of HAM10000.
            seed: of the draw; use another for every epoch.
        """
        count = extra_count(len(drawn), self.share)
        more = epoch_rows(self.extra.labels, self.shares, count, seed) + self.first
        return np.random.default_rng(seed + 1).permutation(np.concatenate([drawn, more]))

    def spaces(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return the label space of each row: 0 for all seven, 1 and above for the others."""
        found = np.zeros(len(rows), np.int64)
        more = rows >= self.first
        found[more] = self._space_of_set()[self.extra.sets[rows[more] - self.first]]
        return found

    def aspects(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return width over height of each row's original."""
        found = np.full(len(rows), ASPECT, np.float32)
        more = rows >= self.first
        found[more] = self.extra.aspects[rows[more] - self.first]
        return found

    def loss(self, shares: Shares, settings: FineTuning) -> Loss:
        """Return the loss of packed targets; see `losses.masked_cross_entropy`.

        Args:
            shares: share of each class among the drawn images of HAM10000, [7].
            settings: the recipe's.
        """
        drawn = self.shares_by_space(shares)
        known = drawn > 0
        known[0] = True
        return masked_cross_entropy(
            drawn, known, settings.logit_adjustment, settings.label_smoothing
        )

    def shares_by_space(self, shares: Shares) -> Shares:
        """Return the share of each class among all drawn images of each label space: [k, 7].

        Sets that know all seven diagnoses are drawn into one population with HAM10000, so a set of
        dermatofibromas alone teaches what one is. A class that nobody drew in a smaller space is
        masked there like those that it does not know.

        Args:
            shares: share of each class among the drawn images of HAM10000, [7].
        """
        classes, sets = len(CODES), len(self.extra.parts)
        cells = self.extra.sets * classes + self.extra.labels
        counts = np.bincount(cells, minlength=sets * classes).reshape(sets, classes)
        of_sets = self.share * counts * self.shares / np.maximum(counts.sum(axis=0), 1)
        spaces = self._space_of_set()
        drawn = np.zeros((int(spaces.max()) + 1, classes))
        drawn[0] = (1 - self.share) * shares
        np.add.at(drawn, spaces, of_sets)
        by_space: Shares = drawn / np.maximum(drawn.sum(axis=1, keepdims=True), _LEAST)
        return by_space

    def _space_of_set(self) -> npt.NDArray[np.int64]:
        """Number the label spaces: 0 for all seven, the others in the order of the sets."""
        numbers = {(True,) * len(CODES): 0}
        return np.array(
            [numbers.setdefault(tuple(known.tolist()), len(numbers)) for known in self.extra.known]
        )


class JoinedRows:
    """HAM10000's training images, and the extra ones after them, by row number."""

    def __init__(self, images: FeatureRows, extra: ExtraImages, first: int) -> None:
        self._images = images
        self._extra = extra
        self._first = first

    def take(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return some rows: float32 [len(rows), 224, 224, 3]."""
        more = rows >= self._first
        places = np.concatenate([np.flatnonzero(~more), np.flatnonzero(more)])
        taken = np.concatenate(
            [self._images.take(rows[~more]), self._extra.take(rows[more] - self._first)]
        )
        back: npt.NDArray[np.float32] = taken[np.argsort(places)].astype(np.float32)
        return back


def packed_targets(targets: tf.Tensor, spaces: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Pack the targets of a batch that `random_augmentation.mix` blends with itself.

    Args:
        targets: of each image, float32 [n, 7], rows sum to 1.
        spaces: label space of each image, int64 [n].
        weights: share of each image that is kept, float32 [n].

    Returns:
        float32 [n, 2, 8].
    """
    places = tf.cast(spaces, tf.float32)[:, None]
    kept, given = weights[:, None], 1 - weights[:, None]
    own = tf.concat([targets * kept, places], 1)
    other = tf.concat([tf.reverse(targets, [0]) * given, tf.reverse(places, [0])], 1)
    return tf.stack([own, other], 1)
