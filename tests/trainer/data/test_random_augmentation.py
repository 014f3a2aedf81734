from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from lentigo_trainer.config.fine_tuning import AugmentationConfig
from lentigo_trainer.data.random_augmentation import augment, draw_augmentations

STILL = AugmentationConfig(
    rotation=0, zoom_in=1, zoom_out=1, stretch=0, shift=0, brightness=0, contrast=0,
    saturation=0, tint=0,
)  # fmt: skip


def random_images(count: int = 3) -> NDArray[np.float32]:
    draw = np.random.default_rng(5)
    coarse = draw.uniform(20, 230, (count, 7, 7, 3)).astype(np.float32)
    resized: NDArray[np.float32] = tf.image.resize(coarse, (224, 224)).numpy()
    return resized


def done(widest: AugmentationConfig, side: int = 224, seed: int = 0) -> NDArray[np.float32]:
    images = random_images()
    result: NDArray[np.float32] = augment(
        images, draw_augmentations(widest, len(images), side, seed), side
    ).numpy()
    return result


def test_with_limits_of_zero_images_are_only_flipped() -> None:
    for before, after in zip(random_images(), done(STILL), strict=True):
        flipped = [before[::down, ::across] for down in (1, -1) for across in (1, -1)]
        assert min(np.abs(after - each).max() for each in flipped) < 1e-2


@pytest.mark.parametrize("side", [128, 160])
def test_a_smaller_size_shows_the_same_image(side: int) -> None:
    small = done(STILL, side)
    assert small.shape == (3, side, side, 3)
    back = tf.image.resize(small, (224, 224)).numpy()
    assert np.abs(back - done(STILL)).mean() < 3


