import sys
from subprocess import run

import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic.lesion import draw_nevus
from lentigo_contract.segmentation.classical import otsu, segment
from lentigo_contract.segmentation.region import Finding
from lentigo_contract.segmentation.size import working_image
from lentigo_contract.segmentation.skin import field_of_view
from tests.made_up_lesions import (
    SIZE,
    Mask,
    disc_mask,
    jaccard,
    picture,
    with_dark_corners,
    with_hairs,
    with_ruler,
)

LESION = disc_mask((150, 112), 52)


def test_a_lesion_is_found() -> None:
    found = segment(picture(LESION))
    assert found.finding is Finding.LESION
    assert jaccard(found.mask, LESION) > 0.85
    assert found.cut == 0


@pytest.mark.parametrize("skin", [(235, 205, 195), (190, 140, 110), (140, 95, 70)])
def test_the_colour_of_the_skin_does_not_matter(skin: tuple[int, int, int]) -> None:
    lesion = tuple(round(0.5 * value) for value in skin)
    found = segment(picture(LESION, skin=skin, lesion=(lesion[0], lesion[1], lesion[2])))
    assert jaccard(found.mask, LESION) > 0.8


def test_an_image_without_a_lesion_has_none() -> None:
    found = segment(picture())
    assert found.finding is Finding.NONE
    assert not found.mask.any()
    assert found.cut == 0


def test_an_image_that_is_all_lesion_is_lesion_everywhere() -> None:
    found = segment(picture(np.ones((SIZE[1], SIZE[0]), np.bool_)))
    assert found.finding is Finding.EVERYWHERE
    assert found.mask.all()


@pytest.mark.parametrize("centre", [(0, 112), (150, 225), (300, 0)])
def test_a_lesion_cut_by_the_border_is_found_and_known_to_be_cut(
    centre: tuple[int, int],
) -> None:
    lesion = disc_mask(centre, 80)
    found = segment(picture(lesion))
    assert jaccard(found.mask, lesion) > 0.8
    assert found.cut > 0.15


def test_hairs_do_not_change_the_lesion() -> None:
    found = segment(with_hairs(picture(LESION), 10))
    assert jaccard(found.mask, LESION) > 0.8


def test_hair_everywhere_still_gets_an_answer() -> None:
    found = segment(with_hairs(picture(LESION), 260, width=3))
    assert found.finding in set(Finding)
    assert found.mask.shape == LESION.shape


def test_a_ruler_is_no_lesion() -> None:
    found = segment(with_ruler(picture(LESION)))
    assert jaccard(found.mask, LESION) > 0.8
    assert not found.mask[-15:].any()


@pytest.mark.parametrize("spacing", [7, 9, 12, 16])
@pytest.mark.parametrize("width", [1, 2, 3])
def test_a_ruler_alone_is_no_lesion(spacing: int, width: int) -> None:
    assert segment(with_ruler(picture(), spacing, width)).finding is Finding.NONE


def test_a_ruler_along_another_edge_is_no_lesion() -> None:
    pixels = np.ascontiguousarray(np.rot90(with_ruler(picture(LESION))))
    assert jaccard(segment(pixels).mask, np.rot90(LESION)) > 0.8


@pytest.mark.parametrize("size", [150, 200])
def test_a_smaller_image_has_the_same_lesion(size: int) -> None:
    image = Image.fromarray(with_hairs(picture(LESION), 5)).resize((size, size * 3 // 4))
    found = segment(np.asarray(image)).mask
    large = np.asarray(Image.fromarray(found).resize(SIZE))
    assert jaccard(large, LESION) > 0.8


def test_dark_corners_are_outside_the_field_of_view() -> None:
    found = segment(with_dark_corners(picture(LESION)))
    assert jaccard(found.mask, LESION) > 0.8
    assert not found.field[0, 0]
    assert found.field[112, 150]


def test_a_dark_lesion_in_a_corner_is_not_taken_for_the_lens() -> None:
    everything = np.full((SIZE[1], SIZE[0], 3), 20, np.uint8)
    assert field_of_view(everything).all()


def test_light_that_falls_off_does_not_change_the_lesion() -> None:
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    light = 1 - 0.35 * (np.hypot(columns - 150, rows - 112) / 187) ** 2
    pixels = (picture(LESION) * light[..., None]).astype(np.uint8)
    assert jaccard(segment(pixels).mask, LESION) > 0.75


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_a_turned_image_gives_the_turned_mask(seed: int) -> None:
    pixels = working_image(draw_nevus(seed))
    found = segment(pixels).mask
    turned = segment(np.ascontiguousarray(np.rot90(pixels, 2))).mask
    assert jaccard(np.rot90(turned, 2), found) > 0.95


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2), (20, 20)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_any_image_is_answered(shape: tuple[int, int], value: int) -> None:
    found = segment(np.full((*shape, 3), value, np.uint8))
    assert found.mask.shape == shape


def test_noise_is_answered() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (225, 300, 3), dtype=np.uint8)
    assert segment(pixels).mask.dtype == np.bool_


@pytest.mark.parametrize(("size", "expected"), [((600, 450), (225, 300)), ((100, 400), (300, 75))])
def test_an_image_is_scaled_with_its_proportions(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert working_image(Image.new("RGB", size)).shape == (*expected, 3)


def test_otsu_separates_two_classes() -> None:
    values = np.concatenate([np.full(500, 0.1), np.full(300, 0.7)]).astype(np.float32)
    assert 0.1 <= otsu(values) <= 0.7


def mask_of(found: Mask) -> bytes:
    return found.tobytes()


def test_the_same_image_gives_the_same_mask() -> None:
    pixels = working_image(draw_nevus(1))
    assert mask_of(segment(pixels).mask) == mask_of(segment(pixels).mask)


def test_it_needs_neither_opencv_nor_scipy() -> None:
    script = (
        "import sys, lentigo_contract.segmentation.classical as _; "
        "sys.exit(bool({'cv2', 'scipy', 'skimage', 'sklearn'} & sys.modules.keys()))"
    )
    assert run([sys.executable, "-c", script], check=False).returncode == 0
