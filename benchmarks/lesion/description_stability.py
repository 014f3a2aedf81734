"""How stable the description of a lesion is when its picture is turned.

    .venv/bin/python -m benchmarks.lesion.description_stability --source ham10000 [--limit 50]

Each image is described as it is and turned: by quarters and mirrored, which loses nothing, and by
20 and 45 degrees about its middle, where the corners are filled with mirrored skin. Turned outlines
are turned back before they are compared. Images are a random sample of all of HAM10000.
"""

import argparse
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from lentigo_contract.description.asymmetry import Asymmetry
from lentigo_contract.description.describe import LesionDescription, describe
from lentigo_contract.imaging.read import MODEL_SIDE
from lentigo_trainer.data.ham10000 import find_source, open_images

Turn = Callable[[Image.Image], Image.Image]
Back = Callable[[Image.Image], Image.Image]
Mask = npt.NDArray[np.bool_]


def by_angle(degrees: float) -> Turn:
    """Return a turn about the middle that keeps the size and fills the corners by mirroring."""

    def turn(image: Image.Image) -> Image.Image:
        margin = math.ceil(max(image.size) / 2)
        pixels = np.asarray(image)
        sides = ((margin, margin), (margin, margin), (0, 0))[: pixels.ndim]
        wide = Image.fromarray(np.pad(pixels, sides, mode="reflect"))
        turned = wide.rotate(degrees, Image.Resampling.BILINEAR)
        return turned.crop((margin, margin, margin + image.width, margin + image.height))

    return turn


def transposed(how: Image.Transpose) -> Turn:
    return lambda image: image.transpose(how)


TURNS: dict[str, tuple[Turn, Back]] = {
    "quarter turn": (
        transposed(Image.Transpose.ROTATE_90),
        transposed(Image.Transpose.ROTATE_270),
    ),
    "half turn": (
        transposed(Image.Transpose.ROTATE_180),
        transposed(Image.Transpose.ROTATE_180),
    ),
    "mirrored": (
        transposed(Image.Transpose.FLIP_LEFT_RIGHT),
        transposed(Image.Transpose.FLIP_LEFT_RIGHT),
    ),
    "20 degrees": (by_angle(20), by_angle(-20)),
    "45 degrees": (by_angle(45), by_angle(-45)),
}


def described(image: Image.Image) -> LesionDescription | None:
    """Describe an image as the service does: from the network's input."""
    small = image.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BILINEAR)
    return describe(np.asarray(small), image.width, image.height).lesion


def mask_of(lesion: LesionDescription, size: tuple[int, int]) -> Image.Image:
    canvas = Image.new("L", size)
    pen = ImageDraw.Draw(canvas)
    for ring in lesion.outlines:
        pen.polygon([(x, y) for x, y in ring.tolist()], fill=255)
    return canvas


def jaccard(one: Image.Image, other: Image.Image) -> float:
    first, second = np.asarray(one) > 127, np.asarray(other) > 127
    return float((first & second).sum() / max(1, (first | second).sum()))


def differences(
    image: Image.Image, lesion: LesionDescription, turn: Turn, back: Back
) -> dict[str, float]:
    """Return how the description of the turned image differs; empty without one."""
    picture = turn(image)
    other = described(picture)
    if other is None:
        return {}
    found = {
        "outline, Jaccard": jaccard(
            mask_of(lesion, image.size), back(mask_of(other, picture.size)).convert("L")
        ),
        "colours, same score": float(other.colours.score == lesion.colours.score),
        "colours, share moved": float(
            np.abs(np.subtract(other.colours.shares, lesion.colours.shares)).max()
        ),
        "border, same score": float(other.border.score == lesion.border.score),
        "border, score moved": abs(other.border.score - lesion.border.score),
    }
    if lesion.asymmetry and other.asymmetry and lesion.diameter and other.diameter:
        found["asymmetry, same score"] = float(other.asymmetry.score == lesion.asymmetry.score)
        found["asymmetry, shape moved"] = shape_moved(lesion.asymmetry, other.asymmetry)
        found["diameter, moved"] = abs(other.diameter.pixels / lesion.diameter.pixels - 1)
        found["irregularity, moved"] = abs(
            other.border.irregularity / lesion.border.irregularity - 1
        )
    return found


def shape_moved(one: Asymmetry, other: Asymmetry) -> float:
    """Compare the axes by their shares of shape without counterpart; angles turn along."""
    pairs = zip(*(sorted(axis.shape for axis in each.axes) for each in (one, other)), strict=True)
    return float(max(abs(first - second) for first, second in pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how stable descriptions are.")
    parser.add_argument("--source", type=Path, required=True, help="folder with HAM10000")
    parser.add_argument("--limit", type=int, default=50, help="images, drawn at random")
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in TURNS}
    count = 0
    with open_images(find_source(arguments.source)) as images:
        names = np.random.default_rng(0).choice(sorted(images), arguments.limit, replace=False)
        for name in names:
            with Image.open(io.BytesIO(images[name]())) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
            lesion = described(image)
            if lesion is None:
                continue
            count += 1
            for turned, (turn, back) in TURNS.items():
                results[turned].append(differences(image, lesion, turn, back))
    report(results, count, len(names))


def report(results: dict[str, list[dict[str, float]]], described_count: int, images: int) -> None:
    print(f"{described_count} of {images} images described. Means; n in parentheses.")
    rows = list(dict.fromkeys(name for each in results.values() for row in each for name in row))
    print(f"{'':24}" + "".join(f"{name:>18}" for name in results))
    print(
        f"{'described too':24}"
        + "".join(cell([float(bool(r)) for r in each]) for each in results.values())
    )
    for row in rows:
        cells = (cell([r[row] for r in each if row in r]) for each in results.values())
        print(f"{row:24}" + "".join(cells))


def cell(values: list[float]) -> str:
    return f"{f'{np.mean(values):.3f} ({len(values)})' if values else '-':>18}"


if __name__ == "__main__":
    main()
