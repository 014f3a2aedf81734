"""Image quality: whether an image can be assessed at all, by its size and its pixels alone.

A network returns a prediction for any image, even a black one, and could not detect these issues
better. Whether an image shows a skin lesion is a question for the network; see
`manifest.OodThreshold`.

Each threshold keeps its distance from the 7,117 images of HAM10000 that train a network (the part
`train` of `lentigo_trainer.data.splits`): none of them has an issue, nor has any of the 2,898
others. The cost of an issue was measured on 367 of the paper's 938 images with a network of the
paper's recipe. Brightness is luma of Rec. 601, 0 to 255, of 56 x 56 cells, each the mean of 4 x 4
pixels, in which a camera's noise is gone.
"""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from lentigo_contract.imaging.read import MODEL_SIDE

QualityIssue = Literal["too-small", "too-dark", "too-bright", "blank", "blurred"]
"""Issues that an image can have."""

Reason = Literal[QualityIssue, "unlike-training-images"]
"""Why an image cannot be assessed: a quality issue, or the network's own output."""

ISSUES: Final[tuple[QualityIssue, ...]] = get_args(QualityIssue)
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

LEAST_SIDE: Final = 100
"""Shorter side, in pixels. Images scaled down to 112 are judged as well as whole ones (balanced
accuracy 0.76 and 0.72), to 84 less well (0.68)."""

LEAST_LIGHT: Final = 50.0
"""Brightness that one cell in a hundred reaches. The darkest training image reaches 115. At a fifth
of their light none reaches 51, and balanced accuracy is down to 0.25."""

WHITE: Final = 250.0
MOST_WHITE: Final = 0.75
"""Share of cells that are white. The training image with the most white has 0.2."""

LEAST_CONTRAST: Final = 4.0
"""Standard deviation over the cells. The palest of the training images has 4.6."""

LEAST_DETAIL: Final = 20.0
LEAST_SHARPNESS: Final = 0.1
"""Mean square of the cells' Laplacian, and its ratio to the mean squared difference of cells four
apart, down and across together.

A pale lesion on smooth skin has little detail, and a large dark one little for its contrast; a
blurred image has little both ways. Of 1,780 training images none has as they are, 10 % have after
a Gaussian blur of 2 pixels of 224, 86 % after 4, 99.6 % after 6, 99.9 % after 8; with noise of 4
steps on top, 88 % after 6 and 90 % after 8. Balanced accuracy falls to 0.63 after 2, 0.50 after 4,
0.31 after 6 and 0.19 after 8.
"""

_CELL: Final = 4
_CELLS: Final = MODEL_SIDE // _CELL
_FAR: Final = 4

# Rec. 601 for a row of one cell: red, green and blue of four pixels, of sums over four rows.
_LUMA: Final = np.tile(np.array([0.299, 0.587, 0.114], np.float32), _CELL) / _CELL**2

_Cells = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """What the pixels of an image show.

    Attributes:
        issues: why it cannot be assessed; empty if it can.
        brightness: mean over the cells, 0 to 255.
        sharpness: detail / (detail + contrast four cells apart), 0 to 1; 0 without either. It is
            1/11 where an image with little detail counts as blurred.
    """

    issues: tuple[QualityIssue, ...]
    brightness: float
    sharpness: float


def quality_issues(
    pixels: npt.NDArray[np.uint8], width: int, height: int
) -> tuple[QualityIssue, ...]:
    """Return why an image cannot be assessed; empty if it can. See `assess_quality`."""
    return assess_quality(pixels, width, height).issues


def assess_quality(pixels: npt.NDArray[np.uint8], width: int, height: int) -> ImageQuality:
    """Return why an image cannot be assessed, how bright and how sharp it is.

    Of the issues of its pixels only the first is returned: a black image is blank too, and never
    sharp. Takes some 90 microseconds.

    Args:
        pixels: uint8 [224, 224, 3], sRGB, as `images.read_image` gives them.
        width: of the image before it was resized, in pixels.
        height: likewise.
    """
    issues: list[QualityIssue] = ["too-small"] if min(width, height) < LEAST_SIDE else []
    cells = _brightness(pixels)
    detail, coarse = _detail(cells)
    if _bright_end(cells) < LEAST_LIGHT:
        issues.append("too-dark")
    elif np.count_nonzero(cells >= WHITE) > MOST_WHITE * cells.size:
        issues.append("too-bright")
    elif cells.std() < LEAST_CONTRAST:
        issues.append("blank")
    elif detail < LEAST_DETAIL and detail < LEAST_SHARPNESS * coarse:
        issues.append("blurred")
    both = detail + coarse
    return ImageQuality(tuple(issues), float(cells.mean()), detail / both if both else 0.0)


def _brightness(pixels: npt.NDArray[np.uint8]) -> _Cells:
    """Return float32 [56, 56], 0 to 255."""
    rows = pixels.reshape(_CELLS, _CELL, -1).sum(axis=1, dtype=np.uint16)
    by_cell = rows.reshape(_CELLS, _CELLS, -1).astype(np.float32)
    # Not `@`: for this size it wakes the threads of the linear algebra library.
    cells: _Cells = np.einsum("ijk,k->ij", by_cell, _LUMA)
    return cells


def _bright_end(cells: _Cells) -> float:
    """Return the brightness that one cell in a hundred reaches."""
    place = cells.size - cells.size // 100
    return float(np.partition(cells, place, axis=None)[place])


def _detail(cells: _Cells) -> tuple[float, float]:
    """Return the mean square of the Laplacian, and that of the differences of cells far apart."""
    inner = cells[1:-1, 1:-1]
    around = cells[:-2, 1:-1] + cells[2:, 1:-1] + cells[1:-1, :-2] + cells[1:-1, 2:]
    detail = _mean_square(4 * inner - around)
    down, across = cells[_FAR:] - cells[:-_FAR], cells[:, _FAR:] - cells[:, :-_FAR]
    coarse = _mean_square(down) + _mean_square(across)
    return detail, coarse


def _mean_square(values: _Cells) -> float:
    flat = values.ravel()
    return float(flat @ flat) / flat.size
