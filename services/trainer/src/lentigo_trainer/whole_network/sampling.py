"""Which originals an epoch shows: drawn by class, rare classes more often than they come."""

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES

Shares = npt.NDArray[np.float64]


def class_shares(labels: npt.NDArray[np.int64], power: float) -> Shares:
    """Give each class's share of what is drawn: its images to a power, over the sum of all.

    Args:
        labels: class of every training image.
        power: 1 for classes as they come, 0 for all alike, between for a compromise (Mahajan et
            al., "Exploring the Limits of Weakly Supervised Pretraining", ECCV 2018: 0.5).

    Returns:
        [7], sums to 1; 0 for a class without an image.
    """
    counts = np.bincount(labels, minlength=len(CODES)).astype(np.float64)
    weights = np.where(counts > 0, counts**power, 0.0)
    shares: Shares = weights / weights.sum()
    return shares


def epoch_rows(
    labels: npt.NDArray[np.int64], shares: Shares, count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Draw one epoch's images, shuffled.

    No image of a class comes a second time before all of the class have come once.

    Args:
        labels: class of every training image.
        shares: as `class_shares` gives them.
        count: about how many to draw; rounding each class may give a few more or less.
        seed: of the draw; another for every epoch.

    Returns:
        Indices into `labels`.
    """
    draw = np.random.default_rng(seed)
    drawn = []
    for label, share in enumerate(shares):
        of_class = np.flatnonzero(labels == label)
        wanted = round(share * count)
        passes = -(-wanted // max(1, len(of_class)))
        again = [draw.permutation(of_class) for _ in range(passes)]
        drawn.append(np.concatenate([*again, of_class[:0]])[:wanted])
    return draw.permutation(np.concatenate(drawn))
