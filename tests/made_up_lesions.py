"""Dermatoscopic images made by code, whose lesion is known to the pixel."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

SIZE: Final = (300, 225)
"""Width and height in pixels, the size that is segmented."""

SKIN: Final = (226, 178, 160)
BROWN: Final = (120, 72, 56)

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def disc_mask(centre: tuple[float, float], radius: float, size: tuple[int, int] = SIZE) -> Mask:
    """Return the pixels within a radius of a point (across, down)."""
    rows, columns = np.ogrid[0 : size[1], 0 : size[0]]
    return (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 <= radius**2


def picture(
    mask: Mask | None = None,
    seed: int = 0,
    lesion: tuple[int, int, int] = BROWN,
    skin: tuple[int, int, int] = SKIN,
) -> Pixels:
    """Return skin with a lesion where the mask says, softened and with the noise of a sensor."""
    rng = np.random.default_rng(seed)
    height, width = (SIZE[1], SIZE[0]) if mask is None else mask.shape
    pixels = np.full((height, width, 3), skin, np.float32)
    if mask is not None:
        pixels[mask] = lesion
    pixels += rng.normal(0, 3, (height, width, 1)) + rng.normal(0, 2, pixels.shape)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return np.array(image.filter(ImageFilter.GaussianBlur(1)))


def with_hairs(pixels: Pixels, count: int, seed: int = 1, width: int = 2) -> Pixels:
    """Draw straight and bent dark hairs over an image."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for _ in range(count):
        start = rng.uniform((0, 0), image.size)
        steps = np.linspace(0, 1, 30)
        angles = rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.5) * steps
        length = rng.uniform(80, 200)
        path = start + np.cumsum(np.c_[np.cos(angles), np.sin(angles)] * length / 30, axis=0)
        pen.line([tuple(point) for point in path.tolist()], fill=(45, 30, 25), width=width)
    return np.array(image)


def with_ruler(pixels: Pixels, spacing: int = 9, width: int = 2) -> Pixels:
    """Draw a ruler along the lower edge: a row of dark ticks, every fifth longer."""
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for number, across in enumerate(range(6, image.width, spacing)):
        pen.line(
            [(across, image.height - 4), (across, image.height - (30 if number % 5 == 0 else 18))],
            fill=(20, 20, 20),
            width=width,
        )
    return np.array(image)


def with_dark_corners(pixels: Pixels, radius: float = 165) -> Pixels:
    """Blacken what a round lens does not show, with a fading rim."""
    height, width = pixels.shape[:2]
    rows, columns = np.ogrid[0:height, 0:width]
    away = np.hypot(columns - width / 2, rows - height / 2)
    light = np.clip((radius - away) / 12, 0, 1)[..., None]
    return np.asarray(pixels * light, np.uint8)


def jaccard(one: Mask, other: Mask) -> float:
    """Return the pixels of both over the pixels of either."""
    return float((one & other).sum() / (one | other).sum())
