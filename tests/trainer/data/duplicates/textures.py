"""Made-up HAM10000 whose images have enough texture for local features."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Grey = npt.NDArray[np.uint8]


def texture(seed: int, size: tuple[int, int] = (300, 225)) -> Grey:
    """Smooth noise, uint8 [height, width]; each seed gives another."""
    noise = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(3)), np.float64)
    stretched = (smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255
    whole: Grey = stretched.astype(np.uint8)
    return whole


def turned(grey: Grey, degrees: float) -> Grey:
    """The same lesion, photographed from another side and a little nearer."""
    image = Image.fromarray(grey).rotate(degrees, Image.Resampling.BICUBIC)
    width, height = image.size
    box = (width // 8, height // 8, width - width // 8, height - height // 8)
    return np.asarray(image.crop(box).resize(image.size, Image.Resampling.BICUBIC))


def write_source(folder: Path, images: Sequence[tuple[str, str, Grey]]) -> Path:
    """Write images, each with its name and its lesion's, under HAM10000's names."""
    part = folder / "HAM10000_images_part_1"
    part.mkdir(parents=True)
    lines = ["lesion_id,image_id,dx"]
    for name, lesion, grey in images:
        Image.fromarray(grey).convert("RGB").save(part / f"{name}.jpg", quality=90)
        lines.append(f"{lesion},{name},nv")
    (folder / "HAM10000_metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
