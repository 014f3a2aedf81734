import math
import sys
from subprocess import run

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.description.colours import COLOURS
from lentigo_contract.description.describe import Description, LesionDescription, describe
from lentigo_contract.errors import DescriptionError
from tests.made_up_lesions import (
    SIZE,
    Mask,
    Pixels,
    disc_mask,
    picture,
    with_dark_corners,
    with_hairs,
    with_ruler,
)

DISC = disc_mask((150, 112), 52)
BLACK = (30, 26, 26)
DARK_BROWN = (100, 62, 46)
LIGHT_BROWN = (166, 123, 91)


def squashed(pixels: Pixels) -> Pixels:
    """As the network sees a picture."""
    return np.asarray(Image.fromarray(pixels).resize((224, 224), Image.Resampling.BILINEAR))


def described(pixels: Pixels, scale: int = 2) -> Description:
    height, width = pixels.shape[:2]
    return describe(squashed(pixels), scale * width, scale * height)


def lesion_of(pixels: Pixels, scale: int = 2) -> LesionDescription:
    found = described(pixels, scale)
    assert found.reason is None
    assert found.lesion is not None
    return found.lesion


def half_disc() -> Mask:
    mask = DISC.copy()
    mask[:105] = False
    return mask


def two_colours() -> Pixels:
    """A disc whose left half is dark and whose right half is light brown."""
    pixels = picture(DISC, lesion=LIGHT_BROWN).copy()
    left = DISC.copy()
    left[:, 150:] = False
    dark = picture(DISC, lesion=DARK_BROWN)
    pixels[left] = dark[left]
    return pixels


def test_a_disc_of_one_colour_is_symmetric_and_round() -> None:
    lesion = lesion_of(picture(DISC))
    assert lesion.asymmetry is not None
    assert lesion.asymmetry.score == 0
    assert all(axis.shape < 0.06 for axis in lesion.asymmetry.axes)
    assert lesion.border.irregularity == pytest.approx(1, abs=0.06)
    assert lesion.cut == 0


def test_the_diameter_is_that_of_the_disc_in_pixels_of_the_picture() -> None:
    lesion = lesion_of(picture(DISC), scale=2)
    assert lesion.diameter is not None
    # The outline is drawn a little outside of the edge, as people do.
    assert lesion.diameter.pixels == pytest.approx(2 * 104, abs=2 * 10)
    one, other = lesion.diameter.ends
    assert math.dist(one, other) == pytest.approx(lesion.diameter.pixels)
    assert lesion.share == pytest.approx(DISC.mean(), abs=0.04)


def test_the_outline_lies_on_the_lesion_in_the_picture() -> None:
    (outline,) = lesion_of(picture(DISC), scale=4).outlines
    away = np.hypot(outline[:, 0] - 4 * 150.5, outline[:, 1] - 4 * 112.5) / 4
    assert away.min() > 48
    assert away.max() < 62


def test_a_picture_upright_is_described_in_its_own_proportions() -> None:
    upright = np.ascontiguousarray(np.rot90(picture(DISC)))
    lesion = lesion_of(upright)
    assert lesion.border.irregularity == pytest.approx(1, abs=0.06)
    middle = np.mean(lesion.outlines[0], axis=0)
    assert middle == pytest.approx([2 * 112.5, 2 * 149.5], abs=4)


def test_half_a_disc_is_asymmetric_about_one_axis() -> None:
    asymmetry = lesion_of(picture(half_disc())).asymmetry
    assert asymmetry is not None
    assert asymmetry.score == 1
    across, along = sorted(asymmetry.axes, key=lambda axis: axis.shape)
    assert across.shape < 0.06
    assert along.shape > 0.12
    # It is symmetric about the upright axis.
    assert across.angle == pytest.approx(math.pi / 2, abs=0.01)


