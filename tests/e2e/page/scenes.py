"""What a camera sees, made by code: good and bad pictures of a lesion."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tests.fakes import lesion_image

WIDTH, HEIGHT = 640, 480

# Where the frame lies in a video of that size.
FRAME: Final = (45, 34, 595, 447)

SKIN: Final = (226, 190, 170)


def good() -> Image.Image:
    return lesion_image(5, "mel", (WIDTH, HEIGHT))


def far() -> Image.Image:
    """A lesion that is small in the frame, on skin with its grain."""
    grain = np.random.default_rng(1).normal(0, 6, (HEIGHT // 4, WIDTH // 4, 1))
    pixels = np.clip(np.array(SKIN) + grain, 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).ellipse((300, 220, 340, 260), fill=(90, 55, 40))
    return image


def glaring() -> Image.Image:
    image = good()
    ImageDraw.Draw(image).ellipse((260, 160, 340, 240), fill="white")
    return image


def sharpness(pixels: npt.NDArray[np.float32]) -> float:
    """Variance of the Laplacian of luma."""
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    inner = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((around - 4 * inner).var())


def in_frame(image: Image.Image) -> npt.NDArray[np.float32]:
    return np.asarray(image.crop(FRAME), np.float32)
