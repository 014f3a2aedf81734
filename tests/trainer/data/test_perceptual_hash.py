import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lentigo_contract.imaging.read import read_image
from lentigo_trainer.data import perceptual_hash
from lentigo_trainer.data.perceptual_hash import (
    Fingerprints,
    cell_colours,
    find_copied,
    image_hash,
)
from tests.fakes import lesion_image
from tests.images import encoded

SIZE = (300, 225)
Pixels = npt.NDArray[np.uint8]


def picture(seed: int) -> Image.Image:
    return lesion_image(seed, "nv", SIZE)


def colourless(seed: int) -> Image.Image:
    return picture(seed).convert("L").convert("RGB")


def pixels(image: Image.Image, quality: int = 90) -> Pixels:
    return read_image(encoded(image, "JPEG", quality=quality)).pixels


def kept(*images: Image.Image) -> Fingerprints:
    seen = [pixels(image) for image in images]
    return Fingerprints(
        np.stack(list(map(image_hash, seen))), np.stack(list(map(cell_colours, seen)))
    )


@pytest.mark.parametrize("size", [(600, 450), (150, 112), (256, 256)])
def test_a_copy_of_another_size_is_found(size: tuple[int, int]) -> None:
    copy = picture(1).resize(size, Image.Resampling.BICUBIC)
    assert find_copied(pixels(copy), kept(picture(1))) == 0


@pytest.mark.parametrize("quality", [95, 50, 25])
def test_a_copy_of_another_quality_is_found(quality: int) -> None:
    assert find_copied(pixels(picture(2), quality), kept(picture(2))) == 0


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_a_turned_or_mirrored_copy_is_found(turn: Image.Transpose) -> None:
    assert find_copied(pixels(picture(3).transpose(turn)), kept(picture(3))) == 0


@pytest.mark.parametrize(
    "sides",
    [(0.05, 0, 0, 0), (0, 0.05, 0, 0.05), (0.025, 0.025, 0.025, 0.025), (0.05, 0.05, 0.05, 0.05)],
)
def test_a_copy_that_lost_five_percent_at_a_side_is_found(sides: tuple[float, ...]) -> None:
    width, height = SIZE
    left, top, right, bottom = sides
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    copy = picture(4).resize((200, 150), Image.Resampling.BICUBIC, box)
    assert find_copied(pixels(copy), kept(picture(4))) == 0


def test_other_images_are_not_copies() -> None:
    stored = kept(*map(picture, range(10)))
    for seed in range(10, 20):
        assert find_copied(pixels(picture(seed)), stored) is None


def test_the_nearest_of_several_is_named() -> None:
    stored = kept(*map(picture, range(5)))
    assert len(stored) == 5
    assert find_copied(pixels(picture(3)), stored) == 3


def test_an_image_of_one_colour_has_a_hash_and_is_no_copy_of_a_lesion() -> None:
    plain = Image.new("RGB", SIZE, (200, 150, 120))
    assert find_copied(pixels(plain), kept(picture(1))) is None


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no number of bits be so few that the colours do not matter."""
    monkeypatch.setattr(perceptual_hash, "SURE", -1)


@pytest.mark.usefixtures("doubtful")
@pytest.mark.parametrize("turn", [None, *Image.Transpose])
def test_the_cells_are_compared_in_the_orientation_that_was_found(
    turn: Image.Transpose | None,
) -> None:
    uneven = np.asarray(picture(6)).copy()
    uneven[:75, :100] = (40, 90, 160)
    original = Image.fromarray(uneven)
    copy = original if turn is None else original.transpose(turn)
    assert find_copied(pixels(copy), kept(original)) == 0


@pytest.mark.usefixtures("doubtful")
def test_an_image_that_is_near_but_has_other_colours_is_no_copy() -> None:
    assert find_copied(pixels(colourless(7)), kept(picture(7))) is None


def test_a_copy_without_its_colours_is_found_where_the_bits_leave_no_doubt() -> None:
    assert find_copied(pixels(colourless(8)), kept(picture(8))) == 0


@pytest.mark.usefixtures("doubtful")
def test_where_no_colours_were_kept_the_bits_decide() -> None:
    stored = Fingerprints(kept(picture(7)).hashes)
    assert find_copied(pixels(colourless(7)), stored) == 0
