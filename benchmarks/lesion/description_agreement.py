"""Whether the outlines of descriptions agree with people's masks as well as those at full size.

    .venv/bin/python -m benchmarks.lesion.description_agreement \
        --source ham10000 --masks HAM10000_segmentations_lesion_tschandl.zip [--limit 400]

Descriptions are made from the network's input at 150 pixels; `lentigo-train segment` measures the
classical method on the image itself at 300. Both are compared here on the same images: a random
sample of those whose lesions the method was not tuned on. A picture without an outline counts 0.
"""

import argparse
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from lentigo_contract.description.describe import describe
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_contract.segmentation.classical import segment
from lentigo_contract.segmentation.size import working_image
from lentigo_trainer.data.ham10000 import find_source, open_images, read_metadata
from lentigo_trainer.segmentation.agreement import agreement
from lentigo_trainer.segmentation.evaluate import tuned_on
from lentigo_trainer.segmentation.images import open_masks, read_bytes, read_mask

Mask = npt.NDArray[np.bool_]


def described_mask(image: Image.Image, size: tuple[int, int]) -> Mask:
    """Return what the outlines of a description enclose, at another size."""
    small = image.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BILINEAR)
    lesion = describe(np.asarray(small), *size).lesion
    canvas = Image.new("1", size)
    pen = ImageDraw.Draw(canvas)
    for ring in lesion.outlines if lesion else ():
        pen.polygon([(x, y) for x, y in ring.tolist()], fill=1)
    return np.asarray(canvas)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare descriptions' outlines with masks.")
    parser.add_argument("--source", type=Path, required=True, help="folder with HAM10000")
    parser.add_argument("--masks", type=Path, required=True, help="archive or folder of masks")
    parser.add_argument("--limit", type=int, default=400, help="images, drawn at random")
    arguments = parser.parse_args()
    found = find_source(arguments.source)
    records = read_metadata(found.metadata)
    names = sorted(records["image_id"].to_numpy(str)[~tuned_on(records)])
    chosen = np.random.default_rng(0).choice(names, arguments.limit, replace=False)
    values = []
    with open_images(found) as images, open_masks(arguments.masks) as masks:
        for name in chosen:
            with Image.open(io.BytesIO(images[name]())) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
            pixels = working_image(image)
            height, width = pixels.shape[:2]
            truth = read_mask(read_bytes(masks[name], name), (height, width))
            both = (described_mask(image, (width, height)), segment(pixels).mask)
            values.append([agreement(mask, truth).jaccard for mask in both])
    report(np.array(values))


def report(values: npt.NDArray[np.float64]) -> None:
    """Print means, and their difference with an interval by resampling the images."""
    rows = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    for name, each in zip(("description", "image at full size"), values.T, strict=True):
        low, high = np.quantile(each[rows].mean(axis=1), (0.025, 0.975))
        print(f"{name:20} mean Jaccard {each.mean():.3f} ({low:.3f} to {high:.3f})")
    apart = values[:, 0] - values[:, 1]
    low, high = np.quantile(apart[rows].mean(axis=1), (0.025, 0.975))
    print(f"difference {apart.mean():+.4f} ({low:+.4f} to {high:+.4f}), n = {len(values)}")


if __name__ == "__main__":
    main()
