"""Training images as other dermatoscopes, cameras and archives might have given them.

What a picture owes to its camera shall not make it unlike a lesion: the round edge of the view, a
lens slightly out of focus, another light, a closer look, harder compression. HAM10000 has little of
that, and a distance fitted to it alone refuses nine in ten of the pictures with black corners.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]


def as_by_another_camera(pixels: Pixels, by_chance: np.random.Generator) -> Pixels:
    """Vary one picture: a closer look, blur, light, edge and compression, each in some of them.

    Args:
        pixels: uint8 [side, side, 3] RGB.
        by_chance: where the draws come from.

    Returns:
        A picture of the same shape.
    """
    side = len(pixels)
    picture = Image.fromarray(pixels)
    if by_chance.random() < 0.5:
        part = int(side * by_chance.uniform(0.6, 1))
        left, top = by_chance.integers(0, side - part + 1, 2).tolist()
        picture = picture.resize(
            (side, side), Image.Resampling.BILINEAR, (left, top, left + part, top + part)
        )
    if by_chance.random() < 0.5:
        # In pixels of 224; a blur of 2 costs the diagnosis more than it may.
        radius = by_chance.uniform(0.3, 1.5) * side / 224
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    lit = np.asarray(picture) * by_chance.uniform(0.75, 1.2) * by_chance.uniform(0.9, 1.1, 3)
    if by_chance.random() < 0.35:
        lit = _in_a_round_view(lit, by_chance)
    picture = Image.fromarray(lit.clip(0, 255).astype(np.uint8))
    if by_chance.random() < 0.5:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(by_chance.integers(40, 95)))
        picture = Image.open(file)
    return np.asarray(picture)


def _in_a_round_view(
    picture: npt.NDArray[np.float64], by_chance: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Darken what lies outside of a circle; at the smallest it leaves half of the picture."""
    y, x = np.mgrid[-1 : 1 : len(picture) * 1j, -1 : 1 : len(picture) * 1j]
    right, down = by_chance.uniform(-0.1, 0.1, 2)
    inside = np.hypot(x - right, y - down) < by_chance.uniform(0.8, 1.25)
    return np.where(inside[..., None], picture, by_chance.uniform(0, 25))
