import io
from dataclasses import fields

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from lentigo_trainer.config.fine_tuning import AugmentationConfig
from lentigo_trainer.data.overlays import HAIRS, Overlays, draw_overlays, lay_over, through_jpeg
from lentigo_trainer.data.random_augmentation import draw_augmentations

ALL = AugmentationConfig(hairs=1, ruler=1, jpeg=1)
SKIN = np.full((1, 160, 160, 3), 200, np.float32)


def drawn(limits: AugmentationConfig, count: int = 400, seed: int = 0) -> Overlays:
    return draw_overlays(limits, count, np.random.default_rng(seed))


def laid_over(images: NDArray[np.float32], over: Overlays) -> NDArray[np.float32]:
    result: NDArray[np.float32] = lay_over(images, over.hairs, over.hair_colour, over.ruler).numpy()
    return result


def photographs(count: int, side: int = 160) -> NDArray[np.float32]:
    draw = np.random.default_rng(3)
    coarse = draw.uniform(40, 220, (count, 20, 20, 3)).astype(np.float32)
    resized: NDArray[np.float32] = tf.image.resize(coarse, (side, side)).numpy().round()
    return resized


def test_without_a_chance_nothing_lies_over_an_image() -> None:
    over = drawn(AugmentationConfig(), 20)
    images = photographs(20)
    assert np.array_equal(laid_over(images, over), images)
    assert np.array_equal(through_jpeg(images, over.quality).numpy(), images)


@pytest.mark.parametrize("name", ["hairs", "ruler", "jpeg"])
def test_a_chance_of_a_quarter_is_about_a_quarter_of_the_images(name: str) -> None:
    over = drawn(AugmentationConfig.model_validate({name: 0.25}))
    has = {
        "hairs": over.hairs[..., -1].max(1) > 0,
        "ruler": over.ruler[:, -1] > 0,
        "jpeg": over.quality > 0,
    }
    assert {other for other, found in has.items() if found.any()} == {name}
    assert has[name].mean() == pytest.approx(0.25, abs=0.07)


def test_what_lies_over_an_image_leaves_the_other_draws_as_they_were() -> None:
    without, with_all = (
        draw_augmentations(limits, 10, 160, seed=4) for limits in (AugmentationConfig(), ALL)
    )
    same = [
        field.name
        for field in fields(without)
        if np.array_equal(getattr(without, field.name), getattr(with_all, field.name))
    ]
    assert {"maps", "colours", "contrast", "view", "erased"} <= set(same)


def test_hairs_are_thin_dark_or_light_lines_and_leave_the_rest() -> None:
    over = drawn(AugmentationConfig(hairs=1), 40)
    images = np.repeat(SKIN, 40, 0)
    changed = np.abs(laid_over(images, over) - images).max(-1) > 1
    shares = changed.mean((1, 2))
    grown = (over.hairs[..., -1] > 0).sum(1)
    assert grown.max() <= HAIRS
    # A hair has about a hundredth of the side, and hardly any passes outside of the image.
    assert 0 < shares[grown > 0].mean() < 0.12
    assert not changed[grown == 0].any()


def test_one_hair_is_an_arc_of_its_circle() -> None:
    hairs = np.zeros((1, HAIRS, 5), np.float32)
    hairs[0, 0] = (0.5, 1.5, 1.0, 0.01, 0.9)
    ruler = np.zeros((1, 6), np.float32)
    found = lay_over(SKIN, hairs, np.array([20], np.float32), ruler).numpy()[0, ..., 0]
    down, across = np.nonzero(found < 100)
    radius = np.hypot((across + 0.5) / 160 - 0.5, (down + 0.5) / 160 - 1.5)
    assert np.abs(radius - 1).max() < 0.0125
    assert set(across) == set(range(160))


@pytest.mark.parametrize("edge", range(4))
def test_the_ticks_of_a_ruler_stand_at_their_edge_in_equal_steps(edge: int) -> None:
    ruler = np.array([[edge, 0.05, 0.1, 0.1, 0.0125, 0.9]], np.float32)
    hairs = np.zeros((1, HAIRS, 5), np.float32)
    found = lay_over(SKIN, hairs, np.zeros(1, np.float32), ruler).numpy()[0, ..., 0] < 100
    turned = (found, found[::-1], found.T, found.T[::-1])[edge]
    down, across = np.nonzero(turned)
    assert (down.min(), down.max()) == (8, 23)
    assert set(across % 16) == {0, 1}
    assert len(set(across)) == 20


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_the_traces_of_jpeg_are_those_of_a_real_encoder(quality: int) -> None:
    image = photographs(1)
    data = io.BytesIO()
    Image.fromarray(image[0].astype(np.uint8)).save(data, "JPEG", quality=quality, subsampling=0)
    real = np.asarray(Image.open(data), np.float32)
    ours = through_jpeg(image, np.array([quality], np.float32)).numpy()[0]
    lost = np.abs(real - image[0]).mean()
    assert lost > 0.5
    # A real encoder also rounds colours to whole numbers, before and after.
    assert np.abs(ours - real).mean() < 0.35 * lost + 0.4


def test_sides_that_are_no_multiple_of_a_block_keep_their_size() -> None:
    image = photographs(2, side=99)
    found = through_jpeg(image, np.array([50, 0], np.float32)).numpy()
    assert found.shape == image.shape
    assert np.array_equal(found[1], image[1])
    assert 0 < np.abs(found[0] - image[0]).mean() < 10


def test_values_stay_in_the_range_of_pixels() -> None:
    over = drawn(ALL, 16)
    images = np.random.default_rng(1).choice([0.0, 255.0], (16, 64, 64, 3)).astype(np.float32)
    found = through_jpeg(laid_over(images, over), over.quality).numpy()
    assert found.min() >= 0
    assert found.max() <= 255
    assert np.isfinite(found).all()
