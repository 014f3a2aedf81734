from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lentigo_trainer.errors import DamagedImagesError, MaskError, SourceNotFoundError
from lentigo_trainer.segmentation.images import open_masks, read_mask, read_working
from tests.images import encoded
from tests.made_up_lesions import disc_mask


def mask_file(width: int, height: int) -> bytes:
    mask = disc_mask((width / 2, height / 2), height / 4, (width, height))
    return encoded(Image.fromarray(mask).convert("1"), "PNG")


def test_an_image_is_scaled_to_the_working_size() -> None:
    assert read_working(encoded(Image.new("RGB", (600, 450)), "JPEG")).shape == (225, 300, 3)


def test_an_image_that_is_none_is_refused() -> None:
    with pytest.raises(DamagedImagesError, match="cannot be decoded"):
        read_working(b"no image")


def test_a_mask_of_the_original_size_is_scaled_to_its_image() -> None:
    mask = read_mask(mask_file(600, 450), (225, 300))
    np.testing.assert_allclose(mask.mean(), np.pi / 16 * 225 / 300, rtol=0.02)


def test_a_mask_of_other_proportions_is_refused() -> None:
    with pytest.raises(MaskError, match="300 x 300 pixels and does not fit"):
        read_mask(mask_file(300, 300), (225, 300))


def test_a_mask_that_is_no_image_is_refused() -> None:
    with pytest.raises(MaskError, match="cannot be decoded"):
        read_mask(b"no mask", (225, 300))


def test_masks_are_found_by_the_names_of_their_images(tmp_path: Path) -> None:
    (tmp_path / "ISIC_0000001_segmentation.png").write_bytes(mask_file(300, 225))
    (tmp_path / "ISIC_0000002.png").write_bytes(mask_file(300, 225))
    with open_masks(tmp_path) as masks:
        assert list(masks) == ["ISIC_0000001"]


def test_a_place_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="no mask"), open_masks(tmp_path):
        pass
    with pytest.raises(SourceNotFoundError, match="There is no"), open_masks(tmp_path / "nowhere"):
        pass
