import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lentigo_contract.imaging.read import read_image
from lentigo_trainer.data.perceptual_hash import (
    HASH_BYTES,
    LIMIT,
    hashes_to_compare,
    image_hash,
    nearest,
)
from tests.fakes import lesion_image
from tests.images import encoded

SIZE = (300, 225)
Pixels = npt.NDArray[np.uint8]


def picture(seed: int) -> Image.Image:
    return lesion_image(seed, "nv", SIZE)


def pixels(image: Image.Image, quality: int = 90) -> Pixels:
    return read_image(encoded(image, "JPEG", quality=quality)).pixels


def differing_bits(original: Image.Image, copy: Pixels) -> int:
    stored = image_hash(pixels(original))[None]
    return nearest(hashes_to_compare(copy), stored)[1]


@pytest.mark.parametrize("size", [(600, 450), (150, 112), (256, 256)])
def test_a_copy_of_another_size_is_found(size: tuple[int, int]) -> None:
    copy = picture(1).resize(size, Image.Resampling.BICUBIC)
    assert differing_bits(picture(1), pixels(copy)) <= LIMIT


@pytest.mark.parametrize("quality", [95, 50, 25])
def test_a_copy_of_another_quality_is_found(quality: int) -> None:
    assert differing_bits(picture(2), pixels(picture(2), quality)) <= LIMIT


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_a_turned_or_mirrored_copy_is_found(turn: Image.Transpose) -> None:
    assert differing_bits(picture(3), pixels(picture(3).transpose(turn))) <= LIMIT


@pytest.mark.parametrize(
    "sides",
    [(0.05, 0, 0, 0), (0, 0.05, 0, 0.05), (0.025, 0.025, 0.025, 0.025), (0.05, 0.05, 0.05, 0.05)],
)
def test_a_copy_that_lost_five_percent_at_a_side_is_found(sides: tuple[float, ...]) -> None:
    width, height = SIZE
    left, top, right, bottom = sides
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    copy = picture(4).resize((200, 150), Image.Resampling.BICUBIC, box)
    assert differing_bits(picture(4), pixels(copy)) <= LIMIT


def test_other_images_are_not_copies() -> None:
    stored = np.stack([image_hash(pixels(picture(seed))) for seed in range(10)])
    for seed in range(10, 20):
        assert nearest(hashes_to_compare(pixels(picture(seed))), stored)[1] > LIMIT


def test_the_nearest_of_several_is_named() -> None:
    stored = np.stack([image_hash(pixels(picture(seed))) for seed in range(5)])
    assert stored.shape == (5, HASH_BYTES)
    assert nearest(hashes_to_compare(pixels(picture(3))), stored)[0] == 3


def test_an_image_of_one_colour_has_a_hash_and_is_no_copy_of_a_lesion() -> None:
    plain = Image.new("RGB", SIZE, (200, 150, 120))
    assert differing_bits(picture(1), pixels(plain)) > LIMIT