def test_two_colours_side_by_side_are_asymmetric_about_one_axis() -> None:
    asymmetry = lesion_of(two_colours()).asymmetry
    assert asymmetry is not None
    assert asymmetry.score == 1
    upright = max(asymmetry.axes, key=lambda axis: axis.colour)
    assert upright.angle == pytest.approx(math.pi / 2, abs=0.01)
    assert max(axis.shape for axis in asymmetry.axes) < 0.1


def test_an_irregular_outline_is_told_from_a_round_one() -> None:
    star = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    rows, columns = np.ogrid[0 : SIZE[1], 0 : SIZE[0]]
    angle = np.arctan2(rows - 112, columns - 150)
    star |= np.hypot(rows - 112, columns - 150) < 52 + 20 * np.cos(5 * angle)
    assert lesion_of(picture(star)).border.irregularity > 1.3


def test_a_sharp_border_ends_abruptly_and_a_fading_one_does_not() -> None:
    sharp = lesion_of(picture(DISC)).border
    rows, columns = np.ogrid[0 : SIZE[1], 0 : SIZE[0]]
    away = np.hypot(rows - 112, columns - 150)
    amount = np.clip((75 - away) / 45, 0, 1)[..., None]
    fading = picture() * (1 - amount) + picture(np.ones_like(DISC)) * amount
    soft = lesion_of(fading.astype(np.uint8)).border
    assert sharp.score == 8
    assert soft.score == 0


def test_only_the_sectors_with_a_sharp_border_end_abruptly() -> None:
    rows, columns = np.ogrid[0 : SIZE[1], 0 : SIZE[0]]
    away = np.hypot(rows - 112, columns - 150)
    amount = np.clip((75 - away) / 45, 0, 1)
    amount = np.where(columns < 150, away < 55, amount)[..., None]
    half = picture() * (1 - amount) + picture(np.ones_like(DISC)) * amount
    border = lesion_of(half.astype(np.uint8)).border
    assert 2 <= border.score <= 5
    abrupt = [line for each in border.sectors if each.abrupt for line in each.lines]
    assert np.concatenate(abrupt)[:, 0].mean() < 2 * 150


def test_the_pieces_of_the_sectors_make_up_the_outline() -> None:
    lesion = lesion_of(picture(half_disc()))
    pieces = np.concatenate([line for each in lesion.border.sectors for line in each.lines])
    of_outline = {tuple(point) for point in np.concatenate(lesion.outlines).tolist()}
    assert {tuple(point) for point in pieces.tolist()} == of_outline


@pytest.mark.parametrize(
    ("colour", "name"),
    [(BLACK, "black"), (DARK_BROWN, "dark-brown"), (LIGHT_BROWN, "light-brown")],
)
def test_a_colour_is_named(colour: tuple[int, int, int], name: str) -> None:
    # Skin almost white, so that the light needs no correction.
    pixels = picture(DISC, lesion=colour, skin=(236, 226, 220))
    found = lesion_of(pixels).colours.found
    assert found[0][0] == name
    assert found[0][1] > 0.5


def test_two_colours_are_counted_with_their_shares() -> None:
    colours = lesion_of(two_colours()).colours
    shares = dict(zip(COLOURS, colours.shares, strict=True))
    assert colours.score >= 2
    assert shares["light-brown"] > 0.2
    assert shares["dark-brown"] > 0.2
    assert sum(colours.shares) <= 1 + 1e-9


def test_the_colour_of_the_light_does_not_change_the_colours() -> None:
    pixels = picture(DISC, lesion=DARK_BROWN)
    pink = np.clip(pixels * np.array([1.0, 0.82, 0.86]), 0, 255).astype(np.uint8)
    assert lesion_of(pink).colours.found[0][0] == lesion_of(pixels).colours.found[0][0]


def test_an_image_without_a_lesion_is_not_described() -> None:
    assert described(picture()) == Description(None, "no-lesion")


def test_an_image_that_is_all_lesion_is_not_described() -> None:
    everywhere = picture(np.ones_like(DISC))
    assert described(everywhere) == Description(None, "all-lesion")


