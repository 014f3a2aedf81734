import numpy as np

from lentigo_trainer.data.random_augmentation import draw_weights, mix

PICTURES = np.arange(3 * 2 * 2 * 3, dtype=np.float32).reshape(3, 2, 2, 3)
TARGETS = np.eye(7, dtype=np.float32)[[0, 3, 6]]


def test_an_image_keeps_at_least_half_of_itself() -> None:
    weights = draw_weights(0.4, 1_000, seed=1)
    assert weights.shape == (1_000,)
    assert weights.dtype == np.float32
    assert 0.5 <= weights.min() < 0.6
    assert 0.99 < weights.max() <= 1


def test_the_seed_decides_the_weights() -> None:
    assert np.array_equal(draw_weights(0.4, 9, seed=1), draw_weights(0.4, 9, seed=1))
    assert not np.array_equal(draw_weights(0.4, 9, seed=1), draw_weights(0.4, 9, seed=2))


def test_with_alpha_zero_nothing_is_blended() -> None:
    images, targets = mix(PICTURES, TARGETS, draw_weights(0.0, 3, seed=1))
    assert np.array_equal(images, PICTURES)
    assert np.array_equal(targets, TARGETS)


def test_image_and_label_are_blended_in_the_same_way() -> None:
    images, targets = mix(PICTURES, TARGETS, np.array([0.75, 0.5, 1.0], np.float32))
    assert np.allclose(images[0], 0.75 * PICTURES[0] + 0.25 * PICTURES[2])
    assert np.allclose(targets[0], [0.75, 0, 0, 0, 0, 0, 0.25])
    assert np.array_equal(images[1], PICTURES[1])
    assert np.array_equal(images[2], PICTURES[2])