def test_the_seed_decides_the_augmentation() -> None:
    first, again, other = (done(AugmentationConfig(), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 1


def test_each_image_of_an_epoch_has_its_own_augmentation() -> None:
    maps = draw_augmentations(AugmentationConfig(), 50, 224, 0).maps
    assert len(np.unique(maps.round(4), axis=0)) == 50


def detail(images: NDArray[np.float32]) -> float:
    return float(np.abs(np.diff(images, axis=1)).mean())


def test_sharpening_restores_what_rotation_blurs() -> None:
    fine = np.random.default_rng(3).uniform(80, 170, (20, 224, 224, 3)).astype(np.float32)

    def shown(sharpen: float) -> float:
        widest = STILL.model_copy(update={"rotation": 180.0, "sharpen": sharpen})
        drawn = draw_augmentations(widest, 20, 224, 0)
        always = replace(drawn, sharpness=np.full(20, sharpen, np.float32))
        return detail(augment(fine, always, 224).numpy())

    assert shown(0.0) < 0.75 * detail(fine)
    assert shown(0.0) < shown(0.7) < shown(1.4)


def test_sharpening_leaves_a_plain_image_unchanged() -> None:
    flat = np.full((2, 224, 224, 3), 90, np.float32)
    widest = STILL.model_copy(update={"blur": 0.5, "sharpen": 2.0})
    assert augment(flat, draw_augmentations(widest, 2, 224, 0), 224).numpy() == pytest.approx(flat)


def test_values_stay_in_the_range_of_pixels() -> None:
    values = done(AugmentationConfig(brightness=0.5, contrast=0.9, saturation=0.9, tint=0.5))
    assert values.min() >= 0
    assert values.max() <= 255


def test_a_quarter_turn_keeps_the_aspect_ratio_of_the_camera() -> None:
    # One map: a quarter turn about the middle. Before they were squashed, images were 4:3, so a
    # step across the result is 4/3 of a step down the original.
    drawn = draw_augmentations(STILL.model_copy(update={"rotation": 90.0}), 200, 224, 1).maps
    across = np.hypot(drawn[:, 0] * 4 / 3, drawn[:, 3])
    down = np.hypot(drawn[:, 1] * 4 / 3, drawn[:, 4])
    assert across == pytest.approx(np.full(200, 4 / 3), rel=1e-5)
    assert down == pytest.approx(np.ones(200), rel=1e-5)


def test_zoom_stays_within_its_limits() -> None:
    widest = STILL.model_copy(update={"zoom_in": 0.5, "zoom_out": 1.5})
    scale = np.abs(draw_augmentations(widest, 500, 224, 0).maps[:, 0])
    assert 0.5 <= scale.min() < 0.6
    assert 1.4 < scale.max() <= 1.5


def test_saturation_moves_towards_grey_and_leaves_grey_alone() -> None:
    widest = STILL.model_copy(update={"saturation": 0.5})
    drawn = draw_augmentations(widest, 20, 224, 0)
    grey = np.full((20, 1, 3), 100, np.float32)
    assert grey @ drawn.colours == pytest.approx(grey, rel=1e-5)
    red = np.tile(np.array([[[200, 0, 0]]], np.float32), (20, 1, 1)) @ drawn.colours
    assert np.ptp(red[:, 0, 0]) > 20


def test_contrast_and_brightness_act_about_the_mean() -> None:
    images = random_images(2)
    plain = draw_augmentations(STILL, 2, 224, 0)
    half, ten = np.full(2, 0.5, np.float32), np.full(2, 10, np.float32)
    changed = replace(plain, contrast=half, brightness=ten)
    before, after = (augment(images, each, 224).numpy() for each in (plain, changed))
    assert after.mean(axis=(1, 2)) == pytest.approx(before.mean(axis=(1, 2)) + 10, abs=0.01)
    assert after.std(axis=(1, 2)) == pytest.approx(before.std(axis=(1, 2)) / 2, rel=1e-3)


def test_each_image_is_turned_in_the_proportions_of_its_original() -> None:
    limits = AugmentationConfig(zoom_in=1, zoom_out=1, stretch=0, shift=0)
    aspects = np.array([4 / 3, 1, 2], np.float32)
    maps = draw_augmentations(limits, 3, 224, 0, aspects).maps
    alike = draw_augmentations(limits, 3, 224, 0).maps
    assert maps[0] == pytest.approx(alike[0], abs=1e-4)
    assert np.abs(maps[2] - alike[2]).max() > 0.1
    for (a0, a1, _, b0, b1, *_), aspect in zip(maps, aspects, strict=True):
        # With the squash undone it is a rotation: it keeps lengths.
        turned = np.array([[a0 * aspect, a1 * aspect], [b0, b1]]) @ np.diag([1 / aspect, 1])
        assert turned @ turned.T == pytest.approx(np.eye(2), abs=1e-4)


def changed(**limits: float) -> NDArray[np.float32]:
    """Difference that some limits make, in images of a smooth pattern."""
    return done(STILL.model_copy(update=limits)) - done(STILL)


def test_hue_turns_colours_and_leaves_grey_alone() -> None:
    grey = np.repeat(random_images()[..., :1], 3, axis=3)
    turned = STILL.model_copy(update={"hue": 90.0})
    before, after = (
        augment(grey, draw_augmentations(limits, len(grey), 224, 0), 224).numpy()
        for limits in (STILL, turned)
    )
    np.testing.assert_allclose(before, after, atol=0.01)
    colours = changed(hue=90.0)
    assert np.abs(colours).max() > 20
    # The sum of red, green and blue lies along the grey axis. Clipping can change it.
    assert np.abs(colours.sum(axis=-1)).mean() < 2


def test_gamma_changes_midtones_and_keeps_black_and_white() -> None:
    ends = np.zeros((3, 224, 224, 3), np.float32)
    ends[:, 112:] = 255
    drawn = draw_augmentations(STILL.model_copy(update={"gamma": 1.0}), 3, 224, 0)
    result = augment(ends, drawn, 224).numpy()
    assert {round(float(value)) for value in np.unique(result[:, [0, 100, 123, 223]])} == {0, 255}
    assert np.abs(changed(gamma=1.0)).mean() > 5


def test_dark_corners_darken_the_corners_and_not_the_centre() -> None:
    difference = changed(dark_corners=1.0)
    assert np.abs(difference[:, 92:132, 92:132]).max() < 0.01
    corners = difference[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners <= 0.01).all()
    assert corners.mean() < -20


def test_erasing_fills_one_rectangle_of_at_most_a_fifth() -> None:
    for image in np.abs(changed(erase=1.0)).max(axis=-1) > 0.5:
        down, across = np.nonzero(image)
        area = (np.ptp(down) + 1) * (np.ptp(across) + 1)
        assert 0.01 < area / image.size < 0.22


@pytest.mark.parametrize("name", ["dark_corners", "erase"])
def test_a_chance_of_a_half_changes_about_half_of_the_images(name: str) -> None:
    drawn = draw_augmentations(STILL.model_copy(update={name: 0.5}), 400, 64, 0)
    chosen = {
        "dark_corners": drawn.view[:, 2] < 2,
        "erase": drawn.erased[:, 1] > drawn.erased[:, 0],
    }
    assert 150 < chosen[name].sum() < 250
