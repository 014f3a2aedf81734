import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from lentigo_contract.imaging.quality import (
    ISSUES,
    LEAST_SIDE,
    REASONS,
    assess_quality,
    quality_issues,
)
from lentigo_contract.imaging.read import MODEL_SIDE, read_image
from lentigo_contract.labels import CODES
from lentigo_contract.manifest.engines import golden_images
from tests.contract.repository.twins import Pixels
from tests.fakes import jpeg_bytes, lesion_image

SIDES = (MODEL_SIDE, MODEL_SIDE)
NOISE = np.random.default_rng(0).normal(0, 1, (*SIDES, 3))


def found(pixels: npt.ArrayLike | Image.Image) -> tuple[str, ...]:
    return quality_issues(np.asarray(pixels, np.uint8), 600, 450)


def lesion(seed: int = 1, code: str = "nv") -> Image.Image:
    return lesion_image(seed, code, SIDES)


def blurred(radius: float, seed: int = 1, code: str = "nv") -> Image.Image:
    return lesion(seed, code).filter(ImageFilter.GaussianBlur(radius))


def plain(*colour: int) -> Pixels:
    return np.full((*SIDES, 3), colour, np.uint8)


@pytest.mark.parametrize("code", CODES)
def test_a_lesion_has_no_flaw(code: str) -> None:
    for seed in range(10):
        assert found(lesion(seed, code)) == ()


def test_a_lesion_from_a_file_has_no_flaw() -> None:
    image = read_image(jpeg_bytes(quality=75))
    assert quality_issues(image.pixels, image.width, image.height) == ()


def test_the_golden_pictures_have_no_flaw() -> None:
    """An engine is put to the proof with pictures that it would be asked about."""
    assert [found(picture) for picture in golden_images(1, 3)] == [(), (), ()]


@pytest.mark.parametrize(
    ("width", "height", "flaws"),
    [
        (LEAST_SIDE, LEAST_SIDE, ()),
        (LEAST_SIDE - 1, 2000, ("too-small",)),
        (2000, LEAST_SIDE - 1, ("too-small",)),
    ],
)
def test_the_shorter_side_decides_what_is_too_small(
    width: int, height: int, flaws: tuple[str, ...]
) -> None:
    assert quality_issues(np.asarray(lesion()), width, height) == flaws


@pytest.mark.parametrize(
    ("pixels", "flaw"),
    [
        (plain(0, 0, 0), "too-dark"),
        (plain(40, 40, 40), "too-dark"),
        (plain(0, 0, 255), "too-dark"),
        (plain(226, 178, 160), "blank"),
        (plain(255, 255, 255), "too-bright"),
    ],
    ids=["black", "nearly black", "pure blue", "skin", "white"],
)
def test_one_colour_has_one_flaw(pixels: Pixels, flaw: str) -> None:
    assert found(pixels) == (flaw,)


def test_a_cameras_noise_is_nothing_to_see() -> None:
    assert found(np.clip(plain(226, 178, 160) + 8 * NOISE, 0, 255)) == ("blank",)


@pytest.mark.parametrize(("share", "flaws"), [(0.6, ()), (0.1, ("too-dark",))])
def test_a_lesion_in_too_little_light_is_too_dark(share: float, flaws: tuple[str, ...]) -> None:
    assert found(np.asarray(lesion()) * share) == flaws


def test_a_lit_circle_on_black_is_not_too_dark() -> None:
    """Some dermatoscopes show no more than that."""
    y, x = np.mgrid[0:MODEL_SIDE, 0:MODEL_SIDE] - MODEL_SIDE / 2
    inside = np.hypot(y, x) < MODEL_SIDE / 4
    assert found(np.asarray(lesion()) * inside[..., None]) == ()


def test_a_washed_out_lesion_is_too_bright() -> None:
    assert found(np.minimum(np.asarray(lesion(), float) * 6, 255)) == ("too-bright",)


@pytest.mark.parametrize("noise", [0, 2])
@pytest.mark.parametrize("code", CODES)
def test_a_heavily_blurred_lesion_is_blurred_whatever_the_cameras_noise(
    code: str, noise: float
) -> None:
    pixels = np.clip(np.asarray(blurred(8, code=code)) + noise * NOISE, 0, 255)
    assert found(pixels) == ("blurred",)


def test_a_soft_lesion_is_not_blurred() -> None:
    assert [found(blurred(1, seed)) for seed in range(10)] == [()] * 10


def test_a_pale_but_sharp_lesion_is_not_blurred() -> None:
    skin = np.asarray(plain(226, 178, 160), float)
    assert found(skin + 0.2 * (np.asarray(lesion(), float) - skin)) == ()


def test_small_and_blurred_are_both_told() -> None:
    assert quality_issues(np.asarray(blurred(8)), 90, 90) == ("too-small", "blurred")


def test_every_flaw_is_a_reason_and_being_unlike_is_one_more() -> None:
    assert (*ISSUES, "unlike-training-images") == REASONS


def test_the_pixels_are_left_as_they_were() -> None:
    pixels = np.asarray(lesion())
    before = pixels.copy()
    quality_issues(pixels, 600, 450)
    assert (pixels == before).all()


def test_brightness_is_the_mean_luma() -> None:
    assert assess_quality(plain(100, 100, 100), 600, 450).brightness == pytest.approx(100)
    assert assess_quality(plain(255, 0, 0), 600, 450).brightness == pytest.approx(0.299 * 255)


def test_blurring_makes_an_image_less_sharp_and_not_less_bright() -> None:
    found = [
        assess_quality(np.asarray(image), 600, 450)
        for image in (lesion(), blurred(1), blurred(2), blurred(4))
    ]
    sharpness = [each.sharpness for each in found]
    assert sharpness == sorted(sharpness, reverse=True)
    assert [each.brightness for each in found] == pytest.approx([found[0].brightness] * 4, abs=1)


@pytest.mark.parametrize("seed", range(3))
def test_sharpness_is_between_0_and_1_whatever_is_seen(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (*SIDES, 3), np.uint8)
    chess = np.kron(np.indices((56, 56)).sum(axis=0) % 2, np.ones((4, 4)))[..., None] * 255
    for pixels in (noise, np.repeat(chess, 3, axis=2).astype(np.uint8), plain(9, 9, 9)):
        assert 0 <= assess_quality(pixels, 600, 450).sharpness <= 1
