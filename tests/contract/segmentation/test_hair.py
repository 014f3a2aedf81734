import numpy as np
import pytest

from lentigo_contract.segmentation.hair import find_hairs, remove_hairs
from tests.made_up_lesions import SIZE, disc_mask, picture, with_hairs

MIDDLE = (150, 112)


def test_skin_without_hairs_stays_as_it_is() -> None:
    pixels = picture(disc_mask(MIDDLE, 50))
    found = remove_hairs(pixels)
    assert found.replaced
    assert found.hairs.mean() < 0.002
    assert np.abs(found.pixels.astype(int) - pixels).mean() < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_hairs_are_replaced_by_what_lies_beside_them(seed: int) -> None:
    clean = picture(disc_mask(MIDDLE, 50))
    hairy = with_hairs(clean, 8, seed)
    drawn = np.abs(hairy.astype(int) - clean).max(axis=2) > 40
    found = remove_hairs(hairy)
    before = np.abs(hairy.astype(int) - clean)[drawn].mean()
    after = np.abs(found.pixels.astype(int) - clean)[drawn].mean()
    assert (found.hairs & drawn).sum() > 0.6 * drawn.sum()
    assert after < 0.45 * before


@pytest.mark.parametrize("angle", [0, 25, 45, 70, 90, 115, 135, 160])
def test_a_hair_is_found_in_every_direction(angle: int) -> None:
    pixels = picture()
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    turn = np.deg2rad(angle)
    across = (columns - 150) * np.sin(turn) - (rows - 112) * np.cos(turn)
    along = (columns - 150) * np.cos(turn) + (rows - 112) * np.sin(turn)
    hair = (np.abs(across) < 1.2) & (np.abs(along) < 60)
    pixels[hair] = (40, 30, 25)
    assert find_hairs(pixels)[hair].mean() > 0.7


def test_a_dark_spot_is_no_hair() -> None:
    pixels = picture(disc_mask((80, 80), 5))
    assert find_hairs(pixels).mean() < 0.001


def test_hair_everywhere_is_left_and_said() -> None:
    pixels = picture(disc_mask(MIDDLE, 50))
    columns = np.arange(SIZE[0])
    pixels[:, columns % 7 < 3] = (40, 30, 25)
    found = remove_hairs(pixels)
    assert found.hairs.mean() > 0.3
    assert not found.replaced
    np.testing.assert_array_equal(found.pixels, pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2), (32, 32)])
def test_any_size_is_answered(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert remove_hairs(pixels).pixels.shape == pixels.shape
