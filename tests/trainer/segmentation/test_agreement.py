import math

import numpy as np
import pytest

from lentigo_trainer.errors import MaskError
from lentigo_trainer.segmentation.agreement import agreement


def square(first: int, last: int, size: int = 40) -> np.ndarray:
    mask = np.zeros((size, size), np.bool_)
    mask[first:last, first:last] = True
    return mask


def test_the_same_mask_agrees_in_full() -> None:
    found = agreement(square(10, 20), square(10, 20))
    assert (found.jaccard, found.dice) == (1, 1)
    assert (found.surface_distance, found.hausdorff_95) == (0, 0)
    assert found.thresholded == 1


def test_overlap_follows_its_definition() -> None:
    # 100 and 144 pixels, 100 in common.
    found = agreement(square(10, 20), square(9, 21))
    assert found.jaccard == pytest.approx(100 / 144)
    assert found.dice == pytest.approx(200 / 244)


def test_distances_are_between_the_outlines() -> None:
    # A frame of one pixel: every pixel of the outer outline is 1 away, its corners the root of 2.
    found = agreement(square(10, 20), square(9, 21))
    outer = (40 * 1 + 4 * math.sqrt(2)) / 44
    assert found.surface_distance == pytest.approx((36 * 1 + 44 * outer) / 80, abs=0.01)
    assert 1 <= found.hausdorff_95 <= math.sqrt(2) + 1e-6


def test_below_the_threshold_it_counts_nothing() -> None:
    found = agreement(square(10, 20), square(10, 30))
    assert found.jaccard == pytest.approx(0.25)
    assert found.thresholded == 0


def test_an_empty_mask_has_no_distance() -> None:
    nothing = square(0, 0)
    one = agreement(nothing, square(10, 20))
    assert one.jaccard == 0
    assert math.isnan(one.surface_distance)
    both = agreement(nothing, nothing)
    assert both.jaccard == 1
    assert math.isnan(both.hausdorff_95)


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(MaskError, match="cannot be compared"):
        agreement(square(1, 2), square(1, 2, size=41))
