"""JPEG Lossless, encoded by the tests' own encoder; dcmtk agrees with it on every predictor."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.errors import PixelsError
from lentigo_gateway.pixels.frames import frame_images
from lentigo_gateway.pixels.lossless_jpeg import is_available
from tests.fakes import jpeg_bytes, lesion_image
from tests.gateway.dicom import changed, uncompressed
from tests.gateway.lossless_jpeg import JFIF, PROCESS_14, SV1, lossless_jpeg

Array = np.ndarray[Any, Any]

LESION = np.asarray(lesion_image(3, size=(60, 45)))
GREY = np.asarray(lesion_image(3, size=(60, 45)).convert("L"))
NOISE = np.random.default_rng(1).integers(0, 256, (33, 41, 3), dtype=np.uint8)


def instance(
    frames: list[bytes],
    pixels: Array,
    interpretation: str = "RGB",
    syntax: str = SV1,
    **changes: Any,
) -> Dataset:
    image = uncompressed(pixels, interpretation)
    image.file_meta.TransferSyntaxUID = UID(syntax)
    image.PixelData = encapsulate(frames)
    return changed(image, **changes)


def pixels_in(image: Dataset) -> list[Array]:
    found = list(frame_images(image, ImagesConfig()))
    assert {frame.media_type for frame in found} == {"image/png"}
    return [np.asarray(Image.open(io.BytesIO(frame.data))) for frame in found]


def test_pillow_has_a_libjpeg_turbo_that_reads_it() -> None:
    assert is_available(SV1)
    assert is_available(PROCESS_14)
    assert not is_available("1.2.840.10008.1.2.4.50")


@pytest.mark.parametrize("pixels", [LESION, NOISE], ids=["lesion", "noise"])
@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_predictor_is_undone(pixels: Array, predictor: int) -> None:
    image = instance([lossless_jpeg(pixels, predictor)], pixels, syntax=PROCESS_14)
    (found,) = pixels_in(image)
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("planar", [0, 1])
def test_samples_lie_side_by_side_whatever_the_instance_says_of_planes(planar: int) -> None:
    (found,) = pixels_in(instance([lossless_jpeg(LESION)], LESION, PlanarConfiguration=planar))
    assert np.array_equal(found, LESION)


@pytest.mark.parametrize("front", [b"", JFIF], ids=["plain", "JFIF"])
def test_ybr_becomes_rgb(front: bytes) -> None:
    ybr = np.asarray(lesion_image(3, size=(60, 45)).convert("YCbCr"))
    (found,) = pixels_in(instance([lossless_jpeg(ybr, front=front)], ybr, "YBR_FULL"))
    assert np.abs(found.astype(int) - LESION).max() <= 3


def test_grey_is_read_and_inverted_if_its_lowest_value_is_white() -> None:
    frame = lossless_jpeg(GREY, front=JFIF)
    (grey,) = pixels_in(instance([frame], GREY, "MONOCHROME2"))
    (inverted,) = pixels_in(instance([frame], GREY, "MONOCHROME1"))
    assert np.array_equal(grey, GREY)
    assert np.array_equal(inverted, 255 - GREY)


def test_each_frame_is_read() -> None:
    other = LESION[::-1].copy()
    image = instance([lossless_jpeg(LESION), lossless_jpeg(other)], LESION, NumberOfFrames=2)
    first, second = pixels_in(image)
    assert np.array_equal(first, LESION)
    assert np.array_equal(second, other)


@pytest.mark.parametrize(
    "frame",
    [
        lossless_jpeg(LESION)[:-400],
        lossless_jpeg(LESION, precision=12),
        jpeg_bytes(Image.fromarray(LESION)),
        b"no jpeg at all",
        lossless_jpeg(GREY),
        lossless_jpeg(LESION[:20]),
    ],
    ids=["cut off", "12 bits", "a baseline JPEG", "no JPEG", "one component", "another size"],
)
def test_what_is_not_as_it_should_be_is_refused(frame: bytes) -> None:
    with pytest.raises(PixelsError):
        pixels_in(instance([frame], LESION))
