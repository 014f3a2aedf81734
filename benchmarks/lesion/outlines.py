"""Draw the outlines of both segmentations over made-up lesions, twelve in one picture.

    .venv/bin/python -m benchmarks.lesion.outlines docs/images/lesion-outlines.jpg

The lesions are made by code (`benchmarks/synthetic/lesion.py`). The classical outline is white, the
self-generating network's is black on a white edge, so that neither is told by colour alone.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.synthetic.lesion import draw_nevus
from lentigo_contract.segmentation import classical
from lentigo_contract.segmentation.hair import remove_hairs
from lentigo_contract.segmentation.morphology import dilate, disc, outline
from lentigo_contract.segmentation.size import working_image
from lentigo_trainer.segmentation import neural

ACROSS: Final = 4
SHOWN: Final = 12


def outlined(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the image at the size that is segmented, with both outlines."""
    pixels = working_image(image)
    clean = remove_hairs(pixels).pixels
    drawn = pixels.copy()
    drawn[outline(classical.segment_without_hairs(clean).mask)] = 255
    line = outline(neural.segment_without_hairs(clean).mask)
    drawn[dilate(line, disc(1)).astype(np.bool_)] = 255
    drawn[line] = 0
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw outlines over made-up lesions.")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    tiles = [outlined(draw_nevus(seed)) for seed in range(SHOWN)]
    rows = [np.concatenate(tiles[start : start + ACROSS], 1) for start in range(0, SHOWN, ACROSS)]
    Image.fromarray(np.concatenate(rows, 0)).save(arguments.file, quality=80)


if __name__ == "__main__":
    main()
