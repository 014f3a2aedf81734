import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lentigo_trainer.data.augmentation import augment, map_of, maps_of
from lentigo_trainer.data.oversampling import Plan

SIDE = 224
CENTRE = (SIDE - 1) / 2


def random_image(seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)


def resampled(image: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.float64]:
    """The same map, bilinear with the nearest border, spelt out in NumPy."""
    a0, a1, a2, b0, b1, b2 = (float(value) for value in row[:6])
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    u, v = a0 * x + a1 * y + a2, b0 * x + b1 * y + b2
    left, top = np.floor(u), np.floor(v)
    across, down = (u - left)[..., None], (v - top)[..., None]

    def at(row_index: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.clip(row_index, 0, SIDE - 1).astype(int)
        columns = np.clip(column, 0, SIDE - 1).astype(int)
        values: NDArray[np.float64] = image[rows, columns].astype(np.float64)
        return values

    upper = at(top, left) * (1 - across) + at(top, left + 1) * across
    lower = at(top + 1, left) * (1 - across) + at(top + 1, left + 1) * across
    blended: NDArray[np.float64] = upper * (1 - down) + lower * down
    return blended


def test_a_row_of_the_plan_always_gives_the_same_map() -> None:
    assert np.array_equal(map_of(7), map_of(7))
    assert not np.array_equal(map_of(7), map_of(8))


def test_originals_are_not_augmented() -> None:
    plan = Plan(
        source=np.array([0, 0], np.int64),
        label=np.zeros(2, np.int64),
        replica=np.array([0, 1], np.int64),
        seed=np.array([0, 5], np.uint64),
    )
    maps = maps_of(plan)
    image = random_image()
    result = augment(np.stack([image, image]), maps).numpy()
    assert np.array_equal(result[0], image)
    assert np.array_equal(maps[1], map_of(5))
    assert not np.array_equal(result[1], image)


@pytest.mark.parametrize("seed", range(4))
def test_an_image_is_resampled_by_its_map(seed: int) -> None:
    image = random_image(seed)
    # A coarse image, so that coordinates rounded to float32 do not meet steep edges.
    smooth = np.repeat(np.repeat(image[::32, ::32], 32, 0), 32, 1)
    row = map_of(seed)
    result = augment(smooth[None], row[None]).numpy()[0]
    difference = np.abs(result - resampled(smooth, row))
    assert np.quantile(difference, 0.99) < 0.1


def test_both_flips_happen() -> None:
    determinants = {
        bool(np.linalg.det(map_of(seed)[[0, 1, 3, 4]].reshape(2, 2)) > 0) for seed in range(20)
    }
    assert determinants == {True, False}


@given(st.integers(0, 2**63 - 1))
def test_zoom_and_shift_stay_within_the_papers_ranges(seed: int) -> None:
    row = map_of(seed).astype(np.float64)
    linear = row[[0, 1, 3, 4]].reshape(2, 2)
    zooms = np.linalg.norm(linear, axis=0)
    assert ((zooms > 0.9 - 1e-5) & (zooms < 1.1 + 1e-5)).all()
    shift = linear @ [CENTRE, CENTRE] + row[[2, 5]] - CENTRE
    assert (np.abs(shift) <= 0.1 * SIDE + 1e-3).all()
    # Rotation and flips leave the axes square to each other.
    assert abs(linear[:, 0] @ linear[:, 1]) < 1e-5


def test_beyond_the_border_the_nearest_pixel_is_repeated() -> None:
    image = np.full((SIDE, SIDE, 3), 9.0, np.float32)
    pushed = np.array([[1, 0, 500, 0, 1, 500, 0, 0]], np.float32)
    assert np.array_equal(augment(image[None], pushed).numpy()[0], image)
