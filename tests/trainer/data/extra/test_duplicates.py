import pytest
from PIL import Image

from lentigo_contract.imaging.read import read_image
from lentigo_trainer.data.extra.duplicates import DecodedImage, NearIndex, archive_name
from tests.fakes import jpeg_bytes, lesion_image


def decoded(image: Image.Image, name: str, quality: int = 90) -> DecodedImage:
    data = jpeg_bytes(image, quality)
    return DecodedImage(name, f"bytes of {name}", read_image(data).pixels)


@pytest.fixture(scope="module")
def index() -> NearIndex:
    found = NearIndex()
    for number in range(5):
        name = f"image-{number}"
        found.add(decoded(lesion_image(number), name), f"{name} of HAM10000")
    return found


@pytest.mark.parametrize(
    "change",
    [
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_90,
        Image.Transpose.ROTATE_180,
        None,
    ],
)
def test_a_small_recompressed_copy_is_found_however_it_is_turned(
    index: NearIndex, change: Image.Transpose | None
) -> None:
    copy = lesion_image(3).resize((160, 120))
    turned = copy if change is None else copy.transpose(change)
    assert index.find(decoded(turned, "other", quality=60)) == "image-3 of HAM10000"


def test_another_lesion_is_not_found(index: NearIndex) -> None:
    assert index.find(decoded(lesion_image(77), "other")) is None


def test_an_empty_index_finds_nothing() -> None:
    assert NearIndex().find(decoded(lesion_image(1), "other")) is None


def test_an_image_is_found_by_its_name_whatever_it_shows(index: NearIndex) -> None:
    named = NearIndex()
    named.add(decoded(lesion_image(1), "ISIC_0000001"), "the first")
    again = decoded(lesion_image(50), "ISIC_0000001_downsampled")
    assert named.find(again) == "the first"
    assert index.find(again) is None


@pytest.mark.parametrize(
    ("name", "known"), [("ISIC_0012345", "ISIC_0012345"), ("photo", None), ("ISIC_12", None)]
)
def test_only_names_of_the_archive_stay_the_same_everywhere(name: str, known: str | None) -> None:
    assert archive_name(name) == known
