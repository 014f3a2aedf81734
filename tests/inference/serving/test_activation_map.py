import io

import numpy as np
import pytest
from PIL import Image

from lentigo_inference.serving.activation_map import draw_map


def drawn(
    activation: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = Image.open(io.BytesIO(draw_map(activation)))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (56, 56))
    return np.asarray(picture)


def test_the_brightest_place_is_where_the_evidence_is() -> None:
    activation = np.zeros((7, 7), np.float32)
    activation[1, 5] = 3
    picture = drawn(activation)
    row, column = divmod(int(picture.argmax()), 56)
    assert (row // 8, column // 8) == (1, 5)
    assert picture.max() == 255


def test_evidence_against_is_black() -> None:
    activation = np.full((7, 7), -5, np.float32)
    activation[3, 3] = 1
    assert drawn(activation)[:16].max() == 0


@pytest.mark.parametrize("value", [0, -2, 1e-45, 3e38, 2])
def test_a_map_without_contrast_is_drawn(value: float) -> None:
    picture = drawn(np.full((7, 7), value, np.float32))
    assert picture.min() == picture.max() == (255 if value > 0 else 0)


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (14, 14)])
def test_any_number_of_cells_covers_the_image(shape: tuple[int, int]) -> None:
    assert drawn(np.ones(shape, np.float32)).shape == (56, 56)
