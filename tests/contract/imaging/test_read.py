import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from lentigo_contract.imaging.read import MODEL_SIDE, ImageLimits, ModelImage, read_image
from tests.contract.repository.twins import (
    PLAIN,
    Pixels,
    difference,
    lossless,
    pixels_of,
    plain_pixels,
)
from tests.fakes import jpeg_bytes, lesion_image
from tests.images import encoded, exif_block, png_chunk, with_jpeg_segments, with_png_chunks

LOSSLESS = {
    "PNG": lossless(PLAIN),
    "WEBP": encoded(PLAIN, "WEBP", lossless=True),
    "BMP": encoded(PLAIN, "BMP"),
    "TIFF": encoded(PLAIN, "TIFF"),
}


def test_the_pixels_are_what_the_network_takes() -> None:
    image = read_image(jpeg_bytes())

    assert image.pixels.shape == (MODEL_SIDE, MODEL_SIDE, 3)
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous


@pytest.mark.parametrize("kind", LOSSLESS)
def test_every_lossless_type_gives_the_same_pixels(kind: str) -> None:
    image = read_image(LOSSLESS[kind])

    assert (image.format, image.width, image.height) == (kind, 301, 227)
    assert np.array_equal(image.pixels, plain_pixels())


def test_a_jpeg_gives_nearly_the_same_pixels() -> None:
    image = read_image(jpeg_bytes(PLAIN, quality=95))

    mean, largest = difference(image.pixels, plain_pixels())
    assert (image.format, image.width, image.height) == ("JPEG", 301, 227)
    assert mean < 1.5
    assert largest < 16


@pytest.mark.parametrize("options", [{"progressive": True}, {"optimize": True}, {"quality": 75}])
def test_jpegs_of_every_kind_are_read(options: dict[str, object]) -> None:
    assert difference(pixels_of(encoded(PLAIN, "JPEG", **options)), plain_pixels())[0] < 4


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits"]
)
def test_compressed_tiffs_are_read(compression: str) -> None:
    tiff = encoded(PLAIN, "TIFF", compression=compression)

    assert np.array_equal(pixels_of(tiff), plain_pixels())


def test_a_jpeg_in_a_tiff_is_read() -> None:
    tiff = encoded(PLAIN, "TIFF", compression="jpeg", quality=95)

    assert difference(pixels_of(tiff), plain_pixels())[0] < 3


def test_the_picture_is_squashed_and_not_cropped() -> None:
    halves = Image.new("RGB", (600, 100), (255, 0, 0))
    halves.paste((0, 0, 255), (300, 0, 600, 100))

    pixels = pixels_of(lossless(halves))

    assert (pixels[:, :110] == (255, 0, 0)).all()
    assert (pixels[:, 114:] == (0, 0, 255)).all()


def test_the_pixels_are_those_of_the_paper_pipelines_resize() -> None:
    expected = PLAIN.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BILINEAR)

    assert np.array_equal(plain_pixels(), np.asarray(expected))


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    image = lesion_image(3, "mel", (MODEL_SIDE, MODEL_SIDE))

    assert np.array_equal(plain_pixels(image), np.asarray(image))


# Orientation


def stored_for(orientation: int) -> Image.Image:
    """How a camera stores the upright picture when it notes this orientation.

    CIPA DC-008 says where row 0 and column 0 of what is stored stand in what is shown, written
    here with transposition and reversal, independently of how Pillow undoes it.
    """
    shown = np.asarray(PLAIN)
    rows_and_columns = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: shown.transpose(1, 0, 2)[::-1],
        7: shown.transpose(1, 0, 2)[::-1, ::-1],
        8: shown.transpose(1, 0, 2)[:, ::-1],
    }
    return Image.fromarray(np.ascontiguousarray(rows_and_columns[orientation]))


def oriented(kind: str, orientation: int) -> bytes:
    stored = stored_for(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    match kind:
        case "TIFF":
            return encoded(stored, "TIFF", tiffinfo={0x0112: orientation})
        case "WEBP":
            return encoded(stored, "WEBP", lossless=True, exif=exif)
        case "JPEG":
            return encoded(stored, "JPEG", quality=95, subsampling=0, exif=exif)
        case _:
            return encoded(stored, kind, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_rotated_image_equals_its_upright_twin(kind: str, orientation: int) -> None:
    image = read_image(oriented(kind, orientation))

    assert (image.width, image.height) == (301, 227)
    assert np.array_equal(image.pixels, plain_pixels())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_phone_photo_is_close_to_its_upright_twin(orientation: int) -> None:
    image = read_image(oriented("JPEG", orientation))

    assert (image.width, image.height) == (301, 227)
    # Blocks of 8x8 lie elsewhere in the rotated file, so equality is not to be had.
    assert difference(image.pixels, plain_pixels())[0] < 1.5


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_exif_are_read(order: str) -> None:
    png = with_png_chunks(lossless(stored_for(6)), png_chunk(b"eXIf", exif_block(6, order)))

    assert np.array_equal(pixels_of(png), plain_pixels())


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"Exif\x00\x00",
        b"nonsense",
        exif_block(0),
        exif_block(9),
        exif_block(6)[:19],
        exif_block(6)[:9],
        b"II*\x00\xff\xff\xff\xff" + exif_block(6)[8:],
    ],
    ids=range(8),
)
def test_damaged_exif_does_not_cost_the_image(block: bytes) -> None:
    png = with_png_chunks(lossless(PLAIN), png_chunk(b"eXIf", block))
    jpeg = jpeg_bytes(PLAIN)

    assert np.array_equal(pixels_of(png), plain_pixels())
    assert np.array_equal(
        pixels_of(with_jpeg_segments(jpeg, (0xE1, b"Exif\x00\x00" + block))), pixels_of(jpeg)
    )


