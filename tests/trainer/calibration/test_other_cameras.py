import numpy as np
import pytest
from numpy.typing import NDArray

from lentigo_trainer.calibration.out_of_distribution import simulate_other_camera
from tests.fakes import lesion_image


@pytest.fixture(scope="module")
def lesion() -> NDArray[np.uint8]:
    return np.asarray(lesion_image(1, "nv", (224, 224)))


def variants(lesion: NDArray[np.uint8], count: int) -> list[NDArray[np.uint8]]:
    return [simulate_other_camera(lesion, np.random.default_rng(seed)) for seed in range(count)]


def test_the_same_draw_gives_the_same_image(lesion: NDArray[np.uint8]) -> None:
    first, second = variants(lesion, 2)
    assert first.shape == lesion.shape
    assert first.dtype == np.uint8
    assert (first == variants(lesion, 1)[0]).all()
    assert (first != second).any()


def test_the_lesion_stays_and_its_surroundings_are_sometimes_darkened(
    lesion: NDArray[np.uint8],
) -> None:
    images = variants(lesion, 60)
    dark_corners = [image[:4, :4].max() < 60 for image in images]
    assert 0.1 < np.mean(dark_corners) < 0.6
    # The light changes by less than half, and no image goes black or white.
    for image in images:
        centre = image[100:124, 100:124].mean() / lesion[100:124, 100:124].mean()
        assert 0.4 < centre < 2.5


def test_the_input_is_not_changed(lesion: NDArray[np.uint8]) -> None:
    before = lesion.copy()
    variants(lesion, 5)
    assert (lesion == before).all()


def test_small_images_are_varied_too() -> None:
    small = np.full((32, 32, 3), 120, np.uint8)
    assert {image.shape for image in variants(small, 8)} == {(32, 32, 3)}
