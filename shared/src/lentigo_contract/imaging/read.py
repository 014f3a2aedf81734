"""Untrusted bytes -> RGB array of the network's input size.

Training and serving both call this, so there is no skew between them. Pure and thread-safe: Pillow
releases the interpreter lock while it decodes and resizes.

    bytes -> limits -> containers.screening -> bounds -> decode -> shrink (orient, resize) -> color

Whatever an image is stored in -> eight-bit sRGB without alpha, as a viewer would show it.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import clear_frames
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
from lentigo_contract.imaging.containers import webp
from lentigo_contract.imaging.containers.screening import ScreenedImage, screen
from lentigo_contract.imaging.memory import decoding_memory, webp_memory
from lentigo_contract.imaging.shrink import require_eight_bits, shrink, upright_size

# A display's profile has a few kilobytes, a printer's at most some hundred.
MAX_PROFILE_BYTES: Final = 4 * 2**20

_WHITE: Final = (255, 255, 255, 255)


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
        max_memory: bytes that decoding may take beyond the file's own; None is no limit.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 64_000_000
    max_side: int = 16_384
    min_side: int = 32
    max_memory: int | None = None


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


class OpenedImage:
    """An image whose header was read and accepted; its pixels are not decoded yet."""

    __slots__ = ("_image", "_screened", "_size", "memory")

    def __init__(
        self, image: Image.Image, screened: ScreenedImage, size: tuple[int, int], memory: int
    ) -> None:
        """Keep an image to be read.

        Args:
            image: its header.
            screened: its file.
            size: width and height as a viewer shows them, in pixels.
            memory: bytes that decoding and resizing will take at most, beyond those of the file.
        """
        self.memory = memory
        self._image: Image.Image | None = image
        self._screened = screened
        self._size = size

    def read(self) -> ModelImage:
        """Decode the pixels, once; nothing of them is in memory afterwards.

        Raises:
            UndecodableImageError: damaged or cut off, or read before.
        """
        image, self._image = self._image, None
        with _damage(self._screened.kind):
            if image is None:
                raise ValueError("the image was read before")
            try:
                return _model_image(image, self._screened, self._size)
            finally:
                # An error keeps what its frames hold alive, and a decoder holds more than an image.
                image.close()
                del image


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
        ImageBoundsError: pixels, sides or memory out of bounds.
        UndecodableImageError: damaged or cut off.
    """
    return open_image(data, limits).read()


def open_image(data: bytes, limits: ImageLimits | None = None) -> OpenedImage:
    """Read the header of an image, as the first half of `read_image`, and raise what it raises."""
    limits = limits or ImageLimits()
    if not data:
        raise EmptyImageError("The image is empty. Send a JPEG, PNG, WebP, BMP or TIFF.")
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(
            f"The image has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted."
        )
    screened = screen(data)
    with _damage(screened.kind):
        if screened.kind == "WEBP" and (canvas := webp.size(screened.data)):
            # Opening it already makes room for the canvas.
            _check_bounds(canvas, limits)
            _check_memory(canvas, webp_memory(*canvas), limits)
        image = _open(screened)
        try:
            _check_bounds(image.size, limits)
            require_eight_bits(image)
            # As a viewer shows it, and before a JPEG is decoded smaller.
            size = upright_size(image, screened.orientation)
            # Only a JPEG can do this; for the others it does nothing.
            image.draft(None, (MODEL_SIDE, MODEL_SIDE))
            memory = decoding_memory(image, screened, MODEL_SIDE)
            _check_memory(size, memory, limits)
        except BaseException:
            image.close()
            raise
        return OpenedImage(image, screened, size, memory)


@contextmanager
def _damage(kind: str) -> Iterator[None]:
    """Turn every failure of a decoder into an error about the image."""
    try:
        yield
    except ImageError:
        raise
    except MemoryError as error:
        # Our trouble, and not the sender's.
        _let_go(error)
        raise
    except Exception as error:
        # Decoders meet hostile bytes here and fail in every way there is: OSError, SyntaxError,
        # struct.error, ValueError, KeyError... All of them mean one thing to the sender.
        _let_go(error)
        raise UndecodableImageError(
            f"The {kind} cannot be decoded: it is damaged or cut off. Send the original file."
        ) from error


def _let_go(error: BaseException | None) -> None:
    """Free what the frames of an error and of its causes hold: decoders, with all their memory."""
    while error is not None:
        clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _open(screened: ScreenedImage) -> Image.Image:
    """Read the header; no pixel is decoded yet."""
    try:
        image = Image.open(io.BytesIO(screened.data), formats=[screened.kind])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageBoundsError("The image has far too many pixels. Send a smaller one.") from error
    if getattr(image, "is_animated", False):
        raise UnsupportedImageError(f"The {screened.kind} is animated. Send a single still image.")
    return image


def _check_bounds(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels or max(width, height) > limits.max_side:
        raise ImageBoundsError(
            f"The image is {width} x {height}; at most {limits.max_pixels:,} pixels and "
            f"{limits.max_side:,} a side are accepted. Send a smaller one."
        )
    if min(width, height) < limits.min_side:
        raise ImageBoundsError(
            f"The image is {width} x {height}; each side needs at least {limits.min_side} pixels."
        )


def _check_memory(size: tuple[int, int], memory: int, limits: ImageLimits) -> None:
    if limits.max_memory is not None and memory > limits.max_memory:
        width, height = size
        raise ImageBoundsError(
            f"The image is {width} x {height} and would take {memory / 2**20:,.0f} MiB to decode "
            f"as it is stored; at most {limits.max_memory / 2**20:,.0f} are accepted. Send a "
            "smaller one, or a JPEG that is not progressive."
        )


def _model_image(image: Image.Image, screened: ScreenedImage, size: tuple[int, int]) -> ModelImage:
    profile = image.info.get("icc_profile")
    width, height = size
    image.load()
    # Resizing comes before alpha and the colour conversion: 50,176 pixels are cheaper to convert
    # than twelve million, and at eight bits the order makes no visible difference.
    small = shrink(image, screened.orientation, MODEL_SIDE)
    pixels = np.asarray(to_srgb(on_white(small), profile), dtype=np.uint8)
    return ModelImage(pixels=pixels, format=screened.kind, width=width, height=height)
