"""Untrusted bytes -> RGB array of the network's input size.

Training and serving both call `read_image`, so there is no skew between them. Pure and
thread-safe: Pillow releases the interpreter lock while it decodes and resizes.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

from lentigo_contract.errors import (
    EmptyImageError,
    ImageBoundsError,
    ImageError,
    ImageTooLargeError,
    UndecodableImageError,
    UnsupportedImageError,
)

MODEL_SIDE: Final = 224

READABLE_FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")

# A profile is a few kilobytes; a printer's at most some hundred. More is not worth parsing.
_MAX_PROFILE_BYTES: Final = 4 * 2**20

_WHITE: Final = (255, 255, 255, 255)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What is accepted, checked before a pixel is decoded.

    Attributes:
        max_bytes: size of the encoded image.
        max_pixels: width times height.
        max_side: longer side, in pixels.
        min_side: shorter side, in pixels.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 64_000_000
    max_side: int = 16_384
    min_side: int = 32


@dataclass(frozen=True, slots=True)
class ModelImage:
    """A decoded image, ready for the network.

    Attributes:
        pixels: uint8 [224, 224, 3], sRGB.
        format: the type found in the content, such as `JPEG`.
        width: pixels across as a viewer shows it, after EXIF orientation.
        height: pixels down as a viewer shows it.
    """

    pixels: npt.NDArray[np.uint8]
    format: str
    width: int
    height: int


def read_image(data: bytes, limits: ImageLimits | None = None) -> ModelImage:
    """Decode, orient, convert to sRGB and resize an image to the network's input.

    The type is told by content alone. A JPEG is decoded at the smallest of libjpeg's scales
    (1/2, 1/4, 1/8) that still covers the target. The picture is squashed to the square without
    cropping, as the paper's pipeline did, with Pillow's antialiased bilinear filter.

    Args:
        data: the encoded image.
        limits: what to accept; the defaults of `ImageLimits` if not given.

    Raises:
        EmptyImageError: no bytes.
        ImageTooLargeError: more bytes than the limit.
        UnsupportedImageError: not JPEG, PNG, WebP, BMP or TIFF, or with several frames.
        ImageBoundsError: pixels or sides out of bounds.
        UndecodableImageError: damaged or cut off.
    """
    limits = limits or ImageLimits()
    if not data:
        raise EmptyImageError("The image is empty. Send a JPEG, PNG, WebP, BMP or TIFF.")
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(
            f"The image has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted."
        )
    try:
        with _open(data) as image:
            _check_bounds(image, limits)
            # A phone's panorama or depth JPEG carries further pictures behind the main one; that
            # is no animation, and the first frame is what every viewer shows.
            kind = "JPEG" if image.format == "MPO" else str(image.format)
            if kind != "JPEG" and getattr(image, "n_frames", 1) > 1:
                raise UnsupportedImageError(
                    f"The {kind} holds several frames or pages. Send a single still image."
                )
            return _decode(image, kind)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        # Decoders meet hostile bytes here and fail in every way there is: OSError, SyntaxError,
        # struct.error, ValueError, KeyError... All of them mean one thing to the sender.
        raise UndecodableImageError(
            "The image cannot be decoded: it is damaged or cut off. Send the original file."
        ) from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=READABLE_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageBoundsError("The image has far too many pixels. Send a smaller one.") from error
    except UnidentifiedImageError as error:
        raise UnsupportedImageError(
            "The content is not an image type we read. Send JPEG, PNG, WebP, BMP or TIFF."
        ) from error


def _check_bounds(image: Image.Image, limits: ImageLimits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise ImageBoundsError(
            f"The image is {width} x {height}; at most {limits.max_pixels:,} pixels and "
            f"{limits.max_side:,} a side are accepted. Send a smaller one."
        )
    if min(width, height) < limits.min_side:
        raise ImageBoundsError(
            f"The image is {width} x {height}; each side needs at least {limits.min_side} pixels."
        )


def _decode(image: Image.Image, kind: str) -> ModelImage:
    width, height = image.size
    profile = image.info.get("icc_profile")
    orientation = _orientation(image)
    if kind == "JPEG":
        image.draft(None, (MODEL_SIDE, MODEL_SIDE))
    plain = _oriented(_without_alpha(image), orientation)
    if orientation >= _FIRST_SIDEWAYS:
        width, height = height, width
    # Resizing comes before the colour conversion: 50,176 pixels are cheaper to convert than
    # twelve million, and at eight bits the order makes no visible difference.
    small = plain.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(_to_srgb(small, profile), dtype=np.uint8)
    return ModelImage(pixels=pixels, format=kind, width=width, height=height)


# EXIF tag 0x0112 (CIPA DC-008): values 5 to 8 swap the sides.
_ORIENTATION_TAG: Final = 0x0112
_FIRST_SIDEWAYS: Final = 5
_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF must not cost the image: viewers ignore it too
        return 1
    return value if value in _TRANSPOSITIONS else 1


def _oriented(image: Image.Image, orientation: int) -> Image.Image:
    if orientation not in _TRANSPOSITIONS:
        return image
    return image.transpose(_TRANSPOSITIONS[orientation])


def _without_alpha(image: Image.Image) -> Image.Image:
    """Bring any mode to eight bits a channel without alpha: `L`, `RGB` or `CMYK`.

    Transparent places show white, as on a page.
    """
    if image.mode.startswith("I;16"):
        # Exact for 8-bit values widened by 257, which is how software widens them.
        wide = np.asarray(image, dtype=np.uint16)
        return Image.fromarray(((wide.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnsupportedImageError(
            "The image has 32-bit samples. Send eight or sixteen bits a channel."
        )
    if image.mode in ("L", "RGB", "CMYK") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, _WHITE), shown).convert("RGB")
    return image.convert("RGB")


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and len(profile) <= _MAX_PROFILE_BYTES:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            # A broken profile, or one for other channels: viewers show the picture as sRGB.
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")
