"""Images that the service and the page must answer alike: every format, mode and defect, by a seed.

Nothing is stored: `golden_case(seed, number)` draws its image and encodes it again, the same bytes
with the same versions of NumPy and Pillow. Both sides always get the very same file.
"""

import functools
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from benchmarks.synthetic.lesion import draw_nevus
from lentigo_contract.labels import CODES
from tests.fakes import lesion_image
from tests.images import (
    encoded,
    exif_block,
    grey_profile,
    png_chunk,
    png_file,
    png_header,
    png_pixels,
    rgb_profile,
    with_jpeg_segments,
    with_png_chunks,
)

Random = np.random.Generator

DISPLAY_P3: Final = ((0.515, 0.241, -0.001), (0.292, 0.692, 0.042), (0.157, 0.067, 0.784))
ADOBE_RGB: Final = ((0.609, 0.311, 0.019), (0.205, 0.626, 0.061), (0.149, 0.063, 0.745))

SIZES: Final = (
    (600, 450),
    (450, 600),
    (1024, 768),
    (640, 480),
    (224, 224),
    (225, 223),
    (448, 447),
    (300, 225),
    (1920, 1080),
    (97, 131),
    (33, 64),
    (1600, 200),
    (230, 1900),
)
"""Width and height in pixels: as cameras and crops give them, and what is odd about a network's."""

_ORIENTATION: Final = 274
_PREDICTOR: Final = 317
_PREDICTED: Final = ("tiff_lzw", "tiff_adobe_deflate")
"""Compressions of TIFF that store differences, if its predictor says so."""

