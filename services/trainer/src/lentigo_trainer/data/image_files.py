"""What the image files of a data set are: their sizes, and how strongly JPEG compressed them.

Copies of a data set differ in this and nothing else tells: HAM10000's originals have 600 by 450
pixels, and smaller copies of it go round under the same names.
"""

import io
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from lentigo_contract.manifest.dataset import ImageFiles
from lentigo_trainer.data.ham10000 import ImageReader

COLUMNS: Final = ("file_width", "file_height", "jpeg_quality")

_LUMINANCE: Final = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61),
        *(12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56),
        *(14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77),
        *(24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101),
        *(72, 92, 95, 98, 112, 100, 103, 99),
    ]
)
"""The quantisation table of the JPEG standard (ITU-T T.81, table K.1), which a quality scales."""


def describe_files(readers: Sequence[ImageReader], workers: int) -> pd.DataFrame:
    """Read the headers of image files.

    Args:
        readers: functions that return the encoded bytes of each image, which can be decoded.
        workers: threads that read.

    Returns:
        The columns `COLUMNS`: width and height of the stored pixels, and an estimate of the JPEG
        quality, 1 to 100, 0 for other formats; one row a file, in their order.
    """
    with ThreadPoolExecutor(workers) as pool:
        return pd.DataFrame(list(pool.map(_describe, readers)), columns=list(COLUMNS))


def jpeg_quality(table: Sequence[int]) -> int:
    """Estimate the quality from a luminance quantisation table, 1 to 100.

    The quality is the one whose scaling of the standard's table comes nearest in sum, by the rule
    of the Independent JPEG Group's library. Encoders with tables of their own are judged alike.
    """
    qualities = np.arange(1, 101)
    scales = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    scaled = np.clip((_LUMINANCE * scales[:, None] + 50) // 100, 1, 255)
    return int(qualities[np.abs(scaled.sum(axis=1) - sum(table)).argmin()])


def summarize_files(records: pd.DataFrame, digest: str) -> ImageFiles | None:
    """Summarize what `describe_files` found, for the manifest.

    Args:
        records: one row an image, with the columns `COLUMNS`.
        digest: SHA-256 over the files, hex.

    Returns:
        None where an earlier release prepared the images and did not keep this.
    """
    if not set(COLUMNS) <= set(records.columns):
        return None
    sizes = Counter(zip(records["file_width"], records["file_height"], strict=True))
    ((width, height), most) = sizes.most_common(1)[0]
    qualities = records["jpeg_quality"][records["jpeg_quality"] > 0]
    return ImageFiles(
        width=int(width),
        height=int(height),
        of_this_size=most,
        jpeg_quality=int(qualities.median()) if len(qualities) else None,
        digest=digest,
    )


def _describe(read: ImageReader) -> tuple[int, int, int]:
    with Image.open(io.BytesIO(read())) as image:
        tables = getattr(image, "quantization", None)
        return (*image.size, jpeg_quality(tables[0]) if tables and 0 in tables else 0)
