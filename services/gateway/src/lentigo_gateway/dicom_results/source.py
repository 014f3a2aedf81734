"""A frame of an instance as a picture, as the model saw it."""

import io
from itertools import islice
from typing import Final

from PIL import Image, ImageOps
from pydicom import Dataset

from lentigo_contract.imaging.read import on_white, to_srgb
from lentigo_gateway.config import ImagesConfig
from lentigo_gateway.errors import PixelsError
from lentigo_gateway.pixels.frames import frame_images

# The instance was answered, so it was within the limits of the configuration.
_ANSWERED: Final = ImagesConfig(
    max_bytes=2**31 - 1, max_frame_bytes=2**31 - 1, max_pixels=2**28, max_frames=1_000
)
# Twice what is shown. A camera's photograph is scaled while it is decoded, which takes a quarter of
# the memory or less.
_LONGEST_SIDE: Final = 2_048


def frame_picture(image: Dataset, frame: int | None) -> Image.Image:
    """Return a frame in sRGB, upright as a viewer of its file shows it, 2,048 pixels long at most.

    Args:
        image: the instance, with its pixels.
        frame: its number, from 1; None for an instance that has one only.

    Raises:
        PixelsError: no such frame, or one that cannot be decoded.
    """
    index = 0 if frame is None else frame - 1
    found = next(islice(frame_images(image, _ANSWERED), index, None), None) if index >= 0 else None
    if found is None:
        raise PixelsError("The instance has no frame of this number.")
    try:
        with Image.open(io.BytesIO(found.data), formats=["JPEG", "PNG"]) as opened:
            profile = opened.info.get("icc_profile")
            opened.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), reducing_gap=1.0)
            return to_srgb(on_white(ImageOps.exif_transpose(opened)), profile)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PixelsError("The frame cannot be decoded: it is damaged or cut off.") from error
