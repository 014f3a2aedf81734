import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.data.augmentation import AugmentedImages, augmented_images
from lentigo_trainer.data.oversampling import Plan, augmented

LABELS = np.array([5, 5, 5, 5, 5, 0, 0], np.int64)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (7, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return augmented(np.arange(7), LABELS, seed=3, target=5)


def test_images_read_by_row_equal_the_streamed_ones(images: NDArray[np.uint8], plan: Plan) -> None:
    streamed = np.concatenate(list(augmented_images(images, plan, 4).as_numpy_iterator()))
    assert plan.replica.any()
    backwards = np.arange(len(plan))[::-1]
    taken = AugmentedImages(images, plan).take(backwards)
    assert taken.dtype == np.float32
    np.testing.assert_array_equal(taken[::-1], streamed)


def test_a_row_gives_the_same_image_every_time(images: NDArray[np.uint8], plan: Plan) -> None:
    source = AugmentedImages(images, plan)
    last = len(plan) - 1
    first = source.take(np.array([last, 0]))
    np.testing.assert_array_equal(source.take(np.array([0, last]))[::-1], first)
    np.testing.assert_array_equal(first[1], images[plan.source[0]])
