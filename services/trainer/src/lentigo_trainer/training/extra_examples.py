"""Fine-tuning with the images of imported sets beside HAM10000's.

An epoch shows the same images of HAM10000 as without them, and the extra images on top, so they
never take a place from a rare diagnosis. A set may know only some of the seven diagnoses: the loss
of its images then speaks of those alone (a softmax over the known ones), because nobody looked for
the others.

A target is packed, so that it stays one array: [n, 2, 8] for n images, each blended of two. The
first seven numbers are the weight of the image at its diagnosis, the last is where it comes from: 0
for HAM10000, 1 and above for the sets.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from lentigo_contract.labels import CODES
from lentigo_trainer.config.recipe import FineTuning
from lentigo_trainer.data.extra.training_images import ExtraImages
from lentigo_trainer.data.random_augmentation import ASPECT
from lentigo_trainer.data.sampling import Shares, class_shares, epoch_rows, extra_count
from lentigo_trainer.training.loop import FeatureRows
from lentigo_trainer.training.losses import Loss, masked_cross_entropy

Rows = npt.NDArray[np.int64]


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

    def sources(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Return where each row comes from: 0 for HAM10000, 1 and above for the sets."""
        found = np.zeros(len(rows), np.int64)
        more = rows >= self.first
        found[more] = self.extra.sets[rows[more] - self.first] + 1
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
        everything = np.ones((1, len(CODES)), bool)
        return masked_cross_entropy(
            np.stack([shares, *self._shares_by_set()]),
            np.concatenate([everything, self.extra.known]),
            settings.logit_adjustment,
            settings.label_smoothing,
        )

    def _shares_by_set(self) -> Shares:
        """Return the share of each class among the drawn images of each set: [s, 7]."""
        classes, sets = len(CODES), len(self.extra.parts)
        cells = self.extra.sets * classes + self.extra.labels
        counts = np.bincount(cells, minlength=sets * classes).reshape(sets, classes)
        weights = counts * self.shares / np.maximum(counts.sum(axis=0), 1)
        by_set: Shares = weights / weights.sum(axis=1, keepdims=True)
        return by_set


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


def packed_targets(labels: tf.Tensor, sources: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Pack the targets of a batch that `random_augmentation.mix` blends with itself.

    Args:
        labels: class numbers, int64 [n].
        sources: where each image comes from, int64 [n].
        weights: share of each image that is kept, float32 [n].

    Returns:
        float32 [n, 2, 8].
    """
    rows = tf.one_hot(labels, len(CODES))
    places = tf.cast(sources, tf.float32)[:, None]
    kept, given = weights[:, None], 1 - weights[:, None]
    own = tf.concat([rows * kept, places], 1)
    other = tf.concat([tf.reverse(rows, [0]) * given, tf.reverse(places, [0])], 1)
    return tf.stack([own, other], 1)