# What does not matter


@pytest.mark.parametrize(
    "segments",
    [
        [(0xFE, b"a comment")],
        [(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta tiff:Orientation='6'/>")],
        [(0xED, b"Photoshop 3.0\x008BIM" + bytes(40))],
        [(0xE2, b"MPF\x00II*\x00" + b"\xff" * 40)],
        [(0xEF, bytes(65_533))] * 200,
    ],
    ids=["comment", "XMP", "Photoshop", "damaged MPF", "13 MB of anything"],
)
def test_what_else_a_jpeg_carries_does_not_matter(segments: list[tuple[int, bytes]]) -> None:
    jpeg = jpeg_bytes(PLAIN)

    assert np.array_equal(pixels_of(with_jpeg_segments(jpeg, *segments)), pixels_of(jpeg))


def test_what_follows_a_jpeg_does_not_matter() -> None:
    jpeg = jpeg_bytes(PLAIN)
    film = b"ftypmp42" + b"\xff\xda" * 1000

    assert np.array_equal(pixels_of(jpeg + film), pixels_of(jpeg))


def test_the_first_picture_of_a_panorama_or_depth_photo_is_shown() -> None:
    first, second = PLAIN, lesion_image(1, "nv", PLAIN.size)
    both = encoded(first, "MPO", save_all=True, append_images=[second], quality=90, subsampling=0)

    image = read_image(both)

    assert image.format == "JPEG"
    assert np.array_equal(image.pixels, pixels_of(jpeg_bytes(first)))


def test_text_in_a_png_does_not_matter_however_long() -> None:
    text = png_chunk(b"tEXt", b"comment\x00" + b"x" * 5_000_000) + png_chunk(
        b"zTXt", b"a\x00\x00damaged"
    )

    assert np.array_equal(pixels_of(with_png_chunks(lossless(PLAIN), text)), plain_pixels())


# JPEGs are decoded at reduced scale


def full_decode(jpeg: bytes) -> Pixels:
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    return np.asarray(image.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", [(600, 450), (450, 600), (899, 897), (1792, 448)])
def test_reduced_scale_is_close_to_the_full_decode(size: tuple[int, int]) -> None:
    jpeg = jpeg_bytes(lesion_image(5, "nv", size))

    mean, largest = difference(pixels_of(jpeg), full_decode(jpeg))
    assert mean < 2
    assert largest < 32


@pytest.mark.parametrize("size", [(447, 600), (600, 447), (300, 225), (64, 48)])
def test_an_image_that_is_not_twice_as_large_is_decoded_in_full(size: tuple[int, int]) -> None:
    jpeg = jpeg_bytes(lesion_image(5, "nv", size))

    assert np.array_equal(pixels_of(jpeg), full_decode(jpeg))


# What training saw, serving must see: these hold the pixels to the ones the model learned from.


@pytest.mark.parametrize("size", [(600, 450), (300, 225), (1024, 768), (224, 224), (50, 40)])
@pytest.mark.parametrize("options", [{"quality": 88}, {"quality": 60, "progressive": True}])
def test_a_plain_jpeg_gives_exactly_what_draft_and_resize_give(
    size: tuple[int, int], options: dict[str, object]
) -> None:
    jpeg = encoded(lesion_image(5, "bkl", size), "JPEG", **options)

    with Image.open(io.BytesIO(jpeg)) as image:
        image.draft(None, (MODEL_SIDE, MODEL_SIDE))
        expected = image.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BILINEAR)

    assert np.array_equal(pixels_of(jpeg), np.asarray(expected))


KNOWN_PIXELS = np.array([[0, 0, 0], [255, 0, 44], [103, 69, 69], [126, 127, 240], [58, 228, 139]])


def test_a_known_jpeg_gives_the_pixels_written_down_here() -> None:
    # Whole numbers only, so that the picture is the same on every machine; decoders may differ by
    # a level.
    down, across = np.mgrid[0:450, 0:600]
    picture = np.dstack([across * 255 // 599, down * 255 // 449, (across ^ down) // 2 % 256])
    jpeg = jpeg_bytes(Image.fromarray(picture.astype(np.uint8)))

    some = pixels_of(jpeg).astype(int)[[0, 0, 60, 111, 200], [0, 223, 90, 111, 50]]

    assert np.abs(some - KNOWN_PIXELS).max() <= 2


# Threads


def test_threads_do_not_disturb_each_other() -> None:
    files = [jpeg_bytes(lesion_image(seed, "bcc")) for seed in range(4)] + list(LOSSLESS.values())
    alone = [read_image(data) for data in files]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(read_image, files * 8))

    for one, other in zip(alone * 8, together, strict=True):
        assert np.array_equal(one.pixels, other.pixels)


def test_limits_are_the_documented_ones() -> None:
    assert ImageLimits() == ImageLimits(
        max_bytes=20 * 1024 * 1024, max_pixels=64_000_000, max_side=16_384, min_side=32
    )


def test_a_model_image_is_a_value() -> None:
    with pytest.raises(AttributeError):
        ModelImage(np.zeros((1, 1, 3), np.uint8), "PNG", 1, 1).width = 2  # type: ignore[misc]
