"""Pictures without a lesion, drawn by code: pages, charts, codes, patterns and noise.

Each kind is a function of a generator, and gives a picture as large as a scanner, a screen or a
camera makes it, so that it is made smaller on its way to the network as any other.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Draw = Callable[[np.random.Generator], Image.Image]

_FONTS: Final = sorted((Path(mpl.get_data_path()) / "fonts/ttf").glob("[DS]*.ttf"))
_WORDS: Final = (
    *("report", "patient", "the", "of", "and", "left", "forearm", "excision", "margin", "page"),
    *("received", "specimen", "date", "no", "with", "referred", "follow", "up", "weeks", "total"),
    *("invoice", "quantity", "therefore", "chapter", "figure", "window", "cancel", "save"),
)


def drawn(draw: Draw, count: int, seed: int) -> Iterator[bytes]:
    """Draw some pictures of a kind, encoded as PNG; picture i depends on seed and i alone."""
    for number in range(count):
        file = io.BytesIO()
        draw(np.random.default_rng((seed, number))).save(file, "PNG")
        yield file.getvalue()


def page(by_chance: np.random.Generator) -> Image.Image:
    """A page of text, dark on light, sometimes in two columns or turned a little."""
    paper = tuple(int(each) for each in by_chance.integers(225, 256, 3))
    picture = Image.new("RGB", (744, 1052), paper)
    pen = ImageDraw.Draw(picture)
    size = int(by_chance.integers(13, 34))
    font = ImageFont.truetype(str(by_chance.choice(_FONTS)), size)
    ink = tuple(int(each) for each in by_chance.integers(0, 90, 3))
    columns = int(by_chance.integers(1, 3))
    for column in range(columns):
        left, width = 60 + column * 640 // columns, 600 // columns
        for top in range(60, 980, int(size * 1.5)):
            if by_chance.random() < 0.9:
                pen.text((left, top), _line(by_chance, font, width), ink, font)
    return picture.rotate(by_chance.uniform(-6, 6), Image.Resampling.BICUBIC, fillcolor=paper)


def table(by_chance: np.random.Generator) -> Image.Image:
    """A table of numbers with lines."""
    picture = Image.new("RGB", (1000, 700), "white")
    pen = ImageDraw.Draw(picture)
    rows, columns = (int(each) for each in by_chance.integers((5, 3), (20, 9)))
    font = ImageFont.truetype(str(by_chance.choice(_FONTS)), min(20, 400 // rows))
    shade = tuple(int(each) for each in by_chance.integers(200, 256, 3))
    for row in range(rows):
        for column in range(columns):
            box = (
                20 + 960 * column // columns,
                20 + 660 * row // rows,
                20 + 960 * (column + 1) // columns,
                20 + 660 * (row + 1) // rows,
            )
            pen.rectangle(box, shade if row == 0 else "white", "gray")
            pen.text((box[0] + 6, box[1] + 4), f"{by_chance.normal(0, 99):.2f}", "black", font)
    return picture


def chart(by_chance: np.random.Generator) -> Image.Image:
    """A chart of a kind drawn by chance."""
    figure = Figure(figsize=(6.4, 4.8), dpi=100)
    axes = figure.add_subplot()
    steps = np.arange(int(by_chance.integers(5, 40)))
    values = by_chance.normal(size=(3, len(steps))).cumsum(axis=1)
    match by_chance.integers(5):
        case 0:
            axes.plot(steps, values.T)
        case 1:
            axes.bar(steps, np.abs(values[0]), color=by_chance.random(3))
        case 2:
            axes.scatter(values[0], values[1], c=values[2], s=by_chance.uniform(5, 90))
        case 3:
            axes.pie(np.abs(values[0, :6]) + 0.1)
        case _:
            axes.imshow(by_chance.random((8, 8)), cmap=by_chance.choice(["viridis", "hot", "jet"]))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file).convert("RGB")


def screen(by_chance: np.random.Generator) -> Image.Image:
    """A window with a bar, a list, text and buttons."""
    dark = by_chance.random() < 0.3
    ground, ink = ((35, 38, 41), (220, 220, 220)) if dark else ((244, 245, 247), (30, 30, 30))
    picture = Image.new("RGB", (1280, 800), ground)
    pen = ImageDraw.Draw(picture)
    accent = tuple(int(each) for each in by_chance.integers(30, 220, 3))
    font = ImageFont.truetype(str(by_chance.choice(_FONTS)), 20)
    pen.rectangle((0, 0, 1280, int(by_chance.integers(40, 110))), accent)
    for top in range(130, 760, int(by_chance.integers(34, 60))):
        pen.text((30, top), _line(by_chance, font, 220), ink, font)
        pen.text((320, top), _line(by_chance, font, 850), ink, font)
        if by_chance.random() < 0.2:
            pen.rounded_rectangle((1000, top, 1200, top + 28), 8, accent)
    pen.line((290, 110, 290, 800), "gray")
    return picture


def square_code(by_chance: np.random.Generator) -> Image.Image:
    """Black and white squares with three corner marks, as printed codes have, with a margin."""
    cells = int(by_chance.integers(21, 58))
    code = by_chance.random((cells, cells)) < 0.5
    mark = np.pad(np.pad(np.ones((3, 3), bool), 1), 1, constant_values=True)
    for corner in ((0, 0), (0, cells - 7), (cells - 7, 0)):
        code[corner[0] : corner[0] + 7, corner[1] : corner[1] + 7] = mark
    grey = np.pad(np.where(code, 0, 255).astype(np.uint8), 3, constant_values=255)
    return Image.fromarray(grey).resize((600, 600), Image.Resampling.NEAREST).convert("RGB")


def checkers(by_chance: np.random.Generator) -> Image.Image:
    """Squares or stripes in two colours."""
    across, down = (int(each) for each in by_chance.integers(2, 40, 2))
    y, x = np.mgrid[0:480, 0:640]
    odd = (x // across + (y // down if by_chance.random() < 0.6 else 0)) % 2
    return _coloured(odd, by_chance)


def gradient(by_chance: np.random.Generator) -> Image.Image:
    """One colour that turns into another, along a line or around a point."""
    y, x = np.mgrid[0:480, 0:640]
    angle = by_chance.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    around = np.hypot(x - by_chance.uniform(0, 640), y - by_chance.uniform(0, 480))
    values = along if by_chance.random() < 0.5 else around
    return _coloured((values - values.min()) / np.ptp(values), by_chance)


def uniform_noise(by_chance: np.random.Generator) -> Image.Image:
    """Every pixel by chance, of a grain drawn by chance."""
    grain = int(by_chance.integers(1, 5))
    pixels = by_chance.integers(0, 256, (480 // grain, 640 // grain, 3), np.uint8)
    return Image.fromarray(pixels).resize((640, 480), Image.Resampling.NEAREST)


def gaussian_noise(by_chance: np.random.Generator) -> Image.Image:
    """A colour with the noise of a sensor in the dark."""
    noise = by_chance.normal(
        by_chance.uniform(40, 215, 3), by_chance.uniform(15, 80), (480, 640, 3)
    )
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8))


def clouds(by_chance: np.random.Generator) -> Image.Image:
    """Noise of several sizes, added up (Perlin, "An image synthesizer", SIGGRAPH 1985)."""
    total = np.zeros((480, 640))
    start = int(by_chance.integers(1, 5))
    for octave in range(start, start + 6):
        small = by_chance.random((2**octave, 2**octave), np.float32)
        layer = Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)
        total += np.asarray(layer) / 2 ** (octave - start)
    return _coloured((total - total.min()) / np.ptp(total), by_chance)


def shapes(by_chance: np.random.Generator) -> Image.Image:
    """Discs, boxes and lines in plain colours, as a child or a logo has them."""
    ground, *colours = (tuple(each) for each in by_chance.integers(0, 256, (9, 3)).tolist())
    picture = Image.new("RGB", (640, 480), ground)
    pen = ImageDraw.Draw(picture)
    for colour in colours:
        x, y, width, height = by_chance.integers((0, 0, 20, 20), (600, 440, 300, 300)).tolist()
        box = (x, y, x + width, y + height)
        match by_chance.integers(3):
            case 0:
                pen.ellipse(box, colour)
            case 1:
                pen.rectangle(box, colour)
            case _:
                pen.line(box, colour, int(by_chance.integers(2, 30)))
    return picture


def far_skin(by_chance: np.random.Generator) -> Image.Image:
    """Skin from far away, with a few specks: a limb in front of a background."""
    skin, ground = by_chance.uniform((170, 115, 80), (235, 190, 165)), by_chance.uniform(0, 255, 3)
    y, x = np.mgrid[0:600, 0:800]
    bend = 40 * np.sin(x / by_chance.uniform(120, 400))
    distance = np.abs(y - 300 - bend) / by_chance.uniform(130, 240)
    # A limb is a cylinder, lit from the front.
    light = np.sqrt(np.clip(1 - distance**2, 0, 1))[..., None]
    pixels = np.where(distance[..., None] < 1, skin * (0.45 + 0.55 * light), ground)
    picture = Image.fromarray(pixels.astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(by_chance.integers(1, 9)):
        left, top, size = by_chance.integers((20, 210, 3), (760, 380, 16)).tolist()
        pen.ellipse((left, top, left + size, top + size), (90, 55, 40))
    return picture.filter(ImageFilter.GaussianBlur(1.2))


KINDS: Final[dict[str, Draw]] = {
    draw.__name__.replace("_", " "): draw
    for draw in (
        *(page, table, chart, screen, square_code, checkers),
        *(gradient, uniform_noise, gaussian_noise, clouds, shapes, far_skin),
    )
}


def _line(by_chance: np.random.Generator, font: ImageFont.FreeTypeFont, width: int) -> str:
    text = ""
    while font.getlength(text) < width:
        text = f"{text} {by_chance.choice(_WORDS)}"
    return text.strip().rpartition(" ")[0]


def _coloured(share: npt.NDArray[np.generic], by_chance: np.random.Generator) -> Image.Image:
    first, second = by_chance.integers(0, 256, (2, 3))
    pixels = first + (second - first) * share[..., None].astype(np.float64)
    return Image.fromarray(pixels.round().astype(np.uint8))
