import numpy as np
import pytest

from lentigo_trainer.evaluation.turning import (
    POSITIONS,
    other_positions,
    turned,
    unchanged_share,
)
from lentigo_trainer.metrics.bootstrap import Resampling

IMAGES = np.random.default_rng(5).integers(0, 256, (2, 6, 6, 3), np.uint8)


def test_the_first_position_is_the_image_itself() -> None:
    assert np.array_equal(turned(IMAGES, 0), IMAGES)


def test_the_eight_positions_differ_and_have_the_same_pixels() -> None:
    every = [IMAGES, *(turn(IMAGES) for turn in other_positions())]
    assert len({each.tobytes() for each in every}) == POSITIONS == 8
    for each in every:
        assert each.shape == IMAGES.shape
        assert each.dtype == IMAGES.dtype
        assert np.array_equal(
            np.sort(each[0].reshape(-1, 3), 0), np.sort(IMAGES[0].reshape(-1, 3), 0)
        )


def test_a_quarter_turn_moves_the_corner_and_a_mirror_the_sides() -> None:
    corner = IMAGES[0, 0, -1]
    assert np.array_equal(turned(IMAGES, 1)[0, 0, 0], corner)
    assert np.array_equal(turned(IMAGES, 4)[0, 0, 0], corner)
    assert np.array_equal(turned(IMAGES, 2)[0, -1, 0], corner)


def test_an_image_counts_only_if_every_position_has_its_diagnosis() -> None:
    own = np.array([1, 2, 3, 4])
    others = [np.array([1, 2, 3, 0]), np.array([1, 0, 3, 0])]
    share = unchanged_share(own, others, Resampling(np.arange(4), seed=0))
    assert share.value == pytest.approx(0.5)
    assert share.n == 4
    assert share.low is not None
    assert share.low < 0.5
