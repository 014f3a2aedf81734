"""Untrusted bytes -> RGB array of the network's input size.

Training and serving both call `read_image`, so there is no skew between them. Pure and
thread-safe: Pillow releases the interpreter lock while it decodes and resizes.

    bytes -> limits -> containers.screening -> bounds -> decode -> orient -> resize -> color

Whatever an image is stored in -> eight-bit sRGB without alpha, as a viewer would show it.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from lentigo_contract.errors import (
    EmptyImageError,
    ImageBoundsError,
    ImageError,
    ImageTooLargeError,
    UndecodableImageError,
    UnsupportedImageError,
)
from lentigo_contract.imaging.containers.screening import ScreenedImage, screen

# A display's profile has a few kilobytes, a printer's at most some hundred.
MAX_PROFILE_BYTES: Final = 4 * 2**20

_WHITE: Final = (255, 255, 255, 255)

# What Pillow resizes and littleCMS converts as it is. RGBA is resized with its colours weighted by
# alpha, so that what is hidden does not bleed into what is shown.
_KEPT: Final = ("L", "RGB", "RGBA", "CMYK", "LAB")


def in_eight_bits(image: Image.Image) -> Image.Image:
    """Bring any mode to `L`, `RGB`, `RGBA`, `CMYK` or `LAB`.

    Raises:
        UnsupportedImageError: 32-bit samples, whose black and white nobody states.
    """
    if image.mode in ("I", "F"):
        raise UnsupportedImageError(
            "The image has 32-bit or signed samples. Send eight or sixteen bits a channel."
        )
    if image.mode.startswith("I;16"):
        return _narrowed(image)
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image if image.mode in _KEPT else image.convert("RGB")


def _narrowed(image: Image.Image) -> Image.Image:
    """Bring 16-bit grey to 8 bits, exactly where software has widened it by 257."""
    wide = np.asarray(image, dtype=np.uint16)
    grey = Image.fromarray(((np.minimum(wide, 65535 - 128) + 128) // 257).astype(np.uint8))
    hidden = image.info.get("transparency")
    if hidden is None:
        return grey
    grey.putalpha(Image.fromarray(np.where(wide == hidden, 0, 255).astype(np.uint8)))
    return grey.convert("RGBA")


def on_white(image: Image.Image) -> Image.Image:
    """Lay an image with alpha on white, as on a page; return any other unchanged."""
    if image.mode != "RGBA":
        return image
    page = Image.new("RGBA", image.size, _WHITE)
    return Image.alpha_composite(page, image).convert("RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert `L`, `RGB`, `CMYK` or `LAB` to RGB in sRGB, from its embedded ICC profile if any."""
    if image.mode == "LAB":
        source = ImageCms.createProfile("LAB")
        return _converted(image, ImageCms.ImageCmsProfile(source))
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        try:
            return _converted(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError):
            # Damaged, or for other channels. Viewers show the image as sRGB, and so do we.
            pass
    return image.convert("RGB")


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    # Pillow gives None only when it is asked to work in place.
    return converted or image.convert("RGB")


MODEL_SIDE: Final = 224


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

    The type is detected by content alone. A JPEG is decoded at the smallest of libjpeg's scales
    (1/2, 1/4, 1/8) that still covers the target. The image is squashed to the square without
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
    screened = screen(data)
    try:
        with _open(screened) as image:
            _check_bounds(image, limits)
            return _model_image(image, screened)
    except (ImageError, MemoryError):
        # Too little memory is our trouble and not the sender's.
        raise
    except Exception as error:
        # Decoders meet hostile bytes here and fail in every way there is: OSError, SyntaxError,
        # struct.error, ValueError, KeyError... All of them mean one thing to the sender.
        raise UndecodableImageError(
            f"The {screened.kind} cannot be decoded: it is damaged or cut off. "
            "Send the original file."
        ) from error


def _open(screened: ScreenedImage) -> Image.Image:
    """Read the header; no pixel is decoded yet."""
    try:
        image = Image.open(io.BytesIO(screened.data), formats=[screened.kind])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageBoundsError("The image has far too many pixels. Send a smaller one.") from error
    if getattr(image, "is_animated", False):
        raise UnsupportedImageError(f"The {screened.kind} is animated. Send a single still image.")
    return image


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


def _model_image(image: Image.Image, screened: ScreenedImage) -> ModelImage:
    width, height = image.size
    profile = image.info.get("icc_profile")
    # Only a JPEG can do this; for the others it does nothing.
    image.draft(None, (MODEL_SIDE, MODEL_SIDE))
    image.load()
    upright = _oriented(in_eight_bits(image), screened.orientation)
    if screened.orientation >= _FIRST_SIDEWAYS:
        width, height = height, width
    # Resizing comes before alpha and the colour conversion: 50,176 pixels are cheaper to convert
    # than twelve million, and at eight bits the order makes no visible difference.
    small = upright.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(to_srgb(on_white(small), profile), dtype=np.uint8)
    return ModelImage(pixels=pixels, format=screened.kind, width=width, height=height)


# EXIF orientation, CIPA DC-008: what undoes it. Values 5 to 8 swap the sides.
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


def _oriented(image: Image.Image, orientation: int) -> Image.Image:
    if orientation not in _TRANSPOSITIONS:
        return image
    return image.transpose(_TRANSPOSITIONS[orientation])