def test_hair_everywhere_is_not_described() -> None:
    assert described(with_hairs(picture(DISC), 260, width=3)) == Description(None, "hair")


def test_some_hairs_change_little() -> None:
    hairy = lesion_of(with_hairs(picture(DISC), 8))
    assert hairy.diameter is not None
    assert hairy.diameter.pixels == pytest.approx(2 * 112, abs=30)
    assert hairy.border.irregularity < 1.3


@pytest.mark.parametrize("centre", [(0, 112), (150, 225), (300, 0)])
def test_of_a_lesion_cut_by_the_border_only_what_is_seen_is_described(
    centre: tuple[int, int],
) -> None:
    found = described(picture(disc_mask(centre, 80)))
    assert found.reason == "cut"
    lesion = found.lesion
    assert lesion is not None
    assert lesion.asymmetry is None
    assert lesion.diameter is None
    assert lesion.colours.score >= 1
    assert any(sector.abrupt is None for sector in lesion.border.sectors)


def test_the_rim_of_a_lens_is_no_border_of_the_lesion() -> None:
    found = described(with_dark_corners(picture(disc_mask((290, 112), 70))))
    assert found.reason == "cut"


def test_a_ruler_is_not_described() -> None:
    lesion = lesion_of(with_ruler(picture(DISC)))
    assert all(ring[:, 1].max() < 2 * 205 for ring in lesion.outlines)


@pytest.mark.parametrize("spacing", [7, 9, 12, 16])
def test_a_ruler_alone_is_no_lesion(spacing: int) -> None:
    assert described(with_ruler(picture(), spacing)) == Description(None, "no-lesion")


def test_a_number_that_is_not_finite_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lentigo_contract.description.border.perimeter", lambda _ring: math.nan)
    with pytest.raises(DescriptionError, match="not finite"):
        described(picture(DISC))


@pytest.mark.parametrize("size", [(32, 16384), (16384, 32), (100, 100), (4000, 3000)])
@pytest.mark.parametrize("seed", [0, 1])
def test_any_picture_has_an_answer(size: tuple[int, int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, (224, 224, 3), dtype=np.uint8)
    blocks = np.kron(generator.integers(0, 256, (7, 7, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    for pixels in (noise, blocks, squashed(picture(DISC))):
        found = describe(pixels, *size)
        assert (found.lesion is None) == (found.reason not in (None, "cut"))
        if found.lesion is not None:
            for ring in found.lesion.outlines:
                assert ring.min() >= 0
                assert (ring.max(axis=0) <= size).all()


def test_the_same_picture_gives_the_same_description() -> None:
    one, other = described(two_colours()).lesion, described(two_colours()).lesion
    assert one is not None
    assert other is not None
    assert np.array_equal(one.outlines[0], other.outlines[0])
    assert (one.asymmetry, one.colours, one.diameter) == (
        other.asymmetry,
        other.colours,
        other.diameter,
    )


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_is_described_the_same(turns: int) -> None:
    pixels = two_colours()
    lesion = lesion_of(pixels)
    turned = lesion_of(np.ascontiguousarray(np.rot90(pixels, turns)))
    assert lesion.asymmetry is not None
    assert turned.asymmetry is not None
    assert turned.asymmetry.score == lesion.asymmetry.score
    assert turned.border.score == lesion.border.score
    assert turned.colours.shares == pytest.approx(lesion.colours.shares, abs=0.05)
    assert turned.border.irregularity == pytest.approx(lesion.border.irregularity, abs=0.05)


def test_it_needs_neither_opencv_nor_scipy() -> None:
    script = (
        "import sys, lentigo_contract.description.describe as _; "
        "sys.exit(bool({'cv2', 'scipy', 'skimage', 'sklearn'} & sys.modules.keys()))"
    )
    assert run([sys.executable, "-c", script], check=False).returncode == 0
