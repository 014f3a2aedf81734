import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from lentigo_contract.errors import LentigoError
from lentigo_contract.imaging.read import read_image
from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.errors import BoundsError, PixelsError
from lentigo_gateway.pixels.frames import FrameImage, burned_in, frame_images
from tests.fakes import jpeg_bytes, lesion_image
from tests.gateway.dicom import changed, dermoscopic, multi_frame, uncompressed

LIMITS = ImagesConfig()
LESION = np.asarray(lesion_image(3))
GREY = np.asarray(lesion_image(3).convert("L"))


def only(image: Dataset, limits: ImagesConfig = LIMITS) -> FrameImage:
    (found,) = frame_images(image, limits)
    return found


def pixels_of(frame: FrameImage) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(frame.data)))


def test_a_jpeg_baseline_frame_goes_unchanged() -> None:
    frame = only(dermoscopic(3))
    assert (frame.data, frame.media_type, frame.frame) == (
        jpeg_bytes(lesion_image(3)),
        "image/jpeg",
        None,
    )


def test_uncompressed_pixels_become_a_png_of_the_same_pixels() -> None:
    frame = only(uncompressed(LESION))
    assert frame.media_type == "image/png"
    assert np.array_equal(pixels_of(frame), LESION)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_uncompressed_transfer_syntaxes_are_read(syntax: UID) -> None:
    image = uncompressed(LESION)
    image.file_meta.TransferSyntaxUID = syntax
    assert np.array_equal(pixels_of(only(image)), LESION)


def test_jpeg_extended_of_eight_bits_is_read() -> None:
    # The same codestream with the marker of process 4 (ITU-T T.81, table B.1).
    jpeg = jpeg_bytes(lesion_image(3))
    image = dermoscopic(PixelData=encapsulate([jpeg.replace(b"\xff\xc0", b"\xff\xc1", 1)]))
    image.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    difference = pixels_of(only(image)).astype(int) - np.asarray(Image.open(io.BytesIO(jpeg)))
    assert np.abs(difference).max() <= 3


def test_planes_of_colour_are_put_together() -> None:
    planes = np.ascontiguousarray(LESION.transpose(2, 0, 1))
    image = uncompressed(LESION, PlanarConfiguration=1, PixelData=planes.tobytes())
    assert np.array_equal(pixels_of(only(image)), LESION)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_lossless_compression_is_undone(syntax: UID) -> None:
    image = uncompressed(LESION)
    image.compress(syntax, generate_instance_uid=False)
    assert np.array_equal(pixels_of(only(image)), LESION)


def test_uncompressed_ybr_becomes_rgb() -> None:
    ybr = np.asarray(lesion_image(3).convert("YCbCr"))
    frame = only(uncompressed(ybr, "YBR_FULL"))
    difference = np.abs(pixels_of(frame).astype(int) - LESION.astype(int))
    assert difference.max() <= 3


def test_grey_is_read_as_it_is_and_inverted_if_its_lowest_value_is_white() -> None:
    assert np.array_equal(pixels_of(only(uncompressed(GREY, "MONOCHROME2"))), GREY)
    assert np.array_equal(pixels_of(only(uncompressed(GREY, "MONOCHROME1"))), 255 - GREY)


def test_a_grey_jpeg_whose_lowest_value_is_white_is_inverted() -> None:
    jpeg = jpeg_bytes(lesion_image(3).convert("L"))
    image = dermoscopic(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME1",
        PlanarConfiguration=None,
        PixelData=encapsulate([jpeg]),
    )
    expected = 255 - np.asarray(Image.open(io.BytesIO(jpeg)))
    assert np.array_equal(pixels_of(only(image)), expected)


