"""Class-balanced sampling: which original images an epoch of fine-tuning shows."""

import numpy as np
import numpy.typing as npt

from lentigo_contract.labels import CODES

Shares = npt.NDArray[np.float64]


def class_shares(labels: npt.NDArray[np.int64], power: float) -> Shares:
    """Return each class's share of the drawn images: its count to a power, over the sum of all.

    Args:
        labels: class of every training image.
        power: 1 for natural frequencies, 0 for balanced classes, or a value between (0.5 in
            Mahajan et al., "Exploring the Limits of Weakly Supervised Pretraining", ECCV 2018).

    Returns:
        float64 [7], sums to 1; 0 for a class without images.
    """
    counts = np.bincount(labels, minlength=len(CODES)).astype(np.float64)
    weights = np.where(counts > 0, counts**power, 0.0)
    shares: Shares = weights / weights.sum()
    return shares


def extra_count(count: int, share: float) -> int:
    """Return how many images come on top of an epoch, so that they make up a share of it.

    Args:
        count: images of the epoch without them.
        share: 0 to 1, below 1.
    """
    return round(count * share / (1 - share))


def epoch_rows(
    labels: npt.NDArray[np.int64], shares: Shares, count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Draw one epoch's images, shuffled.

    No image is drawn a second time before every image of its class was drawn once.

    Args:
        labels: class of every training image.
        shares: shares of the classes, see `class_shares`.
        count: about how many to draw; rounding in each class can change it a little.
        seed: of the draw; use another for every epoch.

    Returns:
        int64, indices into `labels`.
    """
    draw = np.random.default_rng(seed)
    drawn = []
    for label, share in enumerate(shares):
        of_class = np.flatnonzero(labels == label)
        wanted = round(share * count)
        passes = -(-wanted // max(1, len(of_class)))
        permutations = [draw.permutation(of_class) for _ in range(passes)]
        drawn.append(np.concatenate([*permutations, of_class[:0]])[:wanted])
    return draw.permutation(np.concatenate(drawn))
