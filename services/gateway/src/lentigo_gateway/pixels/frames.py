"""Frames of an instance -> images as the inference service takes them.

JPEG Baseline goes as it is: the service decodes what the camera wrote. Everything else is decoded
here and becomes a PNG, without loss. An ICC profile of the instance goes along, in the file's own
way.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.errors import BoundsError, InstanceError, PixelsError
from lentigo_gateway.pixels.codestreams import declared_size, is_complete
from lentigo_gateway.pixels.lossless_jpeg import LOSSLESS_JPEG, register_lossless_jpeg
from lentigo_gateway.pixels.profiles import icc_profile, with_profile

JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"

_DECODED: Final = frozenset(
    {
        "1.2.840.10008.1.2",  # implicit VR little endian
        "1.2.840.10008.1.2.1",  # explicit VR little endian
        "1.2.840.10008.1.2.2",  # explicit VR big endian
        JPEG_BASELINE,
        "1.2.840.10008.1.2.4.51",  # JPEG Extended, of eight bits
        *LOSSLESS_JPEG,
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
        "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
        "1.2.840.10008.1.2.4.91",  # JPEG 2000
        "1.2.840.10008.1.2.5",  # RLE
    }
)
"""Transfer syntaxes whose pixels are read (DICOM PS3.5, annex A)."""

TRANSFER_SYNTAXES: Final = tuple(sorted(_DECODED))

_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_PALETTE: Final = "PALETTE COLOR"
# In a JPEG Baseline, these say how a decoder that knows only the JPEG will see it.
_PLAIN_JPEG: Final = ("YBR_FULL", "YBR_FULL_422", "MONOCHROME2")
_SMALLEST_SIDE: Final = 1

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FrameImage:
    """An image to send.

    Attributes:
        data: the file.
        media_type: `image/jpeg` or `image/png`.
        frame: number of the frame, counted from 1; None if the instance has one only.
    """

    data: bytes
    media_type: str
    frame: int | None


def frame_images(dataset: Dataset, limits: ImagesConfig) -> Iterator[FrameImage]:
    """Return the images of an instance, one after the other, so that one is in memory at a time.

    Raises:
        PixelsError: no pixels, damaged ones, or a kind that is not read.
        BoundsError: more pixels, frames or bytes than `limits` allow.
    """
    frames = _check(dataset, limits)
    for index in range(frames):
        image = _frame_image(dataset, index, frames)
        if len(image.data) > limits.max_frame_bytes:
            raise BoundsError(
                f"A frame has {len(image.data):,} bytes as {image.media_type}; at most "
                f"{limits.max_frame_bytes:,} are sent."
            )
        yield image


def burned_in(dataset: Dataset) -> bool:
    """Return whether an instance says that it has text in its pixels: (0028,0301) is YES."""
    return str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES"


def _check(dataset: Dataset, limits: ImagesConfig) -> int:
    """Check all that can be known before decoding, and return the number of frames."""
    if "PixelData" not in dataset or not dataset.PixelData:
        raise PixelsError("The instance has no pixels.")
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in _DECODED:
        raise PixelsError("The pixels have a transfer syntax that is not read.")
    rows, columns = _number(dataset, "Rows"), _number(dataset, "Columns")
    frames = _number(dataset, "NumberOfFrames", 1)
    if min(rows, columns) < _SMALLEST_SIDE or frames < 1:
        raise PixelsError("The image has no extent.")
    if rows * columns > limits.max_pixels:
        raise BoundsError(
            f"The image has {rows * columns:,} pixels; at most {limits.max_pixels:,} are read."
        )
    if frames > 1 and limits.multi_frame == "refuse":
        raise BoundsError(f"The instance has {frames:,} frames; this gateway takes one.")
    if frames > limits.max_frames:
        raise BoundsError(
            f"The instance has {frames:,} frames; at most {limits.max_frames:,} are read."
        )
    if limits.burned_in == "refuse" and burned_in(dataset):
        raise PixelsError("The instance has text burned into its pixels.")
    _check_samples(dataset)
    return frames


def _check_samples(dataset: Dataset) -> None:
    interpretation = _interpretation(dataset)
    samples, bits = _number(dataset, "SamplesPerPixel", 1), _number(dataset, "BitsStored", 8)
    allocated = _number(dataset, "BitsAllocated", 8)
    if interpretation == _PALETTE:
        if samples != 1 or allocated not in (8, 16):
            raise PixelsError("The palette image is not one of 8 or 16 bits.")
        return
    expected = {**dict.fromkeys(_GREY, 1), **dict.fromkeys(_COLOUR, 3)}.get(interpretation)
    if expected is None or samples != expected:
        raise PixelsError("The pixels have a photometric interpretation that is not read.")
    if allocated != 8 or bits != 8:
        raise PixelsError(
            f"The pixels have {bits} bits of {allocated}; dermoscopic photographs have 8, and "
            "nothing else is read."
        )


def _frame_image(dataset: Dataset, index: int, frames: int) -> FrameImage:
    number = None if frames == 1 else index + 1
    profile = icc_profile(dataset)
    try:
        if dataset.file_meta.TransferSyntaxUID == JPEG_BASELINE:
            jpeg = get_frame(dataset.PixelData, index, number_of_frames=frames)
            # One byte may follow, so that its length is even (PS3.5, A.4).
            jpeg = jpeg[:-1] if jpeg.endswith(b"\xff\xd9\x00") else jpeg
            if _interpretation(dataset) in _PLAIN_JPEG:
                return FrameImage(with_profile(jpeg, profile), "image/jpeg", number)
        return FrameImage(_png(_pixels(dataset, index), profile), "image/png", number)
    except InstanceError:
        raise
    except MemoryError:
        # Our trouble, and not the instance's.
        raise
    except Exception as error:
        # Decoders meet hostile bytes here and fail in every way there is.
        raise PixelsError(
            f"Frame {index + 1} cannot be decoded: it is damaged or cut off."
        ) from error


def _pixels(dataset: Dataset, index: int) -> Pixels:
    """Return a frame, uint8 [rows, columns] or RGB [rows, columns, 3]."""
    _check_codestream(dataset, index)
    register_lossless_jpeg()
    pixels = pixel_array(dataset, index=index)
    interpretation = _interpretation(dataset)
    if interpretation == _PALETTE:
        coloured = apply_color_lut(pixels, dataset)
        # The entries of a palette have 8 or 16 bits (PS3.3, C.7.6.3.1.5).
        wide = dataset.RedPaletteColorLookupTableDescriptor[2] == 16
        return (coloured >> 8 if wide else coloured).astype(np.uint8)
    if interpretation == "MONOCHROME1":
        # Its lowest value is white.
        return (255 - pixels).astype(np.uint8)
    return pixels.astype(np.uint8, copy=False)


def _check_codestream(dataset: Dataset, index: int) -> None:
    """Refuse a compressed frame without its end, or whose header has another size."""
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    frames = _number(dataset, "NumberOfFrames", 1)
    frame = get_frame(dataset.PixelData, index, number_of_frames=frames)
    if not is_complete(frame):
        raise PixelsError(f"Frame {index + 1} cannot be decoded: it is damaged or cut off.")
    size = declared_size(frame)
    if size is not None and size != (dataset.Rows, dataset.Columns):
        raise PixelsError(f"Frame {index + 1} has another size than the instance says.")


def _png(pixels: Pixels, profile: bytes | None) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels))
    # The weakest compression: the file only goes to the next machine.
    image.save(file, "PNG", compress_level=1, icc_profile=profile)
    return file.getvalue()


def _interpretation(dataset: Dataset) -> str:
    return str(dataset.get("PhotometricInterpretation", "")).strip().upper()


def _number(dataset: Dataset, keyword: str, default: int = 0) -> int:
    """Return a whole number of a data set."""
    try:
        value = dataset.get(keyword)
        return default if value is None or value == "" else int(value)
    except Exception as error:
        raise PixelsError("The description of the pixels is damaged.") from error