def test_a_palette_is_looked_up() -> None:
    indices = (GREY // 64).astype(np.uint8)
    image = uncompressed(indices, "PALETTE COLOR")
    for colour, entries in (("Red", [0, 80, 160, 240]), ("Green", [9] * 4), ("Blue", [3] * 4)):
        setattr(image, f"{colour}PaletteColorLookupTableDescriptor", [4, 0, 16])
        wide = np.array(entries, "<u2") * 257
        setattr(image, f"{colour}PaletteColorLookupTableData", wide.tobytes())
    found = pixels_of(only(image))
    assert np.array_equal(found[..., 0], np.array([0, 80, 160, 240])[indices])
    assert set(np.unique(found[..., 1])) == {9}


def profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_an_icc_profile_goes_along_with_a_jpeg_whose_pixels_stay() -> None:
    frame = only(dermoscopic(3, ICCProfile=profile()))
    found = Image.open(io.BytesIO(frame.data))
    assert found.info["icc_profile"] == profile()
    original = jpeg_bytes(lesion_image(3))
    assert frame.data.endswith(original[original.index(b"\xff\xdb") :])
    assert np.array_equal(np.asarray(found), np.asarray(Image.open(io.BytesIO(original))))


def test_a_long_icc_profile_is_split_over_segments() -> None:
    long = profile() + bytes(150_000)
    found = Image.open(io.BytesIO(only(dermoscopic(ICCProfile=long)).data))
    assert found.info["icc_profile"] == long


def test_an_icc_profile_goes_along_with_a_png() -> None:
    frame = only(uncompressed(LESION, ICCProfile=profile()))
    assert Image.open(io.BytesIO(frame.data)).info["icc_profile"] == profile()


def test_each_frame_is_an_image_with_its_number() -> None:
    frames = list(frame_images(multi_frame(3), LIMITS))
    assert [frame.frame for frame in frames] == [1, 2, 3]
    assert [frame.data for frame in frames] == [
        jpeg_bytes(lesion_image(number)) for number in range(3)
    ]


def test_several_frames_are_refused_where_one_is_wanted() -> None:
    limits = ImagesConfig(multi_frame="refuse")
    with pytest.raises(BoundsError, match="takes one"):
        list(frame_images(multi_frame(2), limits))


def test_a_thousand_frames_are_refused_before_any_is_read() -> None:
    image = dermoscopic(NumberOfFrames=1_000)
    with pytest.raises(BoundsError, match="1,000 frames; at most 16"):
        next(frame_images(image, LIMITS))


def test_an_image_of_many_pixels_is_refused_before_it_is_decoded() -> None:
    image = dermoscopic(Rows=60_000, Columns=60_000)
    with pytest.raises(BoundsError, match="3,600,000,000 pixels"):
        next(frame_images(image, LIMITS))


def test_a_frame_of_many_bytes_is_not_sent() -> None:
    with pytest.raises(BoundsError, match="at most 2,000 are sent"):
        only(dermoscopic(), ImagesConfig(max_frame_bytes=2_000))


def test_twelve_bits_of_grey_are_refused() -> None:
    image = uncompressed(
        GREY, "MONOCHROME2", BitsAllocated=16, BitsStored=12, HighBit=11,
        PixelData=GREY.astype("<u2").tobytes(),
    )  # fmt: skip
    with pytest.raises(PixelsError, match="12 bits of 16"):
        only(image)


def test_an_instance_without_pixels_is_refused() -> None:
    with pytest.raises(PixelsError, match="no pixels"):
        only(dermoscopic(PixelData=None))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Rows": 0}, "no extent"),
        ({"Rows": None}, "no extent"),
        ({"PhotometricInterpretation": "XYZ"}, "photometric interpretation"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 1}, "photometric interpretation"),
        ({"PhotometricInterpretation": None}, "photometric interpretation"),
        ({"BitsAllocated": 1, "BitsStored": 1}, "1 bits of 1"),
    ],
)
def test_a_description_that_cannot_be_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(PixelsError, match=told):
        only(dermoscopic(**changes))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.53", "1.2.3.4"])
def test_a_transfer_syntax_that_is_not_read_is_refused(syntax: str) -> None:
    image = dermoscopic()
    image.file_meta.TransferSyntaxUID = UID(syntax)
    with pytest.raises(PixelsError, match="transfer syntax"):
        only(image)


def test_uncompressed_pixels_that_are_cut_off_are_refused() -> None:
    image = uncompressed(LESION)
    image.PixelData = image.PixelData[:-10_000]
    with pytest.raises(PixelsError, match="damaged or cut off"):
        only(image)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_a_compressed_frame_that_is_cut_off_is_refused(syntax: UID) -> None:
    image = uncompressed(LESION)
    image.compress(syntax, generate_instance_uid=False)
    image.PixelData = image.PixelData[:300]
    with pytest.raises(PixelsError):
        only(image)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_frame_of_another_size_than_the_instance_is_refused_before_it_is_decoded(
    syntax: UID,
) -> None:
    image = uncompressed(LESION)
    image.compress(syntax, generate_instance_uid=False)
    with pytest.raises(PixelsError, match="another size"):
        only(changed(image, Rows=8, Columns=8))


@pytest.mark.parametrize("bad", [b"no jpeg at all", jpeg_bytes()[:-2_000]], ids=["none", "half"])
def test_what_is_no_whole_jpeg_goes_to_the_service_which_refuses_it(bad: bytes) -> None:
    # What is a JPEG is for one decoder to say, the service's.
    frame = only(dermoscopic(PixelData=encapsulate([bad])))
    assert frame.data.startswith(bad)
    with pytest.raises(LentigoError):
        read_image(frame.data)


@pytest.mark.parametrize(("value", "told"), [("YES", True), ("NO", False), (None, False)])
def test_text_in_the_pixels_is_told_and_refused_if_configured(value: Any, told: bool) -> None:
    image = dermoscopic(BurnedInAnnotation=value)
    assert burned_in(image) is told
    assert only(image).media_type == "image/jpeg"
    if told:
        with pytest.raises(PixelsError, match="burned"):
            only(image, ImagesConfig(burned_in="refuse"))


def test_the_service_reads_what_is_sent() -> None:
    for image in (dermoscopic(), uncompressed(LESION), uncompressed(GREY, "MONOCHROME2")):
        assert read_image(only(image).data).width == 300
