import io
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from lentigo_trainer.data.dataset import open_prepared, prepare
from lentigo_trainer.data.ham10000 import find_source
from lentigo_trainer.data.image_files import (
    COLUMNS,
    describe_files,
    jpeg_quality,
    summarize_files,
)
from lentigo_trainer.system.progress import SilentProgress
from tests.fakes import lesion_image, synthetic_ham10000
from tests.images import encoded

DIGEST = "d" * 64


def same(data: bytes) -> bytes:
    return data


def described(*files: bytes) -> pd.DataFrame:
    return describe_files([partial(same, data) for data in files], 2)


def jpeg(quality: int, size: tuple[int, int] = (64, 48)) -> bytes:
    return encoded(lesion_image(1, "nv", size), "JPEG", quality=quality)


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 88, 95, 100])
def test_the_quality_is_what_the_file_was_written_with(quality: int) -> None:
    with Image.open(io.BytesIO(jpeg(quality))) as image:
        table = image.quantization[0]  # type: ignore[attr-defined]
    assert jpeg_quality(table) == quality


def test_the_most_frequent_size_and_the_median_quality_are_told() -> None:
    found = described(jpeg(70), jpeg(80), jpeg(90), jpeg(95, (32, 32)))
    summary = summarize_files(found, DIGEST)
    assert summary is not None
    assert (summary.width, summary.height, summary.of_this_size) == (64, 48, 3)
    assert summary.jpeg_quality == 85


def test_files_that_are_no_jpegs_have_no_quality() -> None:
    summary = summarize_files(described(encoded(lesion_image(1, "nv"), "PNG")), DIGEST)
    assert summary is not None
    assert summary.jpeg_quality is None


def test_preparing_keeps_what_the_files_were(tmp_path: Path) -> None:
    source = find_source(synthetic_ham10000(tmp_path / "ham", 1, size=(64, 48)))
    prepare(source, tmp_path / "work", 1, SilentProgress())
    records = open_prepared(tmp_path / "work").records
    assert set(COLUMNS) <= set(records.columns)
    summary = summarize_files(records, DIGEST)
    assert summary is not None
    assert (summary.width, summary.height, summary.of_this_size) == (64, 48, 7)


def test_images_that_an_earlier_release_prepared_tell_nothing() -> None:
    assert summarize_files(pd.DataFrame({"image_id": ["a"]}), DIGEST) is None
