"""The skin around a lesion: the field of view, and the pigment of each pixel beyond the skin's.

Light that pigment absorbs is counted as optical density, -log of the pixel over the skin (Beer,
Lambert), so that uneven light, which multiplies, becomes a sum. The skin's own density is a surface
of second degree over the image, fitted to pixels that look like skin (as shading is corrected by
Cavalcanti and Scharcanski, "Automated prescreening of pigmented skin lesions using standard
cameras", Computerized Medical Imaging and Graphics 35, 2011).
"""

from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from lentigo_contract.segmentation.morphology import Bytes, Mask, brightest, disc, erode, label
from lentigo_contract.segmentation.region import Floats

WORKING_SIDE: Final = 300
"""Longer side of the image that is segmented, in pixels; every length here is for this size."""

_BLACK: Final = 70
"""The brightest channel of a pixel of the lens' rim stays below this, of 255."""

_BLUR: Final = 2
"""Radius of the Gaussian blur in pixels: the noise and the skin's furrows go."""

_STEP: Final = 4
"""The surface is fitted to every fourth row and column."""

_RIM: Final = 0.6
"""Distance from the middle from which a pixel is more likely skin, in half widths."""

_NEAR: Final = 0.35
"""A pixel may be skin if its mean density is within this of the skin's first guess."""

_DARKER, _LIGHTER = 0.10, 0.25
"""And if it is at most so much denser, or less dense, than the surface."""

_RIDGE: Final = 1e-3
"""Keeps the equations solvable where the skin's pixels lie in one row."""

_DENSITY: Final = -np.log((np.arange(256, dtype=np.float32) + 1) / 256)
"""Optical density of each of the 256 values of a channel."""

_ROUNDS: Final = 4
_FEWEST: Final = 200


def working_image(image: Image.Image) -> Bytes:
    """Scale an RGB image to the size that is segmented, with its proportions.

    Returns:
        uint8 [height, width, 3], the longer side `WORKING_SIDE`; smaller images are enlarged.
    """
    scale = WORKING_SIDE / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    if (width, height) == image.size:
        return np.asarray(image.convert("RGB"), np.uint8)
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    return np.asarray(image.convert("RGB").resize((width, height), how), np.uint8)


def field_of_view(pixels: Bytes) -> Mask:
    """Return the pixels without the dark corners that a round lens leaves.

    Args:
        pixels: uint8 [height, width, 3].
    """
    dark = brightest(pixels) < _BLACK
    labels, _ = label(dark)
    corners = {int(labels[row, column]) for row in (0, -1) for column in (0, -1)} - {0}
    if not corners:
        return np.ones(dark.shape, np.bool_)
    field = erode(~np.isin(labels, list(corners)), disc(3)).astype(np.bool_)
    # A lesion may reach a corner and be as dark; a lens leaves at least half of the image.
    return field if field.mean() > 0.3 else np.ones(dark.shape, np.bool_)


def pigment(pixels: Bytes, field: Mask) -> Floats:
    """Return the optical density of each pixel beyond that of the skin, natural logarithm.

    Args:
        pixels: uint8 [height, width, 3], sRGB, without hairs.
        field: the field of view, bool [height, width].

    Returns:
        float32 [height, width, 3], of red, green and blue; 0 is skin, 0.7 half as bright.
    """
    soft = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(_BLUR)))
    density = _DENSITY[soft]
    surface = _surface_terms(*field.shape)
    every = (slice(None, None, _STEP), slice(None, None, _STEP))
    terms, usable = surface[every].reshape(-1, surface.shape[2]), field[every].ravel()
    samples = density[every].reshape(-1, 3)
    means = samples.mean(axis=1)
    outer = usable & (np.hypot(terms[:, 1], terms[:, 2]) > _RIM)
    guess = np.quantile(means[outer], 0.35) if outer.sum() > 50 else np.quantile(means[usable], 0.2)
    skin = usable & (abs(means - guess) < _NEAR)
    fitted = np.zeros((terms.shape[1], 3))
    for _ in range(_ROUNDS):
        # Too few pixels of skin hold no surface; their mean colour has to do.
        degrees = terms.shape[1] if skin.sum() > _FEWEST else 1
        fitted[:] = 0
        own = terms[skin, :degrees].astype(np.float64)
        # The normal equations of six terms take a fiftieth of a decomposition of all samples.
        fitted[:degrees] = np.linalg.solve(
            own.T @ own + _RIDGE * np.eye(degrees), own.T @ samples[skin]
        )
        beyond = (samples - terms @ fitted).mean(axis=1)
        likely = usable & (beyond < _DARKER) & (beyond > -_LIGHTER)
        if likely.sum() < _FEWEST // 4:
            break
        skin = likely
    # Row by row; all at once would wake the threads of the linear algebra library.
    beyond_skin: Floats = density - (surface @ fitted.astype(np.float32))
    return beyond_skin


@lru_cache(maxsize=4)
def _surface_terms(height: int, width: int) -> Floats:
    """Return 1, x, y, x², xy, y² of each pixel, in half widths from the middle."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    half = max(height, width) / 2
    y, x = (rows - (height - 1) / 2) / half, (columns - (width - 1) / 2) / half
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
