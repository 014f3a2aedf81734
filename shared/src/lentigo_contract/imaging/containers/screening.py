"""Detect an image's container by its content, and pass the decoder only what it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from lentigo_contract.errors import UnsupportedImageError
from lentigo_contract.imaging.containers import bmp, jpeg, png, tiff, webp

ImageKind = Literal["JPEG", "PNG", "WEBP", "BMP", "TIFF"]

_SCREENS: Final[dict[ImageKind, Callable[[bytes], tuple[bytes, int]]]] = {
    "JPEG": jpeg.screen,
    "PNG": png.screen,
    "WEBP": webp.screen,
    "BMP": bmp.screen,
    "TIFF": tiff.screen,
}


@dataclass(frozen=True, slots=True)
class ScreenedImage:
    """An image file that may be decoded.

    Attributes:
        kind: the container.
        data: the file without what its pixels do not need.
        orientation: EXIF orientation that the decoder leaves to be applied, 1 to 8.
    """

    kind: ImageKind
    data: bytes
    orientation: int


def screen(data: bytes) -> ScreenedImage:
    """Detect the container by its signature and look through its structure.

    Raises:
        UnsupportedImageError: not a container we read, an animation, or several pages.
        UndecodableImageError: damaged or cut off, as far as the structure shows.
    """
    kind = _kind(data)
    if kind is None:
        raise UnsupportedImageError(
            "The content is not an image type we read. Send JPEG, PNG, WebP, BMP or TIFF."
        )
    needed, orientation = _SCREENS[kind](data)
    return ScreenedImage(kind=kind, data=needed, orientation=orientation)


def _kind(data: bytes) -> ImageKind | None:
    if data.startswith(jpeg.SIGNATURE):
        return "JPEG"
    if data.startswith(png.SIGNATURE):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(tiff.SIGNATURES):
        return "TIFF"
    # Two letters are too little to go by: many a text begins with them.
    if data.startswith(b"BM") and data[14:18] in bmp.HEADER_SIZES:
        return "BMP"
    return None
