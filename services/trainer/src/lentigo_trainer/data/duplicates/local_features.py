"""Local features of an image: SIFT (Lowe 2004), computed once per image.

A SIFT feature does not change when the image is turned, and little when it is scaled or lit
differently. It changes when the image is mirrored, but only by the order of its 128 numbers.
"""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from lentigo_contract.wording import pluralize
from lentigo_trainer.data.dataset import UNREADABLE
from lentigo_trainer.data.ham10000 import ImageReader
from lentigo_trainer.errors import DamagedImagesError
from lentigo_trainer.system.progress import Progress

LONGER_SIDE: Final = 300
"""Pixels of the longer side of the image that features are taken from."""

MOST_FEATURES: Final = 300
"""Features of an image: those with the strongest contrast."""

CONTRAST: Final = 0.01
"""Least contrast of a feature; OpenCV's 0.04 leaves smooth skin with too few."""

SIZE: Final = 128
"""Numbers that describe a feature: 4 by 4 cells with 8 orientations each."""


@dataclass(frozen=True, slots=True)
class LocalFeatures:
    """The SIFT features of an image.

    Attributes:
        points: where they are, pixels of the scaled image (x, y), float32 [n, 2].
        descriptors: what is there, uint8 [n, 128].
    """

    points: npt.NDArray[np.float32]
    descriptors: npt.NDArray[np.uint8]

    def mirrored(self) -> "LocalFeatures":
        """Return the features of the mirror image, x pointing left."""
        return LocalFeatures(
            self.points * np.array([-1, 1], np.float32), self.descriptors[:, _MIRRORED]
        )


def local_features(
    images: Sequence[tuple[str, ImageReader]], workers: int, progress: Progress
) -> list[LocalFeatures]:
    """Compute the features of images, in their order.

    Args:
        images: name and reader of each image.
        workers: number of threads; OpenCV lets them run in parallel.
        progress: shows how many images are done.

    Raises:
        DamagedImagesError: images cannot be read; the message names all of them.
    """
    # One thread to an image is quicker than several.
    cv2.setNumThreads(1)
    found: list[LocalFeatures] = []
    damaged: list[str] = []
    with (
        ThreadPoolExecutor(workers) as pool,
        progress.track("Local features", total=len(images), unit="images") as step,
    ):
        readers = [reader for _, reader in images]
        for (name, _), features in zip(images, pool.map(_read, readers), strict=True):
            if features is None:
                damaged.append(name)
            else:
                found.append(features)
            step.advance()
    if damaged:
        raise DamagedImagesError(
            f"{len(damaged)} of {pluralize(len(images), 'image')} cannot be read: "
            f"{', '.join(damaged)}. "
            "Fetch them again, or remove their rows from the metadata."
        )
    return found


def features_of(grey: npt.NDArray[np.uint8]) -> LocalFeatures:
    """Compute the features of a grey image, uint8 [height, width]."""
    detector = cv2.SIFT.create(nfeatures=MOST_FEATURES, contrastThreshold=CONTRAST)
    points, descriptors = detector.detectAndCompute(grey, None)
    return LocalFeatures(
        np.array([point.pt for point in points], np.float32).reshape(-1, 2),
        descriptors.astype(np.uint8) if points else np.zeros((0, SIZE), np.uint8),
    )


def _read(read: ImageReader) -> LocalFeatures | None:
    try:
        with Image.open(io.BytesIO(read())) as image:
            # Decodes a JPEG at half its size or less where that is still large enough.
            image.draft("L", (LONGER_SIDE, LONGER_SIDE))
            grey = image.convert("L")
    except (*UNREADABLE, Image.DecompressionBombError, ValueError):
        return None
    scale = LONGER_SIDE / max(grey.size)
    if scale < 1:
        grey = grey.resize(
            (round(grey.width * scale), round(grey.height * scale)), Image.Resampling.BOX
        )
    return features_of(np.asarray(grey))


def _mirrored_order() -> npt.NDArray[np.intp]:
    """Return where the numbers of a mirrored descriptor come from.

    Cells are numbered by row and column in the frame of the feature's own direction, which is the
    x axis. So a mirror turns the rows round, and every orientation into its negative.
    """
    row, column, orientation = np.unravel_index(np.arange(SIZE), (4, 4, 8))
    return np.ravel_multi_index((3 - row, column, -orientation % 8), (4, 4, 8))


_MIRRORED: Final = _mirrored_order()
