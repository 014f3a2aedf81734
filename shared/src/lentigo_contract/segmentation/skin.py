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
import numpy.typing as npt
from PIL import Image, ImageFilter

from lentigo_contract.segmentation.connected_regions import regions
from lentigo_contract.segmentation.morphology import Bytes, Mask, brightest, disc, erode
from lentigo_contract.segmentation.region import Floats
from lentigo_contract.segmentation.size import scale_of

_BLACK: Final = 70
"""The brightest channel of a pixel of the lens' rim stays below this, of 255."""

_ERODED: Final = 3
"""Radius in pixels by which the field of view is made smaller: the rim of a lens fades."""

_BLUR: Final = 2
"""Radius of the Gaussian blur in pixels: the noise and the skin's furrows go."""

_SOFT: Final = 0.5
"""Scale of the image up to which nothing is blurred."""

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
"""Samples of skin that hold a surface, of all 4,275 of an image of 300 by 225 pixels."""


def field_of_view(pixels: Bytes) -> Mask:
    """Return the pixels without the dark corners that a round lens leaves.

    Args:
        pixels: uint8 [height, width, 3].
    """
    height, width = pixels.shape[:2]
    dark = brightest(pixels) < _BLACK
    if not dark[[0, 0, -1, -1], [0, -1, 0, -1]].any():
        return np.ones(dark.shape, np.bool_)
    found = regions(dark)
    in_corner = np.isin(found.rows, (0, height - 1)) & ((found.starts == 0) | (found.ends == width))
    corners = np.bincount(found.numbers[in_corner], minlength=found.count) > 0
    field = erode(~found.mask_of(corners), disc(_ERODED, scale_of(dark.shape)))
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
    density = _DENSITY[_softened(pixels)]
    samples = density[::_STEP, ::_STEP].reshape(-1, 3)
    beyond_skin: Floats = density - _surface(_fitted(samples, samples.mean(axis=1), field), field)
    return beyond_skin


def projected_pigment(pixels: Bytes, field: Mask, projection: tuple[float, float, float]) -> Floats:
    """Return `pigment` as one number a pixel, in a third of the time.

    Args:
        pixels: as for `pigment`.
        field: likewise.
        projection: how much red, green and blue count.

    Returns:
        float32 [height, width].
    """
    soft = _softened(pixels)
    red, green, blue = np.outer(projection, _DENSITY).astype(np.float32)
    density = red[soft[..., 0]] + green[soft[..., 1]] + blue[soft[..., 2]]
    samples = density[::_STEP, ::_STEP].reshape(-1, 1)
    means = _DENSITY[soft[::_STEP, ::_STEP]].reshape(-1, 3).mean(axis=1)
    beyond_skin: Floats = density - _surface(_fitted(samples, means, field), field)[..., 0]
    return beyond_skin


def _softened(pixels: Bytes) -> Bytes:
    scale = scale_of(pixels.shape)
    # Scaled to half the size, noise and furrows are gone already (decision 44).
    if scale <= _SOFT:
        return pixels
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(_BLUR * scale)))


def _fitted(samples: Floats, means: Floats, field: Mask) -> npt.NDArray[np.float64]:
    """Fit a surface of second degree to the samples that look like skin.

    Args:
        samples: values of every `_STEP`-th row and column, [n, k].
        means: optical density of the same, the mean of the channels, [n].
        field: the field of view, bool [height, width].

    Returns:
        Coefficients of the terms of `_terms` for each value, [6, k].
    """
    terms, outer = _terms(*field.shape)
    usable = field[::_STEP, ::_STEP].ravel()
    outer = outer & usable
    guess = np.quantile(means[outer], 0.35) if outer.sum() > 50 else np.quantile(means[usable], 0.2)
    skin = usable & (abs(means - guess) < _NEAR)
    count, fewest = terms.shape[1], _FEWEST * scale_of(field.shape) ** 2
    # One product of all columns has the normal equations' both sides.
    columns = np.concatenate([terms, means[:, None], samples], axis=1)
    fitted = np.zeros((count, columns.shape[1] - count))
    for _ in range(_ROUNDS):
        # Too few pixels of skin hold no surface; their mean colour has to do.
        degrees = count if np.count_nonzero(skin) > fewest else 1
        own = columns[skin]
        products = own.T @ own
        fitted[:] = 0
        fitted[:degrees] = np.linalg.solve(
            products[:degrees, :degrees] + _RIDGE * np.eye(degrees), products[:degrees, count:]
        )
        beyond = means - terms @ fitted[:, 0]
        likely = usable & (beyond < _DARKER) & (beyond > -_LIGHTER)
        if np.count_nonzero(likely) < fewest / 4:
            break
        skin = likely
    return fitted[:, 1:]


def _surface(fitted: npt.NDArray[np.float64], field: Mask) -> Floats:
    """Return the values of fitted surfaces, float32 [height, width, k]."""
    y, x = _coordinates(*field.shape)
    one, of_x, of_y, of_xx, of_xy, of_yy = fitted.astype(np.float32)
    along = x * of_x + x * x * of_xx
    surface: Floats = (one + y * of_y + y * y * of_yy) + along + y * (x * of_xy)
    return surface


def _coordinates(height: int, width: int) -> tuple[Floats, Floats]:
    """Return y, [height, 1, 1], and x, [1, width, 1], in half widths from the middle."""
    half = max(height, width) / 2
    y, x = ((np.arange(side, dtype=np.float32) - (side - 1) / 2) / half for side in (height, width))
    return y[:, None, None], x[None, :, None]


@lru_cache(maxsize=4)
def _terms(height: int, width: int) -> tuple[npt.NDArray[np.float64], Mask]:
    """Return 1, x, y, x², xy, y² of every `_STEP`-th pixel, [n, 6], and whether it lies outside."""
    y, x = (each.astype(np.float64)[::_STEP, ::_STEP, 0] for each in _coordinates(height, width))
    x, y = np.broadcast_arrays(x, y)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    return terms, np.hypot(x, y).ravel() > _RIM
