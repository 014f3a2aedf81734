import numpy as np
import pytest

from lentigo_contract.segmentation.region import Finding
from lentigo_trainer.segmentation.neural import segment
from tests.made_up_lesions import (
    SIZE,
    Pixels,
    disc_mask,
    jaccard,
    picture,
    with_dark_corners,
    with_hairs,
    with_ruler,
)

LESION = disc_mask((150, 112), 52)


def test_a_lesion_of_two_colours_is_found_whole() -> None:
    pixels = picture(LESION, lesion=(150, 100, 80))
    core = picture(disc_mask((150, 112), 25))
    pixels = np.where(disc_mask((150, 112), 25)[..., None], core, pixels)
    assert jaccard(segment(pixels).mask, LESION) > 0.8


@pytest.mark.parametrize(
    "pixels",
    [
        with_hairs(picture(LESION), 10),
        with_ruler(picture(LESION)),
        with_dark_corners(picture(LESION)),
    ],
    ids=["hairs", "ruler", "corners"],
)
def test_what_lies_over_the_skin_is_no_lesion(pixels: Pixels) -> None:
    assert jaccard(segment(pixels).mask, LESION) > 0.75


def test_a_lesion_cut_by_the_border_is_found() -> None:
    lesion = disc_mask((0, 112), 80)
    found = segment(picture(lesion))
    assert jaccard(found.mask, lesion) > 0.75
    assert found.cut > 0.15


def test_hair_everywhere_still_gets_an_answer() -> None:
    found = segment(with_hairs(picture(LESION), 260, width=3))
    assert found.finding in set(Finding)
    assert found.mask.shape == LESION.shape


def test_no_lesion_and_all_lesion_have_their_answers() -> None:
    assert segment(picture()).finding is Finding.NONE
    everything = picture(np.ones((SIZE[1], SIZE[0]), np.bool_))
    assert segment(everything).finding is Finding.EVERYWHERE


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (20, 20)])
def test_any_image_is_answered(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert segment(pixels).mask.shape == shape


def test_the_same_image_gives_the_same_mask() -> None:
    pixels = with_hairs(picture(LESION), 5)
    np.testing.assert_array_equal(segment(pixels).mask, segment(pixels).mask)
