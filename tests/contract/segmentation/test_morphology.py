import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from lentigo_contract.segmentation.morphology import (
    brightest,
    close,
    dilate,
    disc,
    erode,
    line,
    open_,
    outline,
)

MASKS = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(MASKS, st.integers(1, 3))
def test_dilation_and_erosion_are_those_of_scipy(mask: np.ndarray, radius: int) -> None:
    offsets = disc(radius)
    structure = np.zeros((2 * radius + 1,) * 2, np.bool_)
    for y, x in offsets:
        structure[radius + y, radius + x] = True
    np.testing.assert_array_equal(dilate(mask, offsets), ndimage.binary_dilation(mask, structure))
    np.testing.assert_array_equal(
        erode(mask, offsets), ndimage.binary_erosion(mask, structure, border_value=1)
    )


def test_an_opening_removes_a_line_and_keeps_a_block() -> None:
    mask = np.zeros((30, 30), np.bool_)
    mask[5:20, 5:20] = True
    mask[25, :] = True
    opened = open_(mask, disc(2))
    assert not opened[25].any()
    assert opened[8:17, 8:17].all()


def test_a_closing_along_a_line_fills_what_is_narrower() -> None:
    row = np.full((1, 20), 200, np.uint8)
    row[0, 8:11] = 20
    assert (close(row, line(5, 0, 1)) == 200).all()
    assert close(row, line(3, 0, 1)).min() == 20


def test_an_outline_includes_the_edge_of_the_image() -> None:
    mask = np.ones((4, 5), np.bool_)
    assert outline(mask).sum() == 14
    assert not outline(np.zeros((4, 5), np.bool_)).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_an_image_smaller_than_the_neighbourhood_is_no_error(shape: tuple[int, int]) -> None:
    mask = np.ones(shape, np.bool_)
    for found in (dilate(mask, disc(5)), erode(mask, disc(5))):
        assert found.all()


def test_the_brightest_channel_is_the_maximum() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(brightest(pixels), pixels.max(axis=2))
