import numpy as np
import pytest

from lentigo_contract.segmentation.region import Finding, Segmentation
from lentigo_trainer.baselines.features.border import BORDER_NAMES, border_features
from lentigo_trainer.baselines.features.colour import COLOUR_NAMES, colour_features
from lentigo_trainer.baselines.features.lesion import Lesion, describe_lesion
from lentigo_trainer.baselines.features.sets import (
    FEATURE_SETS,
    System,
    features_of,
    require_finite,
)
from lentigo_trainer.baselines.features.texture import TEXTURE_NAMES, texture_features
from lentigo_trainer.errors import FeatureError
from tests.made_up_lesions import (
    SIZE,
    Mask,
    Pixels,
    disc_mask,
    picture,
    with_hairs,
    with_ruler,
)

SYSTEMS: tuple[System, ...] = ("xie", "aswin")
DISC = disc_mask((150, 112), 52)
EVERYTHING = np.ones((SIZE[1], SIZE[0]), np.bool_)


def lesion_of(pixels: Pixels, mask: Mask) -> Lesion:
    return describe_lesion(pixels, Segmentation(mask, np.ones_like(mask), Finding.LESION))


def border(mask: Mask, pixels: Pixels | None = None) -> dict[str, float]:
    values = border_features(lesion_of(picture(mask) if pixels is None else pixels, mask))
    return dict(zip(BORDER_NAMES, values.tolist(), strict=True))


def test_there_are_57_features_of_xie() -> None:
    assert (len(COLOUR_NAMES), len(TEXTURE_NAMES), len(BORDER_NAMES)) == (27, 20, 10)
    names = FEATURE_SETS["xie"].names
    assert len(names) == len(set(names)) == 57


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    "pixels",
    [
        picture(DISC),
        picture(),
        picture(EVERYTHING),
        picture(disc_mask((0, 112), 80)),
        with_hairs(picture(DISC), 260, width=3),
        with_ruler(picture(DISC)),
        np.zeros((SIZE[1], SIZE[0], 3), np.uint8),
        np.full((SIZE[1], SIZE[0], 3), 255, np.uint8),
        np.full((1, 300, 3), 90, np.uint8),
        np.random.default_rng(0).integers(0, 256, (60, 300, 3), dtype=np.uint8),
    ],
    ids=["lesion", "none", "all", "cut", "hair", "ruler", "black", "white", "line", "noise"],
)
def test_every_image_has_finite_features(system: System, pixels: Pixels) -> None:
    values, _ = features_of(system, pixels)
    assert values.shape == (len(FEATURE_SETS[system].names),)
    assert np.isfinite(values).all()


def test_a_feature_that_is_not_finite_is_named() -> None:
    with pytest.raises(FeatureError, match="not finite: second"):
        require_finite(np.array([1.0, np.nan]), ("first", "second"))


def test_an_image_without_a_lesion_is_described_whole() -> None:
    found = describe_lesion(
        picture(), Segmentation(np.zeros_like(EVERYTHING), EVERYTHING, Finding.NONE)
    )
    assert found.mask.all()
    assert not found.found
    values = dict(zip(COLOUR_NAMES, colour_features(found).tolist(), strict=True))
    assert values["difference to skin in L"] == 0
    assert values["ratio to skin in R"] == 1


def test_colours_are_those_of_the_lesion() -> None:
    pixels = picture(DISC, lesion=(45, 30, 30))
    values = dict(zip(COLOUR_NAMES, colour_features(lesion_of(pixels, DISC)).tolist(), strict=True))
    assert values["mean of R"] == pytest.approx(45, abs=4)
    assert values["share of black"] > 0.9
    assert values["difference to skin in L"] < -30
    shares = [value for name, value in values.items() if name.startswith("share of")]
    assert sum(shares) == pytest.approx(1)


def test_a_coarse_texture_has_more_contrast_than_a_plain_one() -> None:
    plain = picture(DISC)
    coarse = plain.copy()
    coarse[::4] //= 2
    one, other = (
        dict(zip(TEXTURE_NAMES, texture_features(lesion_of(each, DISC)).tolist(), strict=True))
        for each in (plain, coarse)
    )
    name = "contrast, distance 1"
    assert other[name] > 5 * one[name]
    assert other["range of contrast over directions"] > one["range of contrast over directions"]


def test_pairs_with_a_pixel_outside_the_lesion_do_not_count() -> None:
    pixels = picture(DISC)
    painted = np.where(DISC[..., None], pixels, 255 - pixels)
    one, other = (texture_features(lesion_of(each, DISC))[:17] for each in (pixels, painted))
    np.testing.assert_allclose(one, other)


def test_a_star_has_a_rougher_border_than_a_disc() -> None:
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    angle = np.arctan2(rows - 112, columns - 150)
    star = np.hypot(columns - 150, rows - 112) < 52 + 12 * np.cos(9 * angle)
    disc, rough = border(DISC), border(star)
    assert rough["deviation of the curvature"] > 2 * disc["deviation of the curvature"]
    assert rough["area over that of the convex hull"] < disc["area over that of the convex hull"]


def test_a_cut_disc_has_the_border_of_a_whole_one() -> None:
    whole, cut = border(DISC), border(disc_mask((0, 112), 52))
    assert cut["visible share of the outline"] < 0.75
    assert whole["visible share of the outline"] == 1
    for name in (
        "mean step in lightness across the border",
        "mean step in colour across the border",
    ):
        assert cut[name] == pytest.approx(whole[name], rel=0.1)
    name = "length of the outline over its smoothed length"
    assert cut[name] == pytest.approx(whole[name], rel=0.1)


def test_a_soft_border_has_a_smaller_step_than_a_hard_one() -> None:
    faint = picture(DISC, lesion=(200, 150, 132))
    name = "mean step in lightness across the border"
    assert border(DISC, faint)[name] < 0.5 * border(DISC)[name]


def test_a_lesion_without_a_visible_border_counts_as_a_disc() -> None:
    values = border(EVERYTHING)
    assert values["visible share of the outline"] == 0
    assert values["share of the field of view"] == 1
    assert values["deviation of the curvature"] == 0


def test_a_lesion_of_one_pixel_is_described() -> None:
    mask = np.zeros_like(EVERYTHING)
    mask[112, 150] = True
    lesion = lesion_of(picture(mask), mask)
    for values in (colour_features(lesion), texture_features(lesion), border_features(lesion)):
        assert np.isfinite(values).all()
