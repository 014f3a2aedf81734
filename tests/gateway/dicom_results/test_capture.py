from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import JPEGBaseline8Bit

from lentigo_contract.labels import RESEARCH_NOTICE
from lentigo_gateway.answers import Answer
from lentigo_gateway.archive.files import file_bytes
from lentigo_gateway.dicom_results import secondary_capture
from lentigo_gateway.errors import NotDicomError, PixelsError, TryAgainError
from tests.fakes import lesion_image
from tests.gateway.dicom_results.images import (
    AT,
    UIDS,
    answer,
    instance,
    jpeg_instance,
    map_png,
)
from tests.gateway.dicom_results.standard import errors_of, read_again
from tests.predictions import answer_document, refusal_document

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def capture(image: Dataset, given: Answer | None = None, png: bytes | None = None) -> Dataset:
    drawn = map_png() if png is None else png
    made = secondary_capture(image, given or answer(), drawn, made_at=AT, uids=UIDS)
    return read_again(made)


def pixels_of(dataset: Dataset) -> npt.NDArray[np.uint8]:
    return np.asarray(dataset.pixel_array, np.uint8)


def grey(mode: str) -> Dataset:
    return instance(lesion_image(3).convert("L"), PhotometricInterpretation=mode)


EVERY_KIND: dict[str, Callable[[], Dataset]] = {
    "RGB": lambda: capture(instance()),
    "JPEG": lambda: capture(jpeg_instance()),
    "frame": lambda: capture(jpeg_instance(3), answer(frame=2)),
    "refused": lambda: capture(instance(), answer(refusal_document()), b""),
    "no side": lambda: capture(instance(Laterality=None, PatientOrientation=None)),
    "side of the image": lambda: capture(instance(Laterality=None, ImageLaterality="R")),
    "odd side": lambda: capture(instance(Laterality="B", PatientOrientation=["X", "Y"])),
    "MONOCHROME1": lambda: capture(grey("MONOCHROME1")),
    "MONOCHROME2": lambda: capture(grey("MONOCHROME2")),
    "no patient": lambda: capture(instance(PatientName=None, PatientID=None)),
    "unknown whether burned in": lambda: capture(instance(BurnedInAnnotation=None)),
    "control characters": lambda: capture(instance(PatientName="A\x00\x07^B")),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_capture_passes_dciodvfy(kind: str, tmp_path: Path) -> None:
    errors = errors_of(EVERY_KIND[kind](), tmp_path)
    if errors is None:
        pytest.skip("dciodvfy is not installed: Debian's package dicom3tools")
    assert errors == []


def test_a_capture_is_a_derived_picture_in_the_study_of_the_image() -> None:
    made = capture(instance())
    assert made.SOPClassUID == SECONDARY_CAPTURE
    assert made.StudyInstanceUID == "2.25.1"
    assert list(made.ImageType) == ["DERIVED", "SECONDARY"]
    (source,) = made.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == "2.25.3"
    assert RESEARCH_NOTICE in made.DerivationDescription
    assert made.ImageComments == RESEARCH_NOTICE
    assert made.Manufacturer == "Lentigo"


def test_a_frame_is_named_as_the_source() -> None:
    made = capture(jpeg_instance(3), answer(frame=2))
    assert made.SourceImageSequence[0].ReferencedFrameNumber == 2
    first = capture(jpeg_instance(3), answer(frame=1))
    assert made.SOPInstanceUID != first.SOPInstanceUID
    assert made.SeriesInstanceUID == first.SeriesInstanceUID


@pytest.mark.parametrize(
    ("told", "side"), [({}, "L"), ({"Laterality": None, "ImageLaterality": "R"}, "R")]
)
def test_the_side_is_taken_over(told: dict[str, Any], side: str) -> None:
    assert capture(instance(**told)).Laterality == side


def test_what_the_image_does_not_say_stays_empty() -> None:
    made = capture(instance(Laterality=None, PatientOrientation=None, BurnedInAnnotation=None))
    assert made.Laterality in ("", None)
    assert not made.PatientOrientation
    assert "BurnedInAnnotation" not in made


@pytest.mark.parametrize("told", ["YES", "NO"])
def test_whether_text_is_burned_in_is_what_the_image_says(told: str) -> None:
    assert capture(instance(BurnedInAnnotation=told)).BurnedInAnnotation == told


@pytest.mark.parametrize("image", [instance(), jpeg_instance()], ids=["plain", "JPEG"])
def test_the_picture_says_that_it_is_lossy_and_how_much(image: Dataset) -> None:
    made = capture(image)
    assert made.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert made.LossyImageCompression == "01"
    plain = made.Rows * made.Columns * 3
    assert float(made.LossyImageCompressionRatio) == pytest.approx(
        plain / len(get_frame(made.PixelData, 0, number_of_frames=1)), rel=0.01
    )


def test_the_picture_has_the_image_the_map_and_the_words() -> None:
    plain = Image.new("RGB", (300, 200), (200, 170, 160))
    made = pixels_of(capture(instance(plain)))
    height = round(200 * 512 / 300)
    middle, corner = made[height // 2, 256], made[2, 2]
    assert middle[0] > middle[2] + 50, "the map is red where it is strongest"
    assert np.abs(corner.astype(int) - (200, 170, 160)).max() <= 3, "and clear where it is not"
    words = made[height:]
    assert words.max() == 255
    assert (words < 16).mean() > 0.5


def test_without_a_map_the_image_stays_as_it_is() -> None:
    plain = Image.new("RGB", (600, 450), (200, 170, 160))
    made = pixels_of(capture(instance(plain), answer(refusal_document()), b""))
    assert np.abs(made[:448].astype(int) - (200, 170, 160)).max() <= 3


@pytest.mark.parametrize("size", [(32, 32), (40, 3000), (3000, 40), (1, 1), (2100, 1400)], ids=str)
def test_pictures_of_any_proportions_have_room_for_the_words(size: tuple[int, int]) -> None:
    made = pixels_of(capture(instance(Image.new("RGB", size, (200, 170, 160)))))
    assert 512 <= made.shape[1] <= 1024
    assert made.shape[0] <= 2048 + 200


def test_grey_pixels_are_shown_as_they_are_meant() -> None:
    dark = Image.new("L", (600, 450), 10)
    black = pixels_of(capture(instance(dark), png=b""))
    white = pixels_of(capture(instance(dark, PhotometricInterpretation="MONOCHROME1"), png=b""))
    assert np.abs(black[:448].astype(int) - 10).max() <= 2
    assert np.abs(white[:448].astype(int) - 245).max() <= 2


def test_the_same_answer_is_the_same_bytes() -> None:
    first, again = (
        secondary_capture(instance(), answer(), map_png(), made_at=AT, uids=UIDS) for _ in range(2)
    )
    assert file_bytes(first) == file_bytes(again)


@pytest.mark.parametrize("png", [b"no picture", map_png()[:60], map_png(mode="RGB")])
def test_a_map_that_is_none_is_refused(png: bytes) -> None:
    with pytest.raises(PixelsError, match="map"):
        capture(instance(), png=png)


@pytest.mark.parametrize("frame", [0, 4, -1])
def test_a_frame_that_is_not_there_is_refused(frame: int) -> None:
    with pytest.raises(PixelsError):
        capture(jpeg_instance(3), answer(frame=frame))


def test_pixels_that_are_cut_off_are_refused() -> None:
    image = instance()
    image.PixelData = image.PixelData[:1000]
    with pytest.raises(PixelsError):
        capture(image)


def test_an_instance_without_pixels_is_refused() -> None:
    with pytest.raises(PixelsError):
        capture(instance(PixelData=None))


def test_an_image_that_does_not_say_which_it_is_is_refused() -> None:
    with pytest.raises(NotDicomError):
        capture(instance(SeriesInstanceUID=None))


def test_an_answer_that_is_none_is_tried_again() -> None:
    document = answer_document(quality={})
    with pytest.raises(TryAgainError):
        capture(instance(), answer(document))