LARGE: Final = ((4000, 3000), (3000, 4000))
"""Twelve megapixels; one case in fifty."""


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One file, and the sort that it is counted as."""

    name: str
    sort: str
    data: bytes


def golden_case(seed: int, number: int) -> GoldenCase:
    """Draw and encode one case."""
    random = np.random.default_rng([seed, number])
    sort = SORTS[number % len(SORTS)]
    image = _changed(random, _drawn(random, number))
    return GoldenCase(f"{number:04d}-{sort}", sort, _ENCODERS[sort](random, image))


def _drawn(random: Random, number: int) -> Image.Image:
    """Draw a lesion: one that networks know, or one of seven clear pictures."""
    size = LARGE[number // 50 % 2] if number % 50 == 7 else SIZES[random.integers(len(SIZES))]
    chosen = int(random.integers(8))
    if chosen == len(CODES):
        return lesion_image(int(random.integers(20)), CODES[int(random.integers(7))]).resize(size)
    return _nevus(int(random.integers(40))).resize(size, Image.Resampling.LANCZOS)


@functools.lru_cache(maxsize=40)
def _nevus(seed: int) -> Image.Image:
    return draw_nevus(seed)


def _changed(random: Random, image: Image.Image) -> Image.Image:
    """Change it as bad light, hands and cameras do; most stay near what they were."""
    changes: tuple[Callable[[], Image.Image], ...] = (
        lambda: image,
        lambda: ImageEnhance.Brightness(image).enhance(random.uniform(0.6, 1.3)),
        lambda: ImageEnhance.Color(image).enhance(random.uniform(0.5, 1.6)),
        lambda: ImageEnhance.Contrast(image).enhance(random.uniform(0.6, 1.4)),
        lambda: image.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 3))),
        lambda: image.filter(ImageFilter.GaussianBlur(max(image.size) / 20)),
        lambda: ImageEnhance.Brightness(image).enhance(0.08),
        lambda: ImageEnhance.Brightness(image).enhance(6),
        lambda: Image.new("RGB", image.size, tuple(random.integers(60, 200, 3).tolist())),
        lambda: Image.effect_noise(image.size, 90).convert("RGB"),
        lambda: image.rotate(float(random.uniform(-40, 40)), fillcolor=(20, 15, 15)),
    )
    shares = np.array([8, 3, 3, 3, 3, 1, 1, 1, 1, 1, 2])
    return changes[random.choice(len(changes), p=shares / shares.sum())]()


def _jpeg(random: Random, image: Image.Image, **more: object) -> bytes:
    options: dict[str, object] = {
        "quality": int(random.integers(35, 98)),
        "subsampling": int(random.integers(3)),
        "optimize": bool(random.integers(2)),
    }
    return encoded(image, "JPEG", **(options | more))


def _profile(random: Random) -> bytes:
    colorants = (DISPLAY_P3, ADOBE_RGB)[random.integers(2)]
    return rgb_profile(colorants, float(random.uniform(1.8, 2.4)))


def _progressive(random: Random, image: Image.Image) -> bytes:
    return _jpeg(random, image, progressive=True)


def _restarts(random: Random, image: Image.Image) -> bytes:
    return _jpeg(random, image, restart_marker_rows=1)


def _turned(random: Random, image: Image.Image) -> bytes:
    block = exif_block(int(random.integers(1, 9)), "<>"[random.integers(2)])
    return _jpeg(random, image, exif=b"Exif\0\0" + block)


def _profiled(random: Random, image: Image.Image) -> bytes:
    return _jpeg(random, image, icc_profile=_profile(random))


def _grey(random: Random, image: Image.Image) -> bytes:
    profile = grey_profile(1.8) if random.integers(2) else None
    return encoded(image.convert("L"), "JPEG", quality=80, icc_profile=profile)


def _cmyk(random: Random, image: Image.Image) -> bytes:
    return encoded(image.convert("CMYK"), "JPEG", quality=int(random.integers(60, 95)))


def _wrong_profile(random: Random, image: Image.Image) -> bytes:
    profile = (grey_profile(2.2), b"no profile at all", rgb_profile(DISPLAY_P3, 2.2)[:90])
    return _jpeg(random, image, icc_profile=profile[random.integers(3)])


def _png(random: Random, image: Image.Image) -> bytes:
    profile = _profile(random) if random.integers(2) else None
    return encoded(image, "PNG", compress_level=1, icc_profile=profile)


def _png_mode(random: Random, image: Image.Image) -> bytes:
    mode = ("L", "LA", "P", "1", "I;16", "RGBA")[random.integers(6)]
    if mode == "I;16":
        wide = np.asarray(image.convert("L"), np.uint16) * 257 + random.integers(0, 200)
        return encoded(Image.fromarray(wide.astype(np.uint16)), "PNG", compress_level=1)
    converted = image.convert("RGBA") if mode == "RGBA" else image.convert(mode)
    if mode in ("LA", "RGBA"):
        converted.putalpha(_veil(random, image))
    hidden = {"transparency": int(random.integers(200))} if mode in ("L", "P") else {}
    return encoded(converted, "PNG", compress_level=1, **hidden)


def _veil(random: Random, image: Image.Image) -> Image.Image:
    """Alpha from hidden on one side to shown on the other."""
    width, height = image.size
    row = np.clip(np.linspace(random.uniform(-200, 100), 400, width), 0, 255)
    return Image.fromarray(np.tile(row.astype(np.uint8), (height, 1)))


def _png_deep(random: Random, image: Image.Image) -> bytes:
    """Sixteen bits a sample, with and without alpha, or a turn in its eXIf chunk."""
    wide = np.asarray(image.resize((320, 240)), np.uint16) * 257 - random.integers(0, 255)
    kind = random.integers(3)
    if kind == 2:
        block = exif_block(int(random.integers(1, 9)))
        return with_png_chunks(encoded(image, "PNG", compress_level=1), png_chunk(b"eXIf", block))
    if kind == 1:
        alpha = np.full((*wide.shape[:2], 1), 40_000, np.uint16)
        wide = np.concatenate([wide, alpha], axis=2)
    header = png_header(320, 240, 16, 6 if kind else 2)
    return png_file(header, png_pixels(wide.astype(">u2")))


def _webp(random: Random, image: Image.Image) -> bytes:
    more = {"icc_profile": _profile(random)} if random.integers(3) == 0 else {}
    if random.integers(3) == 0:
        more["exif"] = b"Exif\0\0" + exif_block(int(random.integers(1, 9)))
    return encoded(image, "WEBP", quality=int(random.integers(40, 95)), method=0, **more)


def _webp_alpha(random: Random, image: Image.Image) -> bytes:
    converted = image.convert("RGBA")
    converted.putalpha(_veil(random, image))
    return encoded(converted, "WEBP", lossless=bool(random.integers(2)), method=0, quality=50)


def _bmp(random: Random, image: Image.Image) -> bytes:
    mode = ("RGB", "RGB", "L", "P", "1", "RGBA")[random.integers(6)]
    return encoded(image.convert(mode), "BMP")


def _truncated(random: Random, image: Image.Image) -> bytes:
    format = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")[random.integers(5)]  # noqa: A001 - Pillow's
    whole = encoded(image.resize((320, 240)), format)
    return whole[: int(len(whole) * random.uniform(0.01, 0.999))]


def _flipped(random: Random, image: Image.Image) -> bytes:
    """A few bytes of the data changed, as by a bad card; a decoder may or may not notice."""
    format = ("JPEG", "JPEG", "PNG", "WEBP", "BMP")[random.integers(5)]  # noqa: A001
    damaged = bytearray(encoded(image.resize((320, 240)), format))
    for place in random.integers(len(damaged) // 2, len(damaged) - 4, 3):
        damaged[place] ^= int(random.integers(1, 256))
    return bytes(damaged)


def _not_an_image(random: Random, image: Image.Image) -> bytes:
    small = image.resize((64, 48))
    animated = io.BytesIO()
    small.save(animated, "WEBP", save_all=True, append_images=[small.rotate(90)])
    others = (
        b"",
        b"BM and then some text that is no picture at all",
        encoded(small, "GIF"),
        b"%PDF-1.7 " + random.bytes(300),
        b"\0\0\0\x18ftypheic" + bytes(100),
        animated.getvalue(),
        encoded(small.resize((31, 200)), "JPEG"),
        struct.pack(">I", 0) * 20,
    )
    return others[random.integers(len(others))]


def _tiff(random: Random, image: Image.Image) -> bytes:
    """As editors write it; the service alone reads some rarer kinds."""
    compression = (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")[random.integers(4)]
    mode = ("RGB", "RGB", "L", "P", "1", "RGBA", "CMYK", "I;16")[random.integers(8)]
    small = image.resize((320, 240))
    if mode == "I;16":
        wide = np.asarray(small.convert("L"), np.uint16) * 257
        return encoded(Image.fromarray(wide), "TIFF", compression=compression)
    converted = small.convert(mode)
    if mode == "RGBA":
        converted.putalpha(_veil(random, small))
    tags = {_ORIENTATION: int(random.integers(1, 9))} if random.integers(3) == 0 else {}
    if compression in _PREDICTED and mode in ("RGB", "RGBA") and random.integers(2):
        tags[_PREDICTOR] = 2
    profile = _profile(random) if mode == "RGB" and random.integers(3) == 0 else None
    return encoded(converted, "TIFF", compression=compression, tiffinfo=tags, icc_profile=profile)


def _padded(random: Random, image: Image.Image) -> bytes:
    """A phone's JPEG: comments, a thumbnail's worth of segments, and a film behind the image."""
    jpeg = _jpeg(random, image)
    segments = [
        (0xFE, b"a comment"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
        (0xE5, bytes(99)),
    ]
    return with_jpeg_segments(jpeg, *segments) + b"ftypmp42" + random.bytes(2000)


_ENCODERS: Final[dict[str, Callable[[Random, Image.Image], bytes]]] = {
    "jpeg": _jpeg,
    "jpeg-progressive": _progressive,
    "jpeg-restarts": _restarts,
    "jpeg-orientation": _turned,
    "jpeg-profile": _profiled,
    "jpeg-grey": _grey,
    "jpeg-cmyk": _cmyk,
    "jpeg-wrong-profile": _wrong_profile,
    "jpeg-padded": _padded,
    "png": _png,
    "png-mode": _png_mode,
    "png-deep": _png_deep,
    "webp": _webp,
    "webp-alpha": _webp_alpha,
    "bmp": _bmp,
    "tiff": _tiff,
    "truncated": _truncated,
    "flipped": _flipped,
    "not-an-image": _not_an_image,
}

SORTS: Final = tuple(_ENCODERS)
"""Sorts of files; consecutive cases take turns."""
