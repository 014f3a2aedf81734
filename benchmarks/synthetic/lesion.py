"""Draw a nevus as a dermatoscope shows it.

    .venv/bin/python -m benchmarks.synthetic.lesion lesion.jpg --seed 11

For screenshots of the web page, in which no image of a real lesion may appear. Light is absorbed
by the Beer-Lambert law: each pigment takes its share of each channel, so that brown and red come
out as in skin. The look was chosen by eye; nothing was fitted to a model. Version 6 accepts seeds
0 to 99. It finds a melanocytic nevus most probable in all, decides for a benign keratosis in one,
and refers 2. That says nothing about how good it is.
"""

import argparse
import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

SIZE: Final = (600, 450)
"""Width and height in pixels, as the images of HAM10000."""

# How strongly one unit of a pigment absorbs red, green and blue.
_MELANIN: Final = (0.62, 1.0, 1.22)
_BLOOD: Final = (0.12, 0.62, 0.48)
_HAIR: Final = (1.0, 1.2, 1.25)

Field = npt.NDArray[np.floating[Any]]
"""One value a pixel, [height, width]."""


def draw_nevus(seed: int) -> Image.Image:
    """Draw a melanocytic nevus on skin; the same seed draws the same pixels.

    Returns:
        An RGB image of `SIZE`.
    """
    rng = np.random.default_rng(seed)
    y, x = _coordinates()
    depth = _depth(rng, x, y)
    melanin = 0.04 * _skin_texture(rng, x, y) + _pigment(rng, x, y, depth)
    blood = 0.16 + 0.09 * _clouds(rng, 3) + 0.05 * _clouds(rng, 14, octaves=4)
    blood += 0.14 * _coverage(depth + 0.12, 0.12)
    absorbed = _absorb(melanin, _MELANIN) + _absorb(blood, _BLOOD) + _absorb(_hairs(rng), _HAIR)
    skin = rng.normal((232, 205, 198), 4).astype(np.float32)
    light = _light(rng, x, y) + 0.012 * _clouds(rng, 150, octaves=2)
    pixels = skin * light[..., None] * np.exp(-absorbed)
    pixels += 90 * _reflections(rng)[..., None]
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return _photographed(rng, image)


def nevus_jpeg(seed: int) -> bytes:
    """Encode `draw_nevus(seed)` as a JPEG."""
    file = io.BytesIO()
    draw_nevus(seed).save(file, "JPEG", quality=90)
    return file.getvalue()


def _coordinates() -> tuple[Field, Field]:
    """Return y and x of each pixel, in heights of the image from its centre."""
    width, height = SIZE
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return (rows - height / 2) / height, (columns - width / 2) / height


def _depth(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Return how far inside the lesion a pixel is: 1 at the centre, 0 on the border."""
    x = x - rng.uniform(-0.06, 0.06) + 0.035 * _clouds(rng, 5)
    y = y - rng.uniform(-0.04, 0.04) + 0.035 * _clouds(rng, 5)
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.08, 1.3)
    along = (x * np.cos(turn) + y * np.sin(turn)) / stretch
    across = (y * np.cos(turn) - x * np.sin(turn)) * stretch
    angle = np.arctan2(across, along)
    edge = rng.uniform(0.25, 0.31) * np.ones_like(x)
    for wave in range(2, 7):
        edge *= 1 + rng.uniform(0.0, 0.14) / wave * np.cos(wave * angle + rng.uniform(0, 6.28))
    depth: Field = 1 - np.hypot(along, across) / edge
    # A border frays: finer noise counts less, and only near the border.
    return depth + (0.10 * _clouds(rng, 14, octaves=4)) * np.exp(-8 * depth**2)


def _pigment(rng: np.random.Generator, x: Field, y: Field, depth: Field) -> Field:
    """Return the lesion's melanin: a body, a network of lines, and dots and globules."""
    inside = _coverage(depth - 0.05, 0.16 + 0.05 * _clouds(rng, 4))
    body = 0.42 + 0.42 * _coverage(depth - 0.38, 0.22) + 0.24 * _clouds(rng, 6, octaves=4)
    # The mesh is of uneven width and strength, and fades where the body is dense.
    bent_x, bent_y = x + 0.008 * _clouds(rng, 26), y + 0.008 * _clouds(rng, 26)
    nearest, second, _ = _cells(rng, bent_x, bent_y, 0.021)
    width = 0.34 + 0.16 * _clouds(rng, 22)
    lines = np.exp(-(((second - nearest) / np.clip(width, 0.15, None)) ** 2))
    network = 0.50 * lines * np.clip(0.70 + 0.55 * _clouds(rng, 8), 0.05, 1.1)
    near, _, kind = _cells(rng, bent_x, bent_y, 0.026)
    globules = 0.45 * _coverage(0.20 + 0.16 * kind - near, 0.12) * (kind > 0.7)
    grain = 0.14 * _clouds(rng, 45, octaves=3)
    melanin: Field = inside * np.clip(body + network + globules + grain, 0.05, None)
    return melanin + 0.12 * _coverage(depth + 0.16, 0.12)


def _skin_texture(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Return the skin's own uneven pigment, paler along its furrows, about -1.5 to 1.5."""
    bent_x, bent_y = x + 0.02 * _clouds(rng, 9), y + 0.02 * _clouds(rng, 9)
    nearest, second, tone = _cells(rng, bent_x, 1.5 * bent_y, 0.05)
    furrows = np.exp(-(((second - nearest) / 0.16) ** 2))
    mottled: Field = 0.5 * tone + 0.9 * _clouds(rng, 30, octaves=4) - 0.6 * furrows
    return mottled


def _hairs(rng: np.random.Generator) -> Field:
    """Return how much of the light hairs take: a few long, bent ones, thinner to the tip."""
    width, height = SIZE
    scale = 3
    canvas = Image.new("L", (width * scale, height * scale))
    pen = ImageDraw.Draw(canvas)
    heading_of_all = rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(3, 7)):
        start = rng.uniform((0, 0), SIZE)
        heading = heading_of_all + rng.normal(0, 0.5)
        length, bend = rng.uniform(0.35, 0.9) * width, rng.normal(0, 0.9)
        thick, dark = rng.uniform(1.0, 2.0), int(rng.integers(90, 210))
        steps = np.linspace(0, 1, 80)
        angles = heading + bend * steps**1.5 + 0.12 * np.sin(9 * steps + rng.uniform(0, 6))
        path = start + np.cumsum(np.c_[np.cos(angles), np.sin(angles)] * length / 80, axis=0)
        for step, point, following in zip(steps, path, path[1:], strict=False):
            pen.line(
                [*(scale * point), *(scale * following)],
                fill=dark,
                width=max(1, round(scale * thick * min(1, 0.3 + 8 * step, 2 * (1 - step)))),
            )
    smooth = canvas.resize(SIZE, Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.5))
    return np.asarray(smooth, np.float32) / 255


