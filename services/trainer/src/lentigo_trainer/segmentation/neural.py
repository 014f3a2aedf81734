"""Lesion segmentation by a self-generating neural network, as Xie et al. use it.

    pixels -> hair removal -> pigment beyond the skin's -> colours -> forest -> clusters -> lesion

The pixels' pigment is rounded to a grid, so that some hundred colours with their frequencies are
clustered rather than 67,500 pixels. Xie and Bovik merge the clusters to lesion and skin afterwards;
how is not in the abstract. Here the palest of the frequent clusters is skin, and those join the
lesion whose mean is far enough from it on the way to the darkest. The field of view, the plausible
region and its outline are as in the classical method.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from lentigo_contract.segmentation.classical import PROJECTION, is_dark
from lentigo_contract.segmentation.hair import remove_hairs
from lentigo_contract.segmentation.morphology import Bytes
from lentigo_contract.segmentation.region import Floats, Segmentation, choose_region
from lentigo_contract.segmentation.skin import field_of_view, pigment
from lentigo_trainer.segmentation.seeds import best_forest
from lentigo_trainer.segmentation.self_generating import Numbers, Samples, Weights

TREES: Final = (4, 5, 6)
"""Numbers of clusters to try."""

_GRID: Final = 0.1
"""Colours are rounded to this, in units of optical density."""

_MOST_COLOURS: Final = 256
_FAR: Final = 0.2
"""Share of the way from the skin to the darkest cluster from which a cluster is lesion."""

_LEAST: Final = 0.08
"""Pigment below which a cluster is skin, however far the others are."""

_FREQUENT: Final = 0.1
"""Share of the pixels from which a cluster may be the skin."""


def segment(pixels: Bytes) -> Segmentation:
    """Find the lesion of a dermatoscopic image.

    Args:
        pixels: uint8 [height, width, 3], sRGB, of the size of `size.working_image`.
    """
    return segment_without_hairs(remove_hairs(pixels).pixels)


def segment_without_hairs(pixels: Bytes) -> Segmentation:
    """Find the lesion of an image whose hairs were removed, see `segment`."""
    field = field_of_view(pixels)
    density = pigment(pixels, field)
    score = density @ np.array(PROJECTION, np.float32)
    lesion = np.zeros(field.shape, np.bool_)
    colours, weights, number_of = _colours(density[field])
    forest = best_forest(colours, weights, TREES)
    if forest is not None:
        clusters = forest.sample_tree[number_of]
        lesion[field] = _is_lesion(score[field], clusters)[clusters]
    return choose_region(lesion, score, field, is_dark(pixels, field))


def _colours(density: Floats) -> tuple[Samples, Weights, Numbers]:
    """Return the different colours, how often each occurs, and the number of each pixel's."""
    step = _GRID
    while True:
        rounded = np.rint(np.clip(density, -0.5, 2.5) / step).astype(np.int64) + 64
        keys = (rounded[:, 0] << 20) | (rounded[:, 1] << 10) | rounded[:, 2]
        _, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
        if len(counts) <= _MOST_COLOURS:
            break
        step *= 1.25
    sums = np.stack(
        [np.bincount(numbers, density[:, channel], len(counts)) for channel in range(3)], axis=1
    )
    return sums / counts[:, None], counts.astype(np.float64), numbers


def _is_lesion(score: Floats, clusters: Numbers) -> npt.NDArray[np.bool_]:
    """Return for each cluster whether it belongs to the lesion."""
    counts = np.bincount(clusters)
    means = np.bincount(clusters, score) / np.maximum(counts, 1)
    skin = means[counts >= _FREQUENT * counts.sum()].min()
    darkest = means[counts > 0].max()
    far = means > skin + _FAR * (darkest - skin)
    return np.asarray(far & (means - skin > _LEAST), np.bool_)
