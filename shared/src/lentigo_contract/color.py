"""Whatever an image is stored in -> eight-bit sRGB without alpha, as a viewer would show it."""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from lentigo_contract.errors import UnsupportedImageError

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
    """Lay an image with alpha on white, as on a page; give any other back."""
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
            # Damaged, or for other channels. Viewers show the picture as sRGB, and so do we.
            pass
    return image.convert("RGB")


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    # Pillow gives None only when it is asked to work in place.
    return converted or image.convert("RGB")
