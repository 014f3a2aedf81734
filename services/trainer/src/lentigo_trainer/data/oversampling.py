"""The oversampling plan: the image, replica and seed of every training row.

The paper filled each class up to about 6,000 images with Keras' `ImageDataGenerator`, in batches of
50 that ended at the end of every pass over the class; the most frequent class was left as it was.
The plan lists the rows that result (38,568 on HAM10000). The augmented data set is the plan plus a
pure function of its rows, so it is never written to disk as images.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES, index_of

CLASS_TARGET: Final = 6_000
FILL_BATCH: Final = 50

# The published count of dermatofibromas is one below what the batches give: 4,409, not 4,410. The
# generator drew file names at random, and one replica most likely overwrote another. The plan keeps
# to the published count, so it leaves out one replica of this class.
_LOST: Final = {index_of("df"): 1}


@dataclass(frozen=True, slots=True)
class Plan:
    """Training rows: originals first, augmented replicas after, each grouped by class.

    Attributes:
        source: int64 [n], the image's row in the prepared array.
        label: int64 [n], the diagnosis' index in `labels.CODES`.
        replica: int64 [n], 0 for the original, 1, 2, ... for its replicas.
        seed: uint64 [n], the seed of the row's augmentation.
    """

    source: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    replica: npt.NDArray[np.int64]
    seed: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.source)

    def take(self, rows: npt.NDArray[np.int64]) -> "Plan":
        """Return a plan of some of the rows."""
        return Plan(self.source[rows], self.label[rows], self.replica[rows], self.seed[rows])

    def per_class(self) -> dict[str, int]:
        """Count the rows of every diagnosis, by code."""
        counts = np.bincount(self.label, minlength=len(CODES))
        return {code: int(count) for code, count in zip(CODES, counts, strict=True)}

    def digest(self) -> str:
        """SHA-256 of all rows, as hex."""
        total = hashlib.sha256()
        for column in (self.source, self.label, self.replica, self.seed):
            total.update(np.ascontiguousarray(column).astype("<u8").tobytes())
        return total.hexdigest()


def originals(rows: npt.NDArray[np.intp], labels: npt.NDArray[np.int64]) -> Plan:
    """Return a plan of images without augmentation, one row each, in their order.

    Args:
        rows: int [n], rows of the prepared array.
        labels: int64, the diagnosis index of every prepared image.
    """
    count = len(rows)
    return Plan(
        source=rows.astype(np.int64),
        label=labels[rows],
        replica=np.zeros(count, np.int64),
        seed=np.zeros(count, np.uint64),
    )


def augmented(
    train: npt.NDArray[np.intp],
    labels: npt.NDArray[np.int64],
    seed: int,
    target: int = CLASS_TARGET,
) -> Plan:
    """Return a plan of images and the replicas that fill every class but the largest.

    Args:
        train: int [n], rows of the prepared array to train on.
        labels: int64, the diagnosis index of every prepared image.
        seed: of the order in which replicas are drawn and of their augmentation.
        target: number of images that a class is filled up to.
    """
    draw = np.random.default_rng(seed)
    start = originals(train, labels)
    classes, counts = np.unique(start.label, return_counts=True)
    largest = classes[np.argmax(counts)]
    sources = [start.source]
    replicas = [start.replica]
    for label, count in zip(classes, counts, strict=True):
        if label == largest:
            continue
        images = start.source[start.label == label]
        wanted = max(0, _replicas(int(count), target) - _LOST.get(int(label), 0))
        for number in range(1, math.ceil(wanted / count) + 1):
            size = min(int(count), wanted - (number - 1) * int(count))
            sources.append(draw.permutation(images)[:size])
            replicas.append(np.full(size, number, np.int64))
    source = np.concatenate(sources)
    seeds = draw.integers(0, 2**63, size=len(source), dtype=np.uint64)
    seeds[: len(start)] = 0
    return Plan(source, labels[source], np.concatenate(replicas), seeds)


def _replicas(count: int, target: int) -> int:
    """Return the number of replicas of a class with `count` images.

    As many batches of 50 are drawn as would fill the gap. The last batch of every pass over the
    class is shorter, so the sum falls short of the target.
    """
    batches = max(0, math.ceil((target - count) / FILL_BATCH))
    in_pass = math.ceil(count / FILL_BATCH)
    passes, rest = divmod(batches, in_pass)
    return passes * count + min(rest * FILL_BATCH, count)
