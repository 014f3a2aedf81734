import numpy as np
import pytest

from lentigo_contract.description.outline import outlines, perimeter, signed_area
from tests.made_up_lesions import disc_mask


def test_a_disc_has_the_area_and_the_length_of_a_circle() -> None:
    (ring,) = outlines(disc_mask((150, 112), 50))
    assert signed_area(ring) == pytest.approx(np.pi * 50**2, rel=0.02)
    assert perimeter(ring) == pytest.approx(2 * np.pi * 50, rel=0.02)


def test_each_region_has_an_outline_the_largest_first() -> None:
    mask = disc_mask((60, 60), 20) | disc_mask((200, 120), 40)
    large, small = outlines(mask)
    assert large.mean(axis=0) == pytest.approx([200.5, 120.5], abs=0.5)
    assert small.mean(axis=0) == pytest.approx([60.5, 60.5], abs=0.5)


def test_a_hole_is_left_out() -> None:
    mask = disc_mask((150, 112), 50) & ~disc_mask((150, 112), 20)
    (ring,) = outlines(mask)
    assert signed_area(ring) == pytest.approx(np.pi * 50**2, rel=0.02)


def test_pixels_that_touch_at_a_corner_are_two_regions() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[5:20, 5:20] = True
    mask[20:30, 20:30] = True
    assert len(outlines(mask)) == 2


@pytest.mark.parametrize("place", [(0, 0), (0, 9), (9, 4)])
def test_a_single_pixel_has_an_outline(place: tuple[int, int]) -> None:
    mask = np.zeros((10, 10), np.bool_)
    mask[place] = True
    (ring,) = outlines(mask)
    assert np.isfinite(ring).all()
    assert ring.mean(axis=0) == pytest.approx([place[1] + 0.5, place[0] + 0.5], abs=0.2)


def test_all_of_an_image_has_the_images_edge_for_its_outline() -> None:
    (ring,) = outlines(np.ones((30, 50), np.bool_))
    assert ring.min() >= 0
    assert ring.max(axis=0) == pytest.approx([50, 30], abs=0.1)


def test_nothing_has_no_outline() -> None:
    assert outlines(np.zeros((30, 50), np.bool_)) == []