def _reflections(rng: np.random.Generator) -> Field:
    """Return small glints of the lamp in the fluid under the glass, 0 to 1."""
    width, height = SIZE
    canvas = Image.new("L", SIZE)
    pen = ImageDraw.Draw(canvas)
    for _ in range(rng.integers(5, 12)):
        left, top = rng.uniform(0.15, 0.85, 2) * (width, height)
        size = rng.uniform(0.6, 1.8)
        pen.ellipse((left, top, left + size, top + size), fill=int(rng.integers(60, 200)))
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(0.8)), np.float32) / 255


def _light(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Return the ring lamp's light: a little weaker in the corners, a little off centre."""
    off_x, off_y = rng.uniform(-0.08, 0.08, 2)
    radius = np.hypot(x - off_x, y - off_y)
    light: Field = 1.0 - 0.22 * np.clip(radius / 0.83, 0, None) ** 3
    return light


def _photographed(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """Soften as a lens does, then add the noise of a sensor."""
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    noise = rng.normal(0, 0.9, (*soft.shape[:2], 1)) + rng.normal(0, 0.4, soft.shape)
    return Image.fromarray((soft + noise).clip(0, 255).astype(np.uint8))


def _clouds(rng: np.random.Generator, cells: int, octaves: int = 3) -> Field:
    """Return smooth noise of about -1 to 1, with `cells` blobs from top to bottom and finer ones.

    Value noise in octaves, each twice as fine and 0.55 as strong as the one before.
    """
    width, height = SIZE
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        down = cells * 2**octave
        grid = rng.uniform(-1, 1, (down + 1, down * width // height + 1)).astype(np.float32)
        layer = Image.fromarray(grid).resize(SIZE, Image.Resampling.BICUBIC)
        total += 0.55**octave * np.asarray(layer, np.float32)
    return total


def _cells(rng: np.random.Generator, x: Field, y: Field, size: float) -> tuple[Field, Field, Field]:
    """Return distances to the two nearest points of a jittered grid, and the nearest's own value.

    Cellular noise (Worley, "A Cellular Texture Basis Function", SIGGRAPH 1996). Distances are in
    `size`, the spacing of the grid in heights of the image; the value is uniform from 0 to 1.
    """
    across, down = x / size, y / size
    left, top = np.floor(across).astype(int), np.floor(down).astype(int)
    left_most, top_most = left.min() - 1, top.min() - 1
    shape = (top.max() - top_most + 2, left.max() - left_most + 2)
    jitter = rng.uniform(0.08, 0.92, (2, *shape)).astype(np.float32)
    values = rng.random(shape, np.float32)
    nearest = np.full(x.shape, np.inf, np.float32)
    second, value = nearest.copy(), np.zeros_like(nearest)
    for step_down, step_right in np.ndindex(3, 3):
        row, column = top + step_down - 1, left + step_right - 1
        place = (row - top_most, column - left_most)
        distance = np.hypot(column + jitter[0][place] - across, row + jitter[1][place] - down)
        second = np.minimum(second, np.maximum(distance, nearest))
        value = np.where(distance < nearest, values[place], value)
        nearest = np.minimum(nearest, distance)
    return nearest, second, value


def _coverage(distance: Field, softness: float | Field) -> Field:
    """Return a soft step: 0 for negative distances, 1 for positive ones."""
    step: Field = 1 / (1 + np.exp(-np.clip(distance / softness * 2, -40, 40)))
    return step


def _absorb(pigment: Field, strength: tuple[float, float, float]) -> Field:
    """Return the optical density of a pigment, float32 [height, width, 3]."""
    return pigment[..., None] * np.array(strength, np.float32)


def main() -> None:
    """Write one image."""
    parser = argparse.ArgumentParser(description="Draw a synthetic nevus as a JPEG.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.file.write_bytes(nevus_jpeg(arguments.seed))


if __name__ == "__main__":
    main()
