import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from lentigo_contract.segmentation.connected_regions import fill_holes, regions

MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS)
def test_regions_are_those_of_scipy(mask: np.ndarray) -> None:
    found = regions(mask)
    expected, count = ndimage.label(mask)
    assert found.count == count
    for number in range(count):
        of_region = expected == number + 1
        np.testing.assert_array_equal(found.mask_of(np.arange(count) == number), of_region)
        assert found.areas[number] == of_region.sum()
    np.testing.assert_array_equal(found.of_pixels(np.arange(count) == 0), expected[mask] == 1)


@given(MASKS, st.integers(0, 3))
def test_sums_and_boxes_of_regions_are_those_of_scipy(mask: np.ndarray, seed: int) -> None:
    values = np.random.default_rng(seed).random(mask.shape)
    found = regions(mask)
    labels, count = ndimage.label(mask)
    assert found.sums(values) == pytest.approx(ndimage.sum(values, labels, range(1, count + 1)))
    boxes = [
        (down.start, across.start, down.stop, across.stop)
        for down, across in ndimage.find_objects(labels)
    ]
    assert found.boxes.T.tolist() == [list(box) for box in boxes]


@given(MASKS)
def test_holes_are_those_of_scipy(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


def test_a_long_spiral_is_one_region() -> None:
    # A region whose runs are joined only through a long way round.
    mask = np.zeros((41, 41), np.bool_)
    row, column, step = 20, 20, 2
    directions = ((0, 1), (1, 0), (0, -1), (-1, 0))
    for turn in range(38):
        down, right = directions[turn % 4]
        for _ in range(step):
            if 0 <= row < 41 and 0 <= column < 41:
                mask[row, column] = True
            row, column = row + down, column + right
        step += turn % 2 * 2
    assert regions(mask).count == ndimage.label(mask)[1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_a_mask_of_one_row_or_column_has_no_holes(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.bool_)
    assert not fill_holes(mask).any()
    assert fill_holes(~mask).all()
